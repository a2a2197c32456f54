"""The memory that a dry run foretells, against what training takes on a GPU: kept for the way back, and at the peak."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import get_args

import torch
from gpu.place import Found, Place, check, each, measured

from baselines.recompute import Recompute
from harness.amounts import memory as amount
from harness.forecast.memory import ROOM
from harness.measure.footprint import footprint
from harness.measure.memory import saved_bytes
from harness.spec import Cell, Recipe
from harness.train.build import network_of
from harness.train.loop import make_optimiser

SHAPE, CLASSES = (3, 32, 32), 10
WITHIN = 0.02
"""Of what is kept: the same tensors are counted."""
CELLS = (("mpbn", "resnet20", 4), ("mpbn", "resnet19", 2), ("vanilla", "vgg16", 4))


def memory(place: Place) -> Iterator[Found]:
    parts = {}
    for method, architecture, timesteps in CELLS:
        for recompute in get_args(Recompute):
            name = f"{method}, {architecture}, T = {timesteps}, recompute {recompute}"
            recipe = Recipe(epochs=1, batch=place.size(128, 4), width=place.size(1.0, 0.0625))
            given = {"method": method, "architecture": architecture, "dataset": "cifar10", "timesteps": timesteps}
            parts[name] = partial(_one, name, Cell(**given, seed=0, recipe=recipe), recompute, place)
    yield from each(place, parts)


def _one(name: str, cell: Cell, recompute: Recompute, place: Place) -> Iterator[Found]:
    batch = cell.recipe.batch
    foretold = footprint(cell, SHAPE, CLASSES, batch, recompute)
    network = network_of(cell, SHAPE, CLASSES).to(place.device).train()
    network.recompute = recompute
    images = torch.randn(batch, *SHAPE, device=place.device)
    kept = saved_bytes(lambda: network(images), network)
    off = kept / foretold.kept - 1
    yield check(f"{name}: kept for the way back", abs(off) <= WITHIN, f"{amount(kept)}, {off:+.1%} of the forecast")
    if place.device.type == "cuda":
        optimiser = make_optimiser(network, cell.recipe)
        torch.cuda.reset_peak_memory_stats()
        for _ in range(3):
            optimiser.zero_grad(set_to_none=True)
            network.loss(network(images), torch.arange(batch, device=place.device) % CLASSES).backward()
            optimiser.step()
        peak = torch.cuda.max_memory_allocated()
        said = f"{amount(peak)}, {peak / foretold.total:.2f} of the forecast"
        yield check(f"{name}: the peak is within the room that a forecast leaves", peak <= foretold.total / ROOM, said)
        yield measured(f"{name}: reserved of the GPU", amount(torch.cuda.max_memory_reserved()))
