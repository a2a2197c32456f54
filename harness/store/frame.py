"""What `tidy` tells as tables of pandas, of a store that may be larger than the memory. Imports pandas."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

import pandas as pd

from harness.spec import Cell
from harness.store import tidy
from harness.store.result import Failure, Progress, Result
from harness.store.tidy import CURVE, EPOCHS

Outcome = Result | Failure | Progress | None
BATCH = 1000
"""Results that are held at once: each is as large as a hundred of its rows."""


def epochs(results: Iterable[Result]) -> pd.DataFrame:
    """A row an epoch (from 1) of each result, in the order given; a series that was not recorded is empty."""
    return both((result.cell, result) for result in results)[1]


def cells(found: Iterable[tuple[Cell, Outcome]]) -> pd.DataFrame:
    """A row a cell, in the order given: what it is, its recipe (`recipe_...`), what came of it."""
    return _cells([(cell, tidy.summary(outcome)) for cell, outcome in found])


def both(found: Iterable[tuple[Cell, Outcome]]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """`cells` and `epochs`, by reading once."""
    told: list[tuple[Cell, list[object]]] = []
    pieces: list[pd.DataFrame] = []
    rest = iter(found)
    while batch := list(islice(rest, BATCH)):
        told += [(cell, tidy.summary(outcome)) for cell, outcome in batch]
        rows = [row for _, outcome in batch if isinstance(outcome, Result) for row in tidy.epochs(outcome)]
        pieces += [_epochs(rows)] if rows else []
    return _cells(told), pd.concat(pieces, ignore_index=True) if pieces else _epochs([])


def _cells(told: Sequence[tuple[Cell, list[object]]]) -> pd.DataFrame:
    names = tidy.recipe_names(cell for cell, _ in told)
    rows = [(*tidy.of_cell(cell), *tidy.of_recipe(cell.recipe, names), *summary) for cell, summary in told]
    return pd.DataFrame(rows, columns=tidy.cell_columns(names))


def _epochs(rows: Sequence[tuple[object, ...]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(EPOCHS)).astype(dict.fromkeys(CURVE, float) if rows else {})
