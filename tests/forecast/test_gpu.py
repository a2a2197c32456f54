"""GPU-hours come of results of GPUs, or it is said that none is known."""

from __future__ import annotations

from pathlib import Path

from outcomes import result

from harness.forecast.gpu import gpu_hours
from harness.spec import Cell, Recipe
from harness.store import Store

CELL = Cell(method="tet", architecture="resnet19", dataset="cifar10", timesteps=2, seed=0, recipe=Recipe(epochs=10))
OTHER = Cell(method="plif", architecture="plifnet", dataset="cifar10", timesteps=8, seed=0, recipe=Recipe(epochs=10))


def stored(root: Path, device: str) -> Store:
    store = Store(root)
    done = result(CELL, 90.0, environment={"device": device})
    with store.claim(CELL) as claim:  # type: ignore[union-attr]
        store.write_result(done, claim)
    return store


def test_nothing_is_known_of_an_empty_store_nor_of_one_made_by_a_processor(tmp_path: Path) -> None:
    for store in (Store(tmp_path / "empty"), stored(tmp_path / "cpu", "cpu")):
        assert gpu_hours([CELL, OTHER], store).startswith("on a GPU: no GPU speed known yet for 2 cells")


def test_hours_are_those_of_a_gpu_and_the_rest_is_told(tmp_path: Path) -> None:
    store = stored(tmp_path, "NVIDIA H100")
    longer = Cell(
        method="tet", architecture="resnet19", dataset="cifar10", timesteps=2, seed=1, recipe=Recipe(epochs=10 * 3600)
    )
    text = gpu_hours([longer, OTHER], store)
    assert "1 GPU-hours for 1 cells" in text and "no GPU speed known yet for 1 cells" in text
