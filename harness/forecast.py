"""How long a plan will take, from timing a few steps of each distinct shape."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from harness.spec import Cell


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one cell of a shape costs. `cell` stands for all cells that differ from it only by seed."""

    cell: Cell
    cells: int
    seconds_per_epoch: float

    @property
    def seconds_per_cell(self) -> float:
        return self.seconds_per_epoch * self.cell.recipe.epochs

    @property
    def seconds(self) -> float:
        return self.seconds_per_cell * self.cells


@dataclass(frozen=True, kw_only=True)
class Forecast:
    costs: tuple[Cost, ...]
    jobs: int

    @property
    def seconds(self) -> float:
        """One job after another."""
        return sum(cost.seconds for cost in self.costs)

    @property
    def wall_seconds(self) -> float:
        """With `jobs` at a time, longest first: no less than the longest cell, no less than an even share."""
        longest = max((cost.seconds_per_cell for cost in self.costs), default=0.0)
        return max(longest, self.seconds / self.jobs)


def forecast(cells: Sequence[Cell], measure: Callable[[Cell], float], jobs: int) -> Forecast:
    """`measure(cell)` -> seconds per epoch, called once for each distinct shape among `cells`."""
    shapes = Counter(msgspec.structs.replace(cell, seed=0) for cell in cells)
    costs = (Cost(cell=shape, cells=count, seconds_per_epoch=measure(shape)) for shape, count in shapes.items())
    return Forecast(costs=tuple(costs), jobs=jobs)
