"""Results as one tidy table of epochs: what figures are drawn from, and the CSV beside them. Imports pandas."""

from __future__ import annotations

import math
from collections.abc import Iterable

import pandas as pd

from harness.printable import inert
from harness.spec import SELDOM, Cell, Recipe, notable
from harness.store.result import Failure, Progress, Result

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


SUMMARY = (
    "status", "accuracy", "best_accuracy", "best_epoch", "last_accuracy", "parameters", "seconds", "resumed",
    "fold_passed", "fold_mismatches", "reason", "device", "commit", "started", "finished",
)  # fmt: skip
"""What a finished cell has, empty for others; `reason`: why a cell failed, or a fold did."""


USUAL = [name for name in Recipe.__struct_fields__ if name not in SELDOM]


def cells(found: Iterable[tuple[Cell, Result | Failure | Progress | None]]) -> pd.DataFrame:
    """A row a cell, in the order given: what it is, its recipe (`recipe_...`), what came of it."""
    found = list(found)
    names = list(dict.fromkeys([*USUAL, *(name for cell, _ in found for name in notable(cell.recipe))]))
    rows = [
        {name: getattr(cell, name) for name in CELL}
        | {"key": cell.key, "data": cell.data, "source": cell.source}
        | {f"recipe_{name}": _flat(getattr(cell.recipe, name)) for name in names}
        | _summary(outcome)
        for cell, outcome in found
    ]
    columns = [*CELL, "key", "data", "source", *(f"recipe_{name}" for name in names), *SUMMARY]
    return pd.DataFrame(rows, columns=columns)


def _flat(value: object) -> object:
    return " ".join(map(str, value)) if isinstance(value, tuple) else value


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


def _epochs(result: Result) -> pd.DataFrame:
    cell = result.cell
    data = pd.DataFrame({name: pd.Series(getattr(result.curve, name), dtype=float) for name in CURVE})
    data = data.assign(**{name: getattr(cell, name) for name in CELL}, epoch=data.index + 1, key=cell.key)
    return data.reindex(columns=list(COLUMNS))
