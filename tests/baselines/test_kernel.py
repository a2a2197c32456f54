"""The fused CPU kernel against the loop it replaces: same spikes, gradients and running statistics."""

from __future__ import annotations

import copy

import pytest
import torch

from baselines import METHODS, build, kernels
from baselines.parts import fused
from baselines.parts.surrogates import SURROGATES

pytestmark = pytest.mark.skipif(kernels.library() is None, reason="no C compiler here, so no kernel")

SHAPES = [(5, 7, 6), (16, 3, 3), (37, 1, 1), (1, 4, 4)]
"""Channels below, equal to and above the kernel's block of 16; maps of one element."""


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("surrogate", SURROGATES)
@pytest.mark.parametrize("timesteps", [1, 2, 4])
@pytest.mark.parametrize("method", ["vanilla", "mpbn", "mpbn-element"])
def test_kernel_equals_the_loop(method: str, timesteps: int, surrogate: str, shape: tuple[int, int, int]) -> None:
    torch.manual_seed(timesteps)
    ours = METHODS.get(method).neuron.build(shape, timesteps, SURROGATES[surrogate])
    with torch.no_grad():
        for parameter in ours.parameters():
            parameter.normal_()
    reference = copy.deepcopy(ours).double()
    x, g = torch.randn(2, timesteps * 80, *shape).unbind()
    a, b = x.clone().requires_grad_(), x.double().requires_grad_()
    assert fused.serves(ours, a) and not fused.serves(reference, b)
    s, r = ours(a), reference(b)
    agree = s.double() == r
    assert agree.float().mean() > 0.9999  # a potential within rounding of V may fall either way
    if not agree.all():
        pytest.skip("a spike sat on the threshold: gradients of another spike train are not comparable")
    s.backward(g), r.backward(g.double())

    def close(p: torch.Tensor | None, q: torch.Tensor | None) -> None:
        assert p is not None and q is not None
        assert float((p.double() - q).abs().max()) <= 5e-6 * float(q.abs().max())

    close(a.grad, b.grad)
    for p, q in zip(ours.parameters(), reference.parameters(), strict=True):
        close(p.grad, q.grad)
    for p, q in zip(ours.buffers(), reference.buffers(), strict=True):
        close(p, q)


def test_threads_do_not_change_a_bit() -> None:
    def step(threads: int) -> list[torch.Tensor]:
        torch.manual_seed(0)
        layer = METHODS.get("mpbn").neuron.build((40, 6, 6), 3, SURROGATES["tanh"])
        x = torch.randn(3 * 8, 40, 6, 6, requires_grad=True)
        torch.set_num_threads(threads)
        layer(x).square().sum().backward()
        return [x.grad, layer.normalise.weight.grad, layer.normalise.running_var]  # type: ignore[list-item]

    before = torch.get_num_threads()
    try:
        assert all(torch.equal(p, q) for p, q in zip(step(1), step(2), strict=True))
    finally:
        torch.set_num_threads(before)


def test_denormals_survive_loading_the_kernel() -> None:
    """Linking with -ffast-math would flush them to zero in the whole process."""
    kernels.library()
    assert float(torch.tensor(1e-40) * 0.5) > 0


def test_evaluation_and_float64_take_the_loop() -> None:
    layer = METHODS.get("mpbn").neuron.build((4, 2, 2), 2, SURROGATES["ste"])
    x = torch.randn(8, 4, 2, 2, requires_grad=True)
    assert fused.serves(layer, x)
    assert not fused.serves(layer, x.double())
    assert not fused.serves(layer, x.detach())
    assert not fused.serves(layer.eval(), x)


def test_one_value_a_channel_has_no_statistics() -> None:
    layer = METHODS.get("mpbn").neuron.build((4, 1, 1), 2, SURROGATES["ste"])
    with pytest.raises(ValueError, match="larger batch"):
        layer(torch.randn(2, 4, 1, 1, requires_grad=True))


def test_a_training_step_of_a_network_agrees(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loss of a whole network with the kernel and with the loop."""
    losses = []
    for served in (True, False):
        torch.manual_seed(0)
        if not served:
            monkeypatch.setattr(fused, "serves", lambda layer, x: False)
        network = build("mpbn", "resnet20", shape=(1, 8, 8), classes=10, timesteps=2, width=0.1)
        loss = network.method.objective(network(torch.randn(16, 1, 8, 8)), torch.arange(16) % 10)
        losses.append(loss.item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
