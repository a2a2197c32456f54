"""What a dry run times: a procedure's own steps, of as many timesteps as are shown at once."""

from __future__ import annotations

import pytest
import torch

from baselines import METHODS
from harness.measure import timing
from harness.spec import Cell, Recipe

RECIPE = Recipe(epochs=1, batch=50, size=16, width=0.1, train_samples=200, test_samples=100)
ANN = Cell(method="ann", architecture="resnet20", dataset="digits", timesteps=1, seed=0, recipe=RECIPE)
RMP = Cell(method="rmp", architecture="resnet20", dataset="digits", timesteps=40, seed=0, recipe=RECIPE, origin=ANN)


def test_long_runs_are_timed_by_their_first_timesteps(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    prepare = timing.prepare
    monkeypatch.setattr(timing, "prepare", lambda cell, root: seen.append(cell.timesteps) or prepare(cell, root))
    assert timing.epoch(RMP, None) > 0
    assert seen == [timing.LONG] and RMP.timesteps > timing.LONG


def test_what_is_not_trained_costs_an_evaluation_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not METHODS.get("rmp").procedure.trains  # whose `step` would raise
    torch.manual_seed(0)
    assert timing.epoch(RMP, None) > 0 and timing.epoch(ANN, None) > 0
