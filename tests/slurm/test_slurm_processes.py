"""One cell over two nodes gives the numbers of one process; cells that share a job do not disturb each other."""

from __future__ import annotations

import pytest
import torch
from outcomes import metrics
from stage import Stage
from tiny import PROTOCOL

from harness.store import Store

TOLERANCE = 1e-10


def weights(store: Store, key: str) -> dict[str, torch.Tensor]:
    return torch.load(store.folder(key) / "weights.pt", weights_only=True)


def test_a_cell_over_two_nodes(stage: Stage) -> None:
    """Vanilla and MPBN in float64, two processes with gloo: losses, weights and statistics to 1e-10."""
    stage.table(PROTOCOL.replace("epochs = 6", 'epochs = 2\nprecision = "float64"'), seeds=1)
    done = stage.run("--on", stage.profile("wide", nodes=2, processes=2), "--wait")
    assert done.returncode == 0, done.stderr
    reference = stage.inline()
    for expected in reference.results():
        result = stage.store.result(expected.cell)
        assert result is not None
        assert result.environment["processes"] == 2 and expected.environment["processes"] == 1
        assert result.curve.test_accuracy == expected.curve.test_accuracy
        for name in ("train_loss", "test_loss"):
            assert getattr(result.curve, name) == pytest.approx(getattr(expected.curve, name), abs=TOLERANCE, rel=0)
        mine, theirs = weights(stage.store, result.cell.key), weights(reference, expected.cell.key)
        assert set(mine) == set(theirs)
        for name, tensor in theirs.items():
            torch.testing.assert_close(mine[name], tensor, rtol=0, atol=TOLERANCE)


def test_a_row_in_one_job(stage: Stage) -> None:
    """pack = 3: its seeds train at the same time, each with the numbers that it has alone."""
    stage.table(PROTOCOL.replace("epochs = 6", "epochs = 2"))
    stage.arguments += ["--only", "method=mpbn"]
    assert stage.run("--on", stage.profile("packed", pack=3)).returncode == 0
    assert len(stage.jobs()) == 1
    reference = stage.inline()
    stage.until_idle()
    ours, theirs = ([metrics(result) for result in store.results()] for store in (stage.store, reference))
    assert ours == theirs and len(ours) == 3
