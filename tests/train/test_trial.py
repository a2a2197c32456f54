"""What a dry run times: a procedure's own steps, of as many timesteps as are shown at once."""

from __future__ import annotations

import pytest
import torch
from test_origin import ANN, RMP

from baselines import METHODS
from harness.train import worker


def test_long_runs_are_timed_by_their_first_timesteps(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    prepare = worker.prepare
    monkeypatch.setattr(worker, "prepare", lambda cell, root: seen.append(cell.timesteps) or prepare(cell, root))
    assert worker.time_step(RMP, None) > 0
    assert seen == [worker.LONG] and RMP.timesteps > worker.LONG


def test_what_is_not_trained_costs_an_evaluation_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not METHODS.get("rmp").procedure.trains  # whose `step` would raise
    torch.manual_seed(0)
    assert worker.time_step(RMP, None) > 0 and worker.time_step(ANN, None) > 0
