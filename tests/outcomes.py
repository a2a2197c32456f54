"""Results and fold proofs as a worker would leave them, with what a test does not care about filled in."""

from __future__ import annotations

from typing import Any

import msgspec

from harness.spec import Cell
from harness.store.result import Curve, FoldProof, LayerCheck, Result


def proof(**changes: Any) -> FoldProof:
    layer = LayerCheck(name="lif", neurons=1000, spikes=300, mismatches=0)
    given = {
        "fold": "mpbn-threshold",
        "precision": "float32",
        "samples": 9,
        "layers": (layer,),
        "logit_difference": 0.0,
    }
    given |= {"accuracy_before": 90.0, "accuracy_after": 90.0, "exact": True, "passed": True}
    return FoldProof(**(given | changes))


def result(cell: Cell, accuracy: float, **changes: Any) -> Result:
    """With a curve whose first epoch is the best, unless one is given: then best and last are those of that."""
    later = (accuracy - 0.2,) * (cell.recipe.epochs - 1)
    curve = changes.get("curve", Curve(test_accuracy=(accuracy, *later)))
    series = curve.test_accuracy or (accuracy, accuracy - 0.2)
    given = {"curve": curve, "best_accuracy": max(series), "best_epoch": series.index(max(series)) + 1}
    given |= {"last_accuracy": series[-1]}
    given |= {"parameters": 1, "proofs": (proof(),), "samples": {}, "environment": {}, "started": "", "finished": ""}
    return Result(cell=cell, seconds=1.0, **(given | changes))


def metrics(result: Result) -> dict[str, object]:
    """All of a result that must repeat: everything but clocks, machine and the number of attempts."""
    everything = msgspec.to_builtins(result)
    for name in ("environment", "started", "finished", "seconds", "resumed", "attempts"):
        del everything[name]
    del everything["curve"]["seconds"]
    return everything
