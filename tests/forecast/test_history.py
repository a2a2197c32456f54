"""How long a cell will take, by what the store's results took: the nearest of them, scaled by the work."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from outcomes import result
from stand_in import make_cell

from harness.forecast.history import Place, past
from harness.spec import Cell
from harness.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "runs")
    made.prepare()
    return made


def finished(store: Store, seconds: float, device: str, cell: Cell, cluster: str = "") -> None:
    made = {"device": device, "cluster": cluster, "pack": 1}
    store.write_result(msgspec.structs.replace(result(cell, 80.0), seconds=seconds, environment=made))


GPU = Place(cluster="mine", gpu=True)


def test_a_forecast_prefers_the_same_cluster_then_the_same_kind_of_device(store: Store) -> None:
    asked = make_cell(9)
    finished(store, 1000.0, "cpu", make_cell(0))
    assert past([asked], store, GPU) == {}
    finished(store, 100.0, "NVIDIA A100", make_cell(1))
    assert past([asked], store, GPU)[asked].seconds == 100.0
    finished(store, 50.0, "NVIDIA H100", make_cell(2), "mine")
    found = past([asked], store, GPU)[asked]
    assert found.seconds == 50.0 and found.source == "1 result there"


def test_else_the_nearest_is_scaled_by_the_work(store: Store) -> None:
    finished(store, 100.0, "cpu", make_cell(timesteps=2, epochs=10))
    finished(store, 30.0, "cpu", make_cell(timesteps=1, epochs=4))
    asked = make_cell(timesteps=4, epochs=20)
    found = past([asked], store, Place(cluster="mine", gpu=False))[asked]
    assert found.seconds == 400.0 and found.source == "scaled by 4 from vanilla/resnet20/digits/T2"
    other = msgspec.structs.replace(asked, architecture="vgg16")
    assert past([other], store, Place(cluster="mine", gpu=False)) == {}


def test_of_several_results_the_median_counts(store: Store) -> None:
    """One of them shared its machine with others; and fewer timesteps are not foretold to take longer."""
    for seed, seconds in enumerate((100.0, 110.0, 900.0)):
        finished(store, seconds, "cpu", make_cell(seed, timesteps=2))
    here = Place(cluster="", gpu=False)
    same, fewer = make_cell(9, timesteps=2), make_cell(9, timesteps=1)
    found = past([same, fewer], store, here)
    assert found[same].seconds == 110.0 and found[fewer].seconds == 55.0
    assert found[fewer].source == "scaled by 0.5 from vanilla/resnet20/digits/T2 (3 results)"


def test_cells_that_share_a_gpu_are_not_hoped_to_be_faster(store: Store) -> None:
    finished(store, 100.0, "NVIDIA A100", make_cell(0))
    asked = make_cell(9)
    assert past([asked], store, Place(cluster="mine", gpu=True, pack=3))[asked].seconds == 300.0
