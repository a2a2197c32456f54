"""A job trains what its key names, goes on from what fits, and tells every attempt."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import torch

from harness import environment
from harness.errors import UserError
from harness.spec import Cell, Recipe
from harness.store import Store
from harness.store.result import Curve
from harness.train import worker
from harness.train.checkpoint import Checkpoint, State

RECIPE = Recipe(epochs=2, batch=20, size=32, width=0.06, train_samples=100, test_samples=60)
CELL = Cell(method="mpbn", architecture="vgg11", dataset="digits", timesteps=2, seed=0, recipe=RECIPE)


def interrupted_after_one(folder: Path, commit: str) -> None:
    def stop(self: Store, cell: Cell, progress: object) -> None:
        if progress.epoch == 1 and progress.accuracy is not None:  # type: ignore[attr-defined]
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "write_progress", stop)
        patch.setattr(environment, "commit", lambda: commit)
        assert worker.run_cell(CELL, folder) == "interrupted"


def test_every_attempt_is_told(tmp_path: Path) -> None:
    interrupted_after_one(tmp_path, "first")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(environment, "commit", lambda: "second")
        assert worker.run_cell(CELL, tmp_path) == "done"
    result = Store(tmp_path).result(CELL)
    assert result is not None and result.environment["commit"] == "second"
    assert [attempt["commit"] for attempt in result.attempts] == ["first"]
    assert len(result.environment["code"]) == 16 and result.attempts[0]["code"] == result.environment["code"]


def test_another_code_than_the_key_names_neither_begins_nor_goes_on(tmp_path: Path) -> None:
    interrupted_after_one(tmp_path, "first")
    store, other = Store(tmp_path), msgspec.structs.replace(CELL, source="0" * 16)
    store.folder(CELL).rename(store.folder(other))
    checkpoint = Checkpoint(store.folder(other)).newest
    before = checkpoint.read_bytes()
    with pytest.raises(UserError, match="the code here is as vouched for, the key names 0000000000000000"):
        worker.run_cell(other, tmp_path)
    assert checkpoint.read_bytes() == before and store.outcome(other) is None


@pytest.mark.parametrize("part", ["network", "optimiser", "curve", "nothing"])
def test_a_checkpoint_that_does_not_fit_is_set_aside_and_said(tmp_path: Path, part: str) -> None:
    interrupted_after_one(tmp_path, "first")
    store = Store(tmp_path)
    checkpoint = Checkpoint(store.folder(CELL))
    state = checkpoint.load()
    assert state is not None
    fields = {
        "network": {"network": {"other.weight": torch.zeros(2)}},
        "optimiser": {"optimiser": {"param_groups": [], "state": {}}},
        "curve": {"curve": Curve()},
        "nothing": {"network": {}, "optimiser": {}},
    }[part]
    checkpoint.save(State(**{**vars(state), **fields}))
    assert worker.run_cell(CELL, tmp_path) == "done"
    result = store.result(CELL)
    assert result is not None and result.resumed == 0 and not result.attempts
    assert (store.folder(CELL) / "checkpoint.pt.unfit").exists()
    assert "training begins anew" in store.log(CELL).read_text()
