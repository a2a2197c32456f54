"""What a cell, and every epoch of its result, say in columns; and rows of such columns as CSV. Imports no pandas."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Iterator
from itertools import zip_longest

from harness.printable import inert
from harness.spec import SELDOM, Cell, Recipe, notable
from harness.store.result import Failure, Progress, Result

CELL = ("dataset", "method", "architecture", "timesteps", "seed")
CURVE = ("test_accuracy", "train_accuracy", "test_loss", "train_loss", "learning_rate")
EPOCHS = (*CELL, "epoch", *CURVE, "key")
"""Names as in the registries, accuracies in percent, losses in nats; `key` is that of the cell in the store."""
SUMMARY = (
    "status", "accuracy", "best_accuracy", "best_epoch", "last_accuracy", "parameters", "seconds", "resumed",
    "fold_passed", "fold_mismatches", "reason", "device", "commit", "started", "finished",
)  # fmt: skip
"""What a finished cell has, empty for others; `reason`: why a cell failed, or a fold did."""
USUAL = [name for name in Recipe.__struct_fields__ if name not in SELDOM]


def recipe_names(cells: Iterable[Cell]) -> list[str]:
    """Fields of recipes that are told: the usual ones, and those that one of the cells changes."""
    recipes = {cell.recipe for cell in cells}
    order = Recipe.__struct_fields__
    changed = {name for recipe in recipes for name in notable(recipe)} - {*USUAL}
    return [*USUAL, *sorted(changed, key=order.index)]


def cell_columns(names: Iterable[str]) -> list[str]:
    return [*CELL, "key", "data", "source", *(f"recipe_{name}" for name in names), *SUMMARY]


def of_cell(cell: Cell) -> list[object]:
    return [*(getattr(cell, name) for name in CELL), cell.key, cell.data, cell.source]


def of_recipe(recipe: Recipe, names: Iterable[str]) -> list[object]:
    values = (getattr(recipe, name) for name in names)
    return [" ".join(map(str, value)) if isinstance(value, tuple) else value for value in values]


def summary(outcome: Result | Failure | Progress | None) -> list[object]:
    """The values of `SUMMARY`."""
    told = _summary(outcome)
    return [told.get(name) for name in SUMMARY]


def whole(result: Result) -> bool:
    """Whether every epoch of the recipe has a finite test accuracy: a curve with a hole is no part of a mean."""
    curve = result.curve.test_accuracy
    return len(curve) == result.cell.recipe.epochs and all(map(math.isfinite, curve))


def epochs(result: Result) -> Iterator[tuple[object, ...]]:
    """Rows of `EPOCHS`, from epoch 1; a series that was not recorded is empty."""
    cell = result.cell
    what, key = [getattr(cell, name) for name in CELL], cell.key
    series = zip_longest(*(getattr(result.curve, name) for name in CURVE))
    for epoch, values in enumerate(series, start=1):
        yield (*what, epoch, *values, key)


def _summary(outcome: Result | Failure | Progress | None) -> dict[str, object]:
    if isinstance(outcome, Failure):
        return {"status": "failed", "reason": f"{outcome.kind}: {outcome.reason}"}
    if not isinstance(outcome, Result):
        return {"status": "missing" if outcome is None else "running"}
    environment = outcome.environment
    return {name: getattr(outcome, name) for name in SUMMARY if hasattr(outcome, name)} | {
        "status": "done",
        "fold_passed": all(proof.passed for proof in outcome.proofs) if outcome.proofs else None,
        "fold_mismatches": sum(proof.mismatches for proof in outcome.proofs) if outcome.proofs else None,
        "reason": "; ".join(proof.why for proof in outcome.proofs if proof.why),
        "device": str(environment.get("device", "")),
        "commit": str(environment.get("commit", "")),
    }


def line(values: Iterable[object]) -> str:
    """Of CSV, without its end: every digit of every number, so that it can be had back; no text that is a formula."""
    return ",".join(
        [_text(value) if isinstance(value, str) else "" if value is None else str(value) for value in values]
    )


@functools.lru_cache(4096)
def _text(value: str) -> str:
    safe = inert(value)
    return '"' + safe.replace('"', '""') + '"' if any(sign in safe for sign in ',"\n\r') else safe
