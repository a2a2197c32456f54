"""The network that a cell trains, as it is before training."""

from __future__ import annotations

import baselines
from baselines.network import Network
from harness.spec import Cell
from harness.train.initial import begun


def network_of(cell: Cell, shape: tuple[int, int, int], classes: int) -> Network:
    """For frames of `shape` (C, H, W); in float32, wherever torch's default device is. Raises UnknownName."""
    network = baselines.build(
        cell.method,
        cell.architecture,
        shape=shape,
        classes=classes,
        timesteps=cell.timesteps,
        surrogate=cell.recipe.surrogate,
        width=cell.recipe.width,
    )
    return begun(network, cell.recipe)
