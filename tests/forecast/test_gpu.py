"""GPU-hours come of results of GPUs, or it is said that none is known."""

from __future__ import annotations

from pathlib import Path

import msgspec
from outcomes import result

from harness.forecast.gpu import Measured, gpu_hours, speeds
from harness.measure import bench
from harness.measure.spec import Benched
from harness.measure.tried import Check, Speed
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


SMALL = Cell(method="mpbn", architecture="resnet20", dataset="cifar10", timesteps=4, seed=0, recipe=Recipe(epochs=400))
SPEED = Speed(cell=SMALL, images_per_second=10_000.0)


def tried(folder: Path, device: str = "NVIDIA H100", **changes: object) -> tuple[Measured, ...]:
    where = {"device": device, "cpu": "one", "threads": 1, "packages": {"torch": "2"}, "neurons": "", "command": ""}
    given = {"bench": "gpu", "title": "", "rounds": 1, "timings": (), "environment": where, "when": "now"}
    checks = (Check(says="a cell", outcome="holds"),)
    bench.record(Benched(**given, checks=checks, speeds=(SPEED,), **changes), folder)  # type: ignore[arg-type]
    return speeds(folder)


def test_speeds_that_were_measured_are_known_and_results_come_first(tmp_path: Path) -> None:
    measured = tried(tmp_path)
    assert measured == (Measured("NVIDIA H100", (SPEED,)),)
    empty = Store(tmp_path / "empty")
    text = gpu_hours([SMALL, SMALL.throughout(seed=1)], empty, measured)
    assert text == "on a GPU: 1.11 GPU-hours for 2 cells, by speeds measured on NVIDIA H100"  # 400 x 50,000 / 10,000 s
    fewer = msgspec.structs.replace(SMALL, method="vanilla", timesteps=2)
    text = gpu_hours([fewer, OTHER], empty, measured)
    assert text.startswith("on a GPU: 0.278 GPU-hours for 1 cells, by speeds of other sizes, scaled, on NVIDIA H100")
    assert text.endswith("no GPU speed known yet for 1 cells")
    ours = msgspec.structs.replace(CELL, timesteps=4)
    assert "scaled by 2 from tet" in gpu_hours([ours], stored(tmp_path / "runs", "NVIDIA A100"), measured)


def test_what_stood_in_for_a_gpu_is_never_believed(tmp_path: Path) -> None:
    assert tried(tmp_path / "one", stand_in=True) == ()
    assert tried(tmp_path / "two", device="cpu") == ()
    (tmp_path / "gpu-broken.json").write_text("{")
    assert speeds(tmp_path) == () == speeds(tmp_path / "nowhere")
