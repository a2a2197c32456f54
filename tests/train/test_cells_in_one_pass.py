"""`one_pass = true` in a recipe: another key, really done, and refused in one line where it cannot be."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from baselines import kernels
from baselines.kernels import compiled, manual, normed
from harness.errors import UserError
from harness.spec import Cell, Recipe
from harness.store import Store
from harness.train import worker

SMALL = Recipe(epochs=1, batch=20, size=32, width=0.06, train_samples=60, test_samples=40, one_pass=True)
CELL = Cell(method="mpbn", architecture="resnet20", dataset="digits", timesteps=2, seed=0, recipe=SMALL)


@pytest.mark.skipif(compiled.library() is None, reason="no C compiler here")
def test_a_cell_trains_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    joined: list[object] = []

    def train(layer, norm, x):  # type: ignore[no-untyped-def]
        joined.append(norm)
        return seen(layer, norm, x)

    seen = normed.train
    monkeypatch.setattr(normed, "train", train)
    monkeypatch.setattr(worker, "prove", lambda network, batches: ())  # after so few steps a layer is silent
    assert worker.run_cell(CELL, tmp_path) == "done"
    assert Store(tmp_path).result(CELL) is not None
    assert len(joined) == 3 * 11  # batches, norms


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"method": "plif"}, "no batch norm stands right before neurons"),
        ({"recipe": msgspec.structs.replace(SMALL, precision="float64")}, "float32"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(change: dict[str, object], why: str) -> None:
    with pytest.raises(UserError, match=why) as caught:
        worker.prepare(msgspec.structs.replace(CELL, **change), None)
    assert "leave `one_pass` out" in str(caught.value) and "\n" not in str(caught.value)


def test_without_a_compiler_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "chosen", lambda device: manual)
    with pytest.raises(UserError, match="fused CPU kernel is needed"):
        worker.prepare(CELL, None)
