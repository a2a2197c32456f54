"""Results as one tidy table of epochs: what figures are drawn from, and the CSV beside them. Imports pandas."""

from __future__ import annotations

import math
from collections.abc import Iterable

import pandas as pd

from harness.result import Result

CELL = ("dataset", "method", "architecture", "timesteps", "seed")
CURVE = ("test_accuracy", "train_accuracy", "test_loss", "train_loss", "learning_rate")
COLUMNS = (*CELL, "epoch", *CURVE, "key")
"""Names as in the registries, accuracies in percent, losses in nats; `key` is that of the cell in the store."""


def whole(result: Result) -> bool:
    """Whether every epoch of the recipe has a finite test accuracy: a curve with a hole is no part of a mean."""
    curve = result.curve.test_accuracy
    return len(curve) == result.cell.recipe.epochs and all(map(math.isfinite, curve))


def epochs(results: Iterable[Result]) -> pd.DataFrame:
    """A row an epoch (from 1) of each result, in the order given; a series that was not recorded is empty."""
    frames = [_epochs(result) for result in results]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=list(COLUMNS))


def mean(data: pd.DataFrame, column: str = "test_accuracy") -> pd.Series:
    """Over the results in `data`, by epoch."""
    return pd.Series(data.groupby("epoch")[column].mean())


def of(data: pd.DataFrame, keys: Iterable[str]) -> pd.DataFrame:
    """The epochs of the cells with these keys."""
    return pd.DataFrame(data[data["key"].isin(list(keys))])


def csv(data: pd.DataFrame) -> str:
    """Every digit of every number, so that the results can be had back from it."""
    return data.to_csv(index=False, lineterminator="\n")


def _epochs(result: Result) -> pd.DataFrame:
    cell = result.cell
    data = pd.DataFrame({name: pd.Series(getattr(result.curve, name), dtype=float) for name in CURVE})
    data = data.assign(**{name: getattr(cell, name) for name in CELL}, epoch=data.index + 1, key=cell.key)
    return data.reindex(columns=list(COLUMNS))
