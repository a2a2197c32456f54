"""Cells that cannot end their first epoch, told before it begins: samples modulo batch is one, and one is too few."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from pathlib import Path

from harness import data
from harness.errors import UserError
from harness.spec import Cell


def problems(cells: Iterable[Cell], data_root: Path | None) -> dict[Cell, UserError]:
    """Of the cells whose last batch is a single sample of which their network can take no statistics."""
    count = functools.cache(lambda dataset: data.samples(dataset, data_root)["train"])  # lists all files of a tree
    return {cell: problem for cell in cells if (problem := _problem(cell, count)) is not None}


def _problem(cell: Cell, count: Callable[[str], int]) -> UserError | None:
    samples, batch = _samples(cell, count), cell.recipe.batch
    if samples is None or samples % batch != 1 or _takes_one(cell):
        return None
    what = f"an epoch of {samples:,} samples in batches of {batch} ends with one of a single sample"
    return UserError(f"{what}, too few for the network's statistics", cell.label, "change `batch` or `train_samples`")


def _samples(cell: Cell, count: Callable[[str], int]) -> int | None:
    """Of training; None where only a loaded set could tell."""
    recipe = cell.recipe
    if recipe.train_samples is not None or recipe.split is not None:
        return recipe.train_samples
    return count(cell.dataset)


def _takes_one(cell: Cell) -> bool:
    from harness.measure.footprint import footprint  # late: it brings torch

    if (known := data.frame(cell.dataset, cell.recipe)) is None:
        return True
    try:
        footprint(cell, *known, batch=1)
    except ValueError:  # of batch normalisation, torch's as ours
        return False
    except (RuntimeError, NotImplementedError):  # a part of the user's that asks for numbers
        return True
    return True
