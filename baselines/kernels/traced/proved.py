"""The proof of a program: on the numbers of a call, the very bits of the loop, forward and back, in the same order of
memory, by which convolutions go."""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

from baselines.kernels.traced.recorded import outputs_of, state_of, tensors_of
from baselines.parts import carried, moments

Way = Callable[[Any, Tensor], Tensor]
"""(layer, x) -> spikes."""


def differing(layer: Any, x: Tensor, ours: Way, differentiable: bool) -> str:
    """What `ours` does not compute to the bit as the loop of `layer` does; empty where there is nothing.

    Nothing of it is left: not in the layer, which is copied, nor in what draws at random.
    """
    with torch.random.fork_rng([]):
        state = torch.get_rng_state()
        outcomes = []
        for way in (lambda layer, x: layer.loop(x), ours):
            torch.set_rng_state(state)
            outcomes.append(_outcome(way, layer, x, differentiable))
    reference, found = outcomes
    return next((name for name in reference if not _same(found[name], reference[name])), "")


def _outcome(way: Way, original: Any, x: Tensor, differentiable: bool) -> dict[str, Tensor | None]:
    """Outputs, gradients and buffers, by name."""
    x, layer = _leaf(x), copy.deepcopy(original)
    walk = carried.handed(carried.seen_by(original), original, layer, _leaf)
    tape: list[moments.Moments] = []
    with moments.written_to(tape) if moments.wanted() else nullcontext(), carried.on(walk):
        outputs = outputs_of(layer, way(layer, x), tape) + state_of(layer, walk)
    found: dict[str, Tensor | None] = {f"output {i}": y.detach() for i, y in enumerate(outputs)}
    reached = [y for y in outputs if y.requires_grad]
    if differentiable and reached:
        torch.manual_seed(0)
        tangents = [torch.empty_like(y).normal_() for y in reached]
        asked = {name: t for name, t in {"x": x, **tensors_of(layer)}.items() if t.requires_grad}
        gradients = torch.autograd.grad(reached, list(asked.values()), tangents, allow_unused=True)
        found |= {f"gradient of {name}": g for name, g in zip(asked, gradients, strict=True)}
    return found | dict(layer.named_buffers())


def _leaf(tensor: Tensor) -> Tensor:
    return tensor.detach().requires_grad_(tensor.requires_grad)


def _same(a: Tensor | None, b: Tensor | None) -> bool:
    if a is None or b is None:
        return a is b
    return a.shape == b.shape and a.stride() == b.stride() and torch.equal(_bits(a), _bits(b))


def _bits(tensor: Tensor) -> Tensor:
    return tensor.contiguous().view(torch.int32) if tensor.dtype == torch.float32 else tensor
