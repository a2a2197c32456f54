"""A store at preset `cpu` in which every kind of row occurs, and the report of it."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec
import pytest
from outcomes import result
from reported import finished, planned

from harness.cli import main
from harness.measure.spec import Benched, Setting, Timing
from harness.store import Store
from harness.store.result import Failure


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Table 1: rows 3 and 4 are whole, a seed of row 1 diverged, one of row 2 is no number, 5 and 6 are missing."""
    root = tmp_path_factory.mktemp("place") / "runs"
    lines, held = planned().lines, Store(root)
    for line, accuracy in zip(lines[2:4], (61.0, 63.5), strict=True):
        for cell in line.cells:
            held.write_result(finished(cell, accuracy + cell.seed / 2))
    for cell in lines[0].cells[:2]:
        held.write_result(finished(cell, 50.0))
    lost = lines[0].cells[2]
    held.write_failure(Failure(cell=lost, kind="diverged", reason="loss is inf <b>", epoch=3, when="now"))
    held.write_result(result(lines[1].cells[0], math.nan))
    return root


@pytest.fixture(scope="session")
def bench(store: Path) -> Path:
    """A folder with one recorded bench: a reference, its control, a subject that is slower."""
    setting = Setting(architecture="resnet20", width=0.25, timesteps=4, batch=32)

    def timing(subject: str, ratio: float, verdict: str = "") -> Timing:
        values = {"milliseconds": 10 * ratio, "ratio": ratio, "low": ratio - 0.01, "high": ratio + 0.01}
        said = {"reference": "vanilla <b>", "clock": "cpu", "within": 0.02 if verdict else None, "verdict": verdict}
        return Timing(setting=setting, subject=subject, **values, **said)

    where = {"device": "cpu", "cpu": "a <fast> one", "threads": 1, "packages": {"torch": "2.15.0"}, "neurons": "C"}
    benched = Benched(
        bench="latency",
        title="Inference, folded",
        rounds=160,
        timings=(timing("vanilla <b>", 1.0), timing("A/A control", 1.003), timing("mpbn, folded", 1.234, "slower")),
        environment=where | {"command": "python -m harness bench latency"},
        when="2026-11-24T10:00:00+00:00",
    )
    folder = store.parent / "bench"
    folder.mkdir()
    (folder / "latency-cpu.json").write_bytes(msgspec.json.encode(benched))
    return folder


@pytest.fixture(scope="session")
def file(store: Path, bench: Path) -> Path:
    """The report of both."""
    path = store.parent / "report.html"
    typed = ["report", "--preset", "cpu", "--store", str(store), "--bench", str(bench), "--out", str(path)]
    assert main(typed) == 0
    return path
