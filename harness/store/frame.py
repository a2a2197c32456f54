"""Results as one tidy table of epochs: what figures are drawn from, and the CSV beside them. Imports pandas."""

from __future__ import annotations

import math
from collections.abc import Iterable

import pandas as pd

from harness.printable import inert
from harness.spec import Cell
from harness.store import tidy
from harness.store.result import Failure, Progress, Result
from harness.store.tidy import CELL, CURVE, EPOCHS

__all__ = ["CELL", "cells", "csv", "epochs", "mean", "of", "whole"]


def whole(result: Result) -> bool:
    """Whether every epoch of the recipe has a finite test accuracy: a curve with a hole is no part of a mean."""
    curve = result.curve.test_accuracy
    return len(curve) == result.cell.recipe.epochs and all(map(math.isfinite, curve))


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


def mean(data: pd.DataFrame, column: str = "test_accuracy") -> pd.Series:
    """Over the results in `data`, by epoch."""
    return pd.Series(data.groupby("epoch")[column].mean())


def of(data: pd.DataFrame, keys: Iterable[str]) -> pd.DataFrame:
    """The epochs of the cells with these keys."""
    return pd.DataFrame(data[data["key"].isin(list(keys))])


def csv(data: pd.DataFrame) -> str:
    """Every digit of every number, so that the results can be had back from it; no text that is a formula."""
    texts = data.select_dtypes(include=["object", "string"]).columns
    data = data.assign(**{name: [inert(v) if isinstance(v, str) else v for v in data[name]] for name in texts})
    return data.to_csv(index=False, lineterminator="\n")
