"""`--recompute`: training in less memory. The same bits, no part of the key, recorded, and carried to every job."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import get_args

import msgspec
import pytest
import stand_in
import torch
from fake_slurm import FakeSlurm
from outcomes import metrics
from tiny import write_tiny

from baselines.recompute import Recompute
from harness.arguments.groups import RECOMPUTE
from harness.cli import main
from harness.jobs import launch
from harness.jobs.supervisor import Supervisor
from harness.spec import Cell, Recipe
from harness.store import Store
from harness.store.result import Result
from harness.train import worker

SMALL = Recipe(epochs=2, batch=20, size=32, width=0.06, train_samples=60, test_samples=40)
CELL = Cell(method="mpbn", architecture="vgg11", dataset="digits", timesteps=2, seed=0, recipe=SMALL)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_cell_comes_out_the_same_to_the_bit(precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "prove", lambda network, batches: ())  # after so few steps a layer is silent
    one = msgspec.structs.replace(CELL, recipe=msgspec.structs.replace(SMALL, precision=precision))
    found: dict[str, Result] = {}
    weights = {}
    for way in ("nothing", "neurons", "everything"):
        assert worker.run_cell(one, tmp_path / way, recompute=way) == "done"
        result = Store(tmp_path / way).result(one)
        assert result is not None and result.environment["recompute"] == way
        found[way] = result
        weights[way] = torch.load(Store(tmp_path / way).folder(one) / "weights.pt", weights_only=True)
    for way in ("neurons", "everything"):
        assert metrics(found[way]) == metrics(found["nothing"])
        assert all(torch.equal(weights[way][name], tensor) for name, tensor in weights["nothing"].items())


def test_it_is_really_recomputed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the test above would compare one thing with itself."""
    seen: list[str] = []

    def train(network, *rest):  # type: ignore[no-untyped-def]
        seen.append(network.recompute)
        raise OSError("enough")

    monkeypatch.setattr(worker, "train", train)
    with pytest.raises(OSError, match="enough"):
        worker.run_cell(CELL, tmp_path, recompute="neurons")
    assert seen == ["neurons"]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What jobs in this process are told by name."""
    heard: list[str] = []

    def job(cell: Cell, store: Path, *rest: object, recompute: str = "nothing") -> str:
        heard.append(recompute)
        return stand_in.train(cell, store)

    monkeypatch.setattr(launch, "worker", job)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "HARNESS_COMMAND"):
        monkeypatch.setenv(name, "1")
    return heard


def test_a_run_and_a_comparison_here_carry_it(told: list[str], tmp_path: Path) -> None:
    given = [*write_tiny(tmp_path), "--store", str(tmp_path / "runs"), "--seeds", "0"]
    assert main(["run", *given, "--on", "inline", "--recompute", "neurons"]) == 0
    assert told == ["neurons"] * 2
    assert main(["run", *given, "--on", "inline", "--recompute", "everything"]) == 0
    assert told == ["neurons"] * 2  # it is no part of the key: nothing is missing
    table, *rest = given
    more = ["--place", "inline", "--rounds", "0", "--recompute", "everything"]
    main(["compare", "tdbn", "--on", table, *rest, *more])
    assert told[2:] == ["everything"]


@pytest.mark.parametrize("way", ["nothing", "everything"])
def test_the_jobs_of_a_cluster_carry_it(way: str, fake: FakeSlurm, tmp_path: Path) -> None:
    (tmp_path / "clusters").mkdir()
    (tmp_path / "clusters/mine.toml").write_text('time = "1:00:00"\n')
    there = str(tmp_path / "clusters/mine.toml")
    given = [*write_tiny(tmp_path), "--store", str(tmp_path / "runs"), "--on", there, "--seeds", "0"]
    assert main(["run", *given, *(["--recompute", way] if way != "nothing" else [])]) == 0
    files = list((tmp_path / "runs/.jobs/slurm").rglob("*_submitted.pkl"))
    jobs = [pickle.loads(path.read_bytes()).function for path in files]
    assert len(jobs) == 2 and all(isinstance(job, Supervisor) for job in jobs)
    asked = [getattr(job._work.job, "keywords", {}) for job in jobs]
    assert asked == [{"recompute": way} if way != "nothing" else {}] * 2
    assert all(getattr(job._work.job, "func", job._work.job) is launch.worker for job in jobs)


def test_an_unknown_way_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "table1", "--recompute", "neuron", "--store", str(tmp_path)]) == 2
    assert capsys.readouterr().err == "harness: unknown way to recompute `neuron`; did you mean `neurons`?\n"


def test_what_can_be_typed_is_what_there_is() -> None:
    assert get_args(Recompute) == RECOMPUTE
