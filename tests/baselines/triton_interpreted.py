"""The Triton kernels on the CPU, by Triton's interpreter, against the loop in float64; run by `test_kernel.py`.

Every variant, maps that fill tiles and maps that do not, several parts a column; folded and unfolded evaluation.
"""

from __future__ import annotations

import copy
import itertools
from dataclasses import replace

import torch
from torch import Tensor

from baselines import METHODS, kernels
from baselines.kernels import dispatch, on_gpu
from baselines.parts.neurons import FoldedFire, HardReset, SpikingNeuron
from baselines.parts.surrogates import STE, SURROGATES

WORST = 5e-6


def error(p: Tensor | None, q: Tensor | None) -> float:
    assert p is not None and q is not None
    return float((p.double() - q).abs().max() / q.abs().max().clamp(min=1e-30))


def trained(layer: SpikingNeuron, shape: tuple[int, int, int], batch: int) -> float:
    """The largest relative difference of gradients and running statistics; spikes must be the same."""
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.normal_()
    reference = copy.deepcopy(layer).double()
    x, g = torch.randn(2, layer.timesteps * batch, *shape).unbind()
    a, b = x.clone().requires_grad_(), x.double().requires_grad_()
    s, r = dispatch.train(on_gpu, layer, a), reference.loop(b)  # type: ignore[arg-type]
    assert torch.equal(s.double(), r)
    s.backward(g), r.backward(g.double())
    pairs = [(a.grad, b.grad), *zip(layer.buffers(), reference.buffers(), strict=True)]
    pairs += [(p.grad, q.grad) for p, q in zip(layer.parameters(), reference.parameters(), strict=True)]
    return max(error(p, q) for p, q in pairs)


def evaluated(layer: SpikingNeuron, shape: tuple[int, int, int]) -> None:
    x = torch.randn(layer.timesteps * 3, *shape).mul(8).round().div(8)  # many exactly on a threshold
    with torch.no_grad():
        assert torch.equal(dispatch.infer(on_gpu, layer, x), layer.loop(x))  # type: ignore[arg-type]


def main() -> None:
    assert kernels.interpreted() and kernels.triton() is on_gpu
    torch.manual_seed(0)
    cases = itertools.product(["vanilla", "mpbn", "mpbn-element"], ["raw", "normalised"], [False, True])
    others = itertools.cycle(itertools.product(SURROGATES, [3, 1, 2]))
    for i, ((method, carry, detach), (surrogate, timesteps)) in enumerate(zip(cases, others, strict=False)):
        neuron = replace(METHODS.get(method).neuron, carry=carry, reset=HardReset(detach))
        shape = [(5, 3, 2), (16, 2, 2), (70, 1, 1), (3, 1, 4)][i % 4]
        worst = trained(neuron.build(shape, timesteps, SURROGATES[surrogate]), shape, batch=9)
        assert worst <= WORST, (method, surrogate, timesteps, carry, detach, worst)
    tiles, on_gpu.TILE, on_gpu.PARTS = on_gpu.TILE, 64, 4  # as many parts as a large batch has
    for method in ("mpbn", "mpbn-element"):
        worst = trained(METHODS.get(method).neuron.build((19, 3, 3), 2, STE()), (19, 3, 3), batch=21)
        assert worst <= WORST, (method, worst)
    on_gpu.TILE = tiles
    for method, carry in itertools.product(["vanilla", "mpbn", "mpbn-element"], ["raw", "normalised"]):
        layer = replace(METHODS.get(method).neuron, carry=carry).build((5, 3, 3), 2, STE()).eval()
        with torch.no_grad():
            for p in (*layer.parameters(), *layer.buffers()):
                p.copy_(torch.randn(p.shape).abs() - 0.2 * (p.dim() > 1))
        evaluated(layer, (5, 3, 3))
    for places, signs in itertools.product([(5, 1, 1), (5, 3, 3)], [torch.ones, lambda p: torch.randn(p).sign()]):
        layer = METHODS.get("vanilla").neuron.build((5, 3, 3), 2, STE()).eval()
        layer.fire = FoldedFire(torch.randn(places).mul(8).round().div(8), signs(places))
        evaluated(layer, (5, 3, 3))
    print("all agree")


if __name__ == "__main__":
    main()
