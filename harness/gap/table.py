"""A log as CSV: a row an epoch, columns by whatever name people give them."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from harness.errors import UserError
from harness.gap.log import Log, by_epoch, earliest, percent

NAMES = {
    "epoch": ("epoch", "step", "epochs"),
    "accuracy": (
        *("test_accuracy", "test_acc", "test_acc1", "test_top1", "val_accuracy", "val_acc", "val_acc1", "acc1"),
        *("accuracy", "acc", "top1", "value"),
    ),
    "train_accuracy": ("train_accuracy", "train_acc", "train_acc1"),
    "rate": ("learning_rate", "lr"),
    "batches": ("batches", "iterations", "steps_per_epoch", "iters"),
    "timesteps": ("timesteps", "time_steps", "t"),
}
"""Quantity -> the names under which it is looked for, in this order."""


def read(text: str, path: Path) -> Log:
    """Raises UserError for a table without a column of accuracies, or with one that holds something else."""
    dialect = "excel-tab" if "\t" in text.partition("\n")[0] else "excel"
    rows = list(csv.DictReader(io.StringIO(text), dialect=dialect))
    columns = found(rows[0].keys() if rows else ())
    if "accuracy" not in columns:
        known = ", ".join(NAMES["accuracy"][:4])
        there = ", ".join(str(name) for name in (rows[0] if rows else ()) if name)
        raise UserError("has no column of accuracies", str(path), f"name it {known}; there are {there or 'none'}")

    def series(name: str) -> tuple[float, ...]:
        return by_epoch(pairs(name))

    def pairs(name: str) -> list[tuple[int, float]]:
        column = columns.get(name)
        if column is None:
            return []
        return [(epoch(row, n), number(row[column], column, n)) for n, row in enumerate(rows) if row[column]]

    def epoch(row: dict[str, str], n: int) -> int:
        return int(number(row[columns["epoch"]], columns["epoch"], n)) if "epoch" in columns else n

    def number(value: str, column: str, n: int) -> float:
        try:
            read = float(value)
        except ValueError:
            read = math.nan
        if not math.isfinite(read):
            raise UserError(f"`{column}` is {value[:40]!r}", f"{path}: line {n + 2}", "write a number")
        return read

    batches, timesteps = (_only(series(name)) for name in ("batches", "timesteps"))
    return Log(
        kind="CSV",
        first=earliest(pairs("accuracy")),
        accuracy=percent(series("accuracy")),
        train_accuracy=percent(series("train_accuracy")),
        rates=series("rate"),
        batches=batches,
        timesteps=timesteps,
        columns=columns,
    )


def found(names: Iterable[str | None]) -> dict[str, str]:
    """Quantity -> its column, of those there are."""
    there = {name.strip().lower().replace(" ", "_").replace("-", "_"): name for name in names if name}
    return {quantity: there[name] for quantity, known in NAMES.items() for name in reversed(known) if name in there}


def _only(values: Sequence[float]) -> int | None:
    """What stands alike in all rows."""
    return int(values[0]) if len(set(values)) == 1 else None
