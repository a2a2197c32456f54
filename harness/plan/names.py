"""What cells are called."""

from __future__ import annotations

import re
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
