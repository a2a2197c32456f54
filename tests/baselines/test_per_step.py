"""Normalisations of each step by itself: what computes them where they lie, against torch's step by step."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from baselines.parts.per_step import BatchNormThroughTime, SecondMomentNorm, _BatchNormOfSteps, batch_norm_of_steps

T, B, C = 4, 3, 6
MOMENTUM, EPS = 0.3, 1e-3
FORMATS = [torch.contiguous_format, torch.channels_last]


def drawn(shape: tuple[int, ...], memory_format: Any) -> Tensor:
    return torch.randn(shape).mul_(2).add_(0.5).to(memory_format=memory_format).requires_grad_()


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("biased", [True, False])
def test_batch_norm_of_steps_is_torchs_of_each_to_the_bit(shared: bool, biased: bool, memory_format: Any) -> None:
    """Its gradients too, added up in autograd's order where all steps have one λ, and the running statistics."""
    torch.manual_seed(0)
    x = drawn((T * B, C, 5, 5), memory_format)
    weight = (1 + torch.rand(C) if shared else 1 + torch.rand(T, C)).requires_grad_()
    bias = torch.rand_like(weight).requires_grad_() if biased else None
    learned, g = [x, weight, *([bias] if bias is not None else [])], drawn((T * B, C, 5, 5), memory_format).detach()

    def statistics() -> tuple[Tensor, Tensor, list[tuple[Tensor, Tensor]]]:
        mean, var = torch.full((T, C), 0.2), torch.full((T, C), 1.5)
        return mean, var, [(mean[0], var[0])] * T if shared else list(zip(mean, var, strict=True))

    def of(p: Tensor | None, t: int) -> Tensor | None:
        return p if p is None or shared else p[t]

    mean, var, running = statistics()
    y = batch_norm_of_steps(x, running, weight, bias, MOMENTUM, EPS)
    assert type(y.grad_fn).__name__ == f"{_BatchNormOfSteps.__name__}Backward"
    found = [y, *torch.autograd.grad(y, learned, g), mean, var]
    mean, var, running = statistics()
    steps = zip(x.unflatten(0, (T, B)), running, strict=True)
    y = torch.cat(
        [
            F.batch_norm(one, *kept, of(weight, t), of(bias, t), True, MOMENTUM, EPS)
            for t, (one, kept) in enumerate(steps)
        ]
    )
    wanted = [y, *torch.autograd.grad(y, learned, g), mean, var]
    assert all(torch.equal(p, q) for p, q in zip(found, wanted, strict=True))


def test_one_value_a_channel_has_no_variance() -> None:
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        BatchNormThroughTime(C, T, EPS, MOMENTUM)(torch.randn(T, C, 1, 1))


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("periods", [1, T])
def test_the_second_moment_and_its_gradients_are_those_of_autograd(periods: int, memory_format: Any) -> None:
    torch.manual_seed(1)
    x, g = (drawn((T * B, C, 4, 5), memory_format).double() for _ in range(2))
    x = x.detach().requires_grad_()
    norm = SecondMomentNorm(C, periods, EPS, MOMENTUM).double()
    with torch.no_grad():
        norm.weight.add_(torch.rand_like(norm.weight))
    steps = x.unflatten(0, (periods, -1))
    moment = steps.square().mean((1, 3, 4))
    wanted = steps * (norm.weight / torch.sqrt(moment + EPS))[:, None, :, None, None]
    found = norm(x)
    torch.testing.assert_close(found, wanted.flatten(0, 1), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(norm.running_moment, 1 + MOMENTUM * (moment.detach() - 1), rtol=1e-12, atol=1e-12)
    ours, theirs = (torch.autograd.grad(y, [x, norm.weight], g.view_as(y)) for y in (found, wanted))
    for p, q in zip(ours, theirs, strict=True):
        torch.testing.assert_close(p, q, rtol=1e-11, atol=1e-12)
