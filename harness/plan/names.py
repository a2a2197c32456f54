"""What cells are called, and in which order they are told."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from harness.spec import Cell, Change

if TYPE_CHECKING:
    from harness.plan.planned import Plan


Name = Callable[[Cell], str]
"""What a cell is called: its label, or more (`naming`)."""


def label(cell: Cell) -> str:
    return cell.label


def without_seed(name: str) -> str:
    """``mpbn/resnet20/digits/T2/seed0 (surrogate tanh)`` -> ``mpbn/resnet20/digits/T2 (surrogate tanh)``."""
    return re.sub(r"/seed\d+", "", name, count=1)


def naming(plans: Iterable[Plan]) -> Callable[[Cell], str]:
    """A cell -> its label, and behind it what its row changes in the recipe: ``mpbn/…/seed0 (surrogate tanh)``."""
    rows = [line for plan in plans for line in plan.lines if line.row.change != Change()]
    changes = {cell.seedless: line.row.change.text for line in rows for cell in line.cells}

    def name(cell: Cell) -> str:
        text = changes.get(cell.seedless) if changes else None
        return f"{cell.label} ({text})" if text else cell.label

    return name


def by_row(cells: Iterable[Cell]) -> list[list[Cell]]:
    """Those that differ by seed only beside each other."""
    groups: dict[Cell, list[Cell]] = defaultdict(list)
    known: dict[int, list[Cell]] = {}  # most cells of a store share the very object, which is found faster by itself
    for cell in cells:
        if (mine := known.get(id(cell.seedless))) is None:
            mine = known[id(cell.seedless)] = groups[cell.seedless]
        mine.append(cell)
    return list(groups.values())


def in_order(cells: Iterable[Cell]) -> tuple[Cell, ...]:
    """Each once, behind what it begins from."""
    return tuple({each.key: each for cell in cells for each in cell.lineage}.values())
