"""A store at preset `cpu` in which every kind of row occurs, and the report of it."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from outcomes import result
from reported import finished, planned

from harness.cli import main
from harness.result import Failure
from harness.store import Store


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
def file(store: Path) -> Path:
    """The report of it."""
    path = store.parent / "report.html"
    assert main(["report", "--preset", "cpu", "--store", str(store), "--out", str(path)]) == 0
    return path
