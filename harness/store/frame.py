"""What `tidy` tells as tables of pandas. Imports it."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from harness.spec import Cell
from harness.store import tidy
from harness.store.result import Failure, Progress, Result
from harness.store.tidy import CURVE, EPOCHS


def epochs(results: Iterable[Result]) -> pd.DataFrame:
    """A row an epoch (from 1) of each result, in the order given; a series that was not recorded is empty."""
    rows = [row for result in results for row in tidy.epochs(result)]
    return pd.DataFrame(rows, columns=list(EPOCHS)).astype(dict.fromkeys(CURVE, float) if rows else {})


def cells(found: Iterable[tuple[Cell, Result | Failure | Progress | None]]) -> pd.DataFrame:
    """A row a cell, in the order given: what it is, its recipe (`recipe_...`), what came of it."""
    found = list(found)
    names = tidy.recipe_names(cell for cell, _ in found)
    rows = [(*tidy.of_cell(c), *tidy.of_recipe(c.recipe, names), *tidy.summary(outcome)) for c, outcome in found]
    return pd.DataFrame(rows, columns=tidy.cell_columns(names))
