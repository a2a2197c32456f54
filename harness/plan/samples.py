"""Which samples of a data set the cells are trained on, by what a store has."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.errors import UserError
from harness.plan.planned import Plan, by_row
from harness.spec import OFFICIAL, Cell

if TYPE_CHECKING:
    from harness.store import Store


Identify = Callable[[Sequence[Cell]], Mapping[str, str]]
"""Cells with `data` undecided -> data set -> `Cell.data`: one sample set for each data set, so that none are mixed."""


def stored_data(store: Store) -> Identify:
    """For showing without the data at hand: the store's official results, where it has some, else its one variant."""
    return lambda cells: data_of(store.cells())(cells)


def data_of(begun: Iterable[Cell]) -> Identify:
    """As `stored_data`, of the cells that a store has begun; they are looked through once, for any number of plans."""
    known: dict[Cell, set[str]] = defaultdict(set)
    for cell, *_ in by_row(begun):
        known[_shape(cell)].add(cell.data)

    def identify(cells: Sequence[Cell]) -> dict[str, str]:
        found: dict[str, set[str]] = defaultdict(set)
        for cell, shape in ((cell, _shape(cell)) for cell in cells):
            if shape in known:
                found[cell.dataset] |= known[shape]
        return {dataset: _the_one(dataset, data) for dataset, data in found.items()}

    return identify


def with_data(plan: Plan, identify: Identify) -> Plan:
    data = identify(plan.shown)

    def known(cells: tuple[Cell, ...]) -> tuple[Cell, ...]:
        return tuple(cell.throughout(data=data.get(cell.dataset, OFFICIAL)) for cell in cells)

    lines = (replace(line, cells=known(line.cells), alike=known(line.alike)) for line in plan.lines)
    return replace(plan, lines=tuple(lines))


def _shape(cell: Cell) -> Cell:
    """What a cell is but for its seed and its samples."""
    return cell.throughout(seed=0, data=OFFICIAL)


def _the_one(dataset: str, data: set[str]) -> str:
    if OFFICIAL in data:
        return OFFICIAL
    if len(data) > 1:
        raise UserError(
            f"the store has results of several sample sets ({', '.join(sorted(data))})",
            dataset,
            "say which by --data DIR",
        )
    return next(iter(data))
