"""Whether cells fit into the memory of what trains them, counted from shapes alone, and what to type where not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import get_args

from harness import amounts
from harness.amounts import GIB
from harness.columns import columns
from harness.plan import Name, label, without_seed
from harness.spec import Cell

ROOM = 0.9
"""Share of a device's memory that may be planned with: driver, scratch memory and gaps want the rest."""
MOST = 64
"""Processes that are suggested at the most."""

Measure = Callable[[Cell, int, str], int | None]
"""(cell, images of one process, recompute) -> bytes; None where it cannot be told."""


@dataclass(frozen=True, kw_only=True)
class Device:
    """What holds a process of a cell, or a process of each of several cells."""

    noun: str = "GPU"
    gib: float | None = None
    """Its memory, where that is known."""
    cells: int = 1
    """That share it."""
    processes: int = 1
    """Of each cell, one a device."""
    fewer: str = ""
    """What to type for fewer cells that share it."""
    more: str = ""
    """Where to say that a cell is to have more processes; empty where it cannot."""


def memory(cells: Sequence[Cell], measure: Measure, device: Device, recompute: str, name: Name = label) -> list[str]:
    """Lines: what the cells of each shape need of a device, what they would with all recomputed, what will not fit."""
    shapes = Counter(cell.seedless for cell in cells)
    rows, warnings = [], []
    for shape, count in shapes.items():
        batch = -(-shape.recipe.batch // device.processes)
        row = without_seed(name(shape))
        told = _Told(shape, batch, measure, device)
        if (size := told(recompute)) is None:
            rows.append((f"{count} x", row, "unknown", ""))
            continue
        least = told("everything") if recompute != "everything" else None
        beside = f"recompute {recompute}" if recompute != "nothing" else ""
        beside += (
            (", " if beside else "") + f"with --recompute everything {amounts.memory(least)}"
            if least is not None
            else ""
        )
        rows.append((f"{count} x", row, f"about {amounts.memory(size)} at batch {batch}", beside))
        warnings += _too_much(shape, row, told, device, recompute)
    if not rows:
        return []
    shared = f", shared by {device.cells} cells" if device.cells > 1 else ""
    head = f"memory of a {device.noun}{shared}, counted from the shapes of a step:"
    return [head, columns(rows, indent="  "), *warnings]


@dataclass(frozen=True)
class _Told:
    """Bytes on a device, by the way to recompute; measured when asked for."""

    shape: Cell
    batch: int
    measure: Measure
    device: Device

    def __call__(self, recompute: str) -> int | None:
        size = self.measure(self.shape, self.batch, recompute)
        return None if size is None else size * self.device.cells


def fits(size: int | None, gib: float | None) -> bool:
    """Whether `size` bytes go into `gib`; of what is unknown that is hoped."""
    return size is None or gib is None or size <= ROOM * gib * GIB


def _too_much(shape: Cell, name: str, told: _Told, device: Device, recompute: str) -> list[str]:
    """If it does not fit, a line with what to type."""
    size = told(recompute)
    if size is None or device.gib is None or fits(size, device.gib):
        return []
    from baselines.recompute import Recompute  # late: it brings torch

    all_ways = get_args(Recompute)
    less = all_ways[all_ways.index(recompute) + 1 :]
    found = ((way, told(way)) for way in less)
    ways = [
        f"--recompute {way} ({amounts.memory(size)})"
        for way, size in found
        if size is not None and fits(size, device.gib)
    ]
    ways = ways[:1]
    ways += [device.fewer] if device.cells > 1 and fits(size // device.cells, device.gib) else []
    processes, asked = device.processes * 2, shape.recipe.batch
    while device.more and processes <= min(MOST, asked // 2):
        each = told.measure(shape, -(-asked // processes), recompute)
        if each is not None and fits(each, device.gib):
            ways.append(f"processes = {processes} in {device.more} ({amounts.memory(each)} each)")
            break
        processes *= 2
    advice = f"type {', or '.join(ways)}" if ways else f"it wants a {device.noun} with more"
    return [
        f"  {name} will not fit: about {amounts.memory(size)} into a {device.noun} of {device.gib:.3g} GiB; {advice}"
    ]
