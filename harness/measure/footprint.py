"""The memory that training a cell takes, told without training it: a forward pass on torch's meta device.

Tensors there have shapes and no numbers, so a network of any size answers in about a second, at the batch that it will
have, without its samples and without a GPU. Neurons count as the fused kernels keep them.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
import torch
from torch import Tensor, nn

import baselines
from baselines.network import Network
from baselines.recompute import Recompute, segments
from harness import data
from harness.measure.memory import saved_bytes
from harness.spec import Cell, Recipe
from harness.train.build import network_of

OPTIMISER = {"sgd": 1, "adam": 2, "amsgrad": 3}
"""Tensors that it keeps beside each parameter; SGD without momentum keeps none."""

MANY = 16
"""Timesteps from which on bytes are counted along a straight line: every step more keeps as much as the one before."""


@dataclass(frozen=True, kw_only=True)
class Footprint:
    """Bytes of one process. The samples, the driver and the convolutions' scratch memory come on top."""

    kept: int
    """For the backward pass."""
    again: int
    """While the largest segment is computed once more; nothing without recomputing."""
    state: int
    """Parameters, their statistics, gradients, and what the optimiser keeps."""
    checkpoint: int
    """A copy of what is saved."""

    @property
    def total(self) -> int:
        return self.kept + self.again + self.state + self.checkpoint


def total(cell: Cell, batch: int, recompute: Recompute) -> int | None:
    """Bytes in all of a process with `batch` images; None where that cannot be told without the samples."""
    return _total(msgspec.structs.replace(cell, seed=0, data="", source="", origin=None), batch, recompute)


@functools.cache
def _total(cell: Cell, batch: int, recompute: Recompute) -> int | None:
    if (known := data.frame(cell.dataset, cell.recipe)) is None:
        return None
    try:
        if cell.timesteps <= MANY:
            return footprint(cell, *known, batch, recompute).total
        few, more = (
            footprint(msgspec.structs.replace(cell, timesteps=steps), *known, batch, recompute).total
            for steps in (MANY // 2, MANY)
        )
        return few + (more - few) * (cell.timesteps - MANY // 2) // (MANY - MANY // 2)
    except (RuntimeError, NotImplementedError):  # a part of the user's that asks for numbers
        return None


def footprint(
    cell: Cell, shape: tuple[int, int, int], classes: int, batch: int, recompute: Recompute = "nothing"
) -> Footprint:
    """Of a process that has `batch` images of (C, H, W). In bfloat16 no more than this: counted as float32.

    Of as many timesteps as its procedure keeps at once: one where it trains online, or not at all.
    """
    kept_at_once = baselines.METHODS.get(cell.method).procedure.at_once(cell.timesteps)
    network = _on_meta(msgspec.structs.replace(cell, timesteps=kept_at_once), shape, classes)
    network.recompute = recompute
    images = torch.empty(batch, *shape, device="meta")
    kept = saved_bytes(lambda: network(images), network)
    again = 0 if recompute == "nothing" else max(_each_segment(network, images))
    parameters, buffers = _bytes(network.parameters()), _bytes(network.buffers())
    saved = parameters + buffers + parameters * _beside(cell.recipe)
    return Footprint(kept=kept, again=again, state=saved + parameters, checkpoint=saved)


def _on_meta(cell: Cell, shape: tuple[int, int, int], classes: int) -> Network:
    with torch.device("meta"):
        network = network_of(cell, shape, classes)
    precision = cell.recipe.precision
    return network.in_precision("float32" if precision == "bfloat16" else precision).train()


def _each_segment(network: Network, images: Tensor) -> Iterator[int]:
    """What each segment keeps on its own, as it does when the way back comes to it."""
    x = network.encode(images.to(next(network.parameters()).dtype)).requires_grad_()
    for segment in segments(network.body):
        made: list[Tensor] = []

        def forward(segment: nn.Module = segment, x: Tensor = x, made: list[Tensor] = made) -> Tensor:
            made.append(segment(x))
            return made[0]

        yield saved_bytes(forward, segment)
        packed, x = getattr(made[0], "as_bytes", None), made[0].detach().requires_grad_()
        if packed is not None:
            x.as_bytes = packed  # type: ignore[attr-defined]


def _beside(recipe: Recipe) -> int:
    return 0 if recipe.optimiser == "sgd" and not recipe.momentum else OPTIMISER[recipe.optimiser]


def _bytes(tensors: Iterator[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
