"""The record of a bench that lacks what a page will ask of it takes no report down: it is left out, and said."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.errors import UserError
from harness.measure import records
from harness.render.bench import bench_pages
from harness.statements.recorded import recorded

ROOT = Path(__file__).parents[2]
RECORD = ROOT / "results" / "bench" / "training-cpu.json"
Change = Callable[[dict[str, Any]], object]
ODD: dict[str, Change] = {
    **{f"no {name}": lambda said, name=name: said["environment"].pop(name) for name in records.Where.__struct_fields__},
    "no torch": lambda said: said["environment"]["packages"].pop("torch"),
    "a text for threads": lambda said: said["environment"].update(threads="many"),
    "no bound": lambda said: said["targets"][0]["target"].update(at_least=None, at_most=None),
    "no timings": lambda said: said.pop("timings"),
}


@pytest.mark.parametrize("kind", ODD)
def test_it_is_left_out_and_said(kind: str, tmp_path: Path) -> None:
    said = json.loads(RECORD.read_bytes())
    ODD[kind](said)
    (tmp_path / "odd.json").write_text(json.dumps(said))
    (tmp_path / "good.json").write_bytes(RECORD.read_bytes())
    found, (problem,) = recorded(tmp_path)
    assert len(found) == 1 and "odd.json: no record of a bench" in str(problem) and "\n" not in str(problem)


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.json")
    with pytest.raises(UserError, match="a fifo"):
        records.read(tmp_path / "fifo.json")


def test_committed_records_are_whole() -> None:
    found, problems = recorded(RECORD.parent)
    assert len(found) == len(list(RECORD.parent.glob("*.json"))) and not problems
    assert all(bench_pages(each) for each in found)
