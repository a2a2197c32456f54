"""What an objective may see of the potentials: of every layer, mean and variance of z - V a channel, never the tensor.

A layer of neurons tells them where somebody listens (`written_to`). They are those of the whole batch, whatever number
of processes trains on it, and gradients flow back through them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import torch
from torch import Tensor

from baselines.parts import synchronised

OTHERS = (0, 2, 3)
"""Than the channels."""


@dataclass(frozen=True)
class Moments:
    """Of one layer over T, B, H, W: (C,) each. `place` is where it stands (`neurons.Place`)."""

    mean: Tensor
    """Of z(t) - V: how far the potentials lie above the threshold."""
    var: Tensor
    place: str


_tape: ContextVar[list[Moments] | None] = ContextVar("moments", default=None)


@contextmanager
def written_to(tape: list[Moments]) -> Iterator[None]:
    """Every layer of neurons adds its moments to `tape`, in the order in which they are computed."""
    token = _tape.set(tape)
    try:
        yield
    finally:
        _tape.reset(token)


def wanted() -> bool:
    return _tape.get() is not None


def tell(z: Tensor, v_th: float | Tensor, place: str) -> None:
    """`z` (T·B, C, H, W), of a layer with threshold `v_th`."""
    above = z - v_th
    mean, var = synchronised.mean_var(above) if synchronised.needed() else _MeanAndVariance.apply(above)  # type: ignore[misc]
    pass_on(Moments(mean, var, place))


class _MeanAndVariance(torch.autograd.Function):
    """(N, C, H, W) -> (C,) each, by two sums, which take a fifth of the time of torch's `var_mean` on channels-last
    frames; the variance is of what is left without the mean, so nothing large is subtracted."""

    @staticmethod
    def forward(ctx, x: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        count = x.numel() // x.shape[1]
        mean = x.sum(OTHERS) / count
        var = (x - _along(mean)).square().sum(OTHERS) / count
        ctx.save_for_backward(x, mean)
        ctx.count = count
        ctx.set_materialize_grads(False)
        return mean, var

    @staticmethod
    def backward(ctx, gmean: Tensor | None, gvar: Tensor | None):  # type: ignore[override]
        x, mean = ctx.saved_tensors
        gx = None if gmean is None else _along(gmean / ctx.count).expand_as(x)
        if gvar is None:
            return gx
        slanted = _along(2 / ctx.count * gvar) * (x - _along(mean))
        return slanted if gx is None else gx + slanted


def _along(channels: Tensor) -> Tensor:
    return channels.view(-1, 1, 1)


def pass_on(moments: Moments) -> None:
    """To who listens."""
    if (tape := _tape.get()) is not None:
        tape.append(moments)
