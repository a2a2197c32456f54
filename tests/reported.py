"""Results with curves, proofs and provenance, and the plans they belong to: what a report is made of."""

from __future__ import annotations

from outcomes import proof, result

from harness import tables
from harness.plan import Plan, plan
from harness.requests import Asked
from harness.spec import Cell
from harness.store.result import Curve, LayerCheck, Result
from harness.verbs import session

ENVIRONMENT = {"cpu": "a <fast> one", "cores": 2, "device": "cpu", "python": "3.11.7", "packages": {"torch": "2.15.0"}}


def planned(name: str = "table1", preset: str | None = "cpu") -> Plan:
    return plan(tables.load(name), session.context_for(Asked(preset=preset)))


def finished(cell: Cell, accuracy: float) -> Result:
    """Its curve ends at `accuracy`; one layer, two folds, of which one rounds."""
    epochs = cell.recipe.epochs
    step = min(1.0, accuracy / epochs)
    test = tuple(accuracy - step * (epochs - epoch) for epoch in range(1, epochs + 1))
    layer = LayerCheck(name="lif", neurons=1000, spikes=250, mismatches=0)
    proofs = (
        proof(layers=(layer,)),
        proof(
            fold="norm-conv",
            exact=False,
            layers=(LayerCheck(name="lif", neurons=1000, spikes=250, mismatches=7),),
            logit_difference=0.25,
        ),
    )
    return result(
        cell,
        accuracy,
        last_accuracy=accuracy,
        best_epoch=epochs,
        curve=Curve(test_accuracy=test, train_accuracy=tuple(max(0.0, value - 2) for value in test)),
        proofs=proofs,
        environment={**ENVIRONMENT, "commit": f"abc{cell.seed}"},
        started="2026-11-24T09:07:13+00:00",
        finished="2026-11-24T09:43:24+00:00",
    )
