"""A seed that is no number, absent, or another preset's: every verb shows that, and averages the other two alone."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import pytest
from reported import finished, planned

from harness.cli import main
from harness.jobs import launch
from harness.spec import Cell
from harness.store import Store

PRESET = ("--preset", "smoke", "--store", "runs")
HALF = ("--only", "timesteps=2")
KEPT, LOST = (60.0, 64.0), 95.0
"""Accuracies of the row in question: of two seeds, whose mean is 62, and of the third; with it the mean were 73."""
DAMAGED = "is damaged"
ANOTHER = "holds the result of another cell"


def row(method: str) -> tuple[Cell, ...]:
    """T = 2 on the digits."""
    lines = planned("table1", "smoke").lines
    return next(line.cells for line in lines if (line.row.method, line.row.timesteps) == (method, 2))


def not_a_number(cell: Cell, store: Store) -> None:
    """As Python's own json writes it; the harness itself does not."""
    store.write_result(finished(cell, LOST))
    path = store.folder(cell) / "result.json"
    written = json.loads(path.read_text())
    written["best_accuracy"] = written["last_accuracy"] = "HERE"
    path.write_text(json.dumps(written).replace('"HERE"', "NaN"))


def of_another_preset(cell: Cell) -> Cell:
    return msgspec.structs.replace(cell, recipe=msgspec.structs.replace(cell.recipe, epochs=cell.recipe.epochs + 1))


def mixed_in(cell: Cell, store: Store) -> None:
    store.write_result(finished(of_another_preset(cell), LOST))


def put_in_its_place(cell: Cell, store: Store) -> None:
    """Its file lies in the folder of the cell asked for."""
    mixed_in(cell, store)
    store.announce([cell])
    folder = store.folder(of_another_preset(cell))
    (folder / "result.json").rename(store.folder(cell) / "result.json")


FAULTS: dict[str, tuple[Callable[[Cell, Store], None], str]] = {
    "NaN": (not_a_number, DAMAGED),
    "missing": (lambda cell, store: None, ""),
    "mixed": (mixed_in, ""),
    "misplaced": (put_in_its_place, ANOTHER),
}


@pytest.fixture(params=list(FAULTS))
def said(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The store ./runs: a whole row of MPBN, and of the baseline two seeds and the fault. What is said of its file."""
    monkeypatch.chdir(tmp_path)
    fault, words = FAULTS[request.param]
    store = Store("runs")
    for seed, cell in enumerate(row("mpbn")):
        store.write_result(finished(cell, 90.0 + seed))
    for accuracy, cell in zip(KEPT, row("vanilla"), strict=False):
        store.write_result(finished(cell, accuracy))
    fault(row("vanilla")[2], store)
    return words


@pytest.fixture
def run(said: str, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Standard output of a verb, which must end with `code` and complain of the file where there is one."""

    def run(*typed: str, code: int) -> str:
        assert main([*typed, *PRESET]) == code
        out, error = capsys.readouterr()
        assert (said in error) if said else ("result.json" not in error)
        return out

    return run


def the_baseline(text: str) -> dict[str, str]:
    (found,) = [line for line in csv.DictReader(io.StringIO(text)) if line["row"] == "3"]
    return found


def test_table(run: Callable[..., str]) -> None:
    found = the_baseline(run("table", "table1", *HALF, "--format", "csv", code=1))
    assert (float(found["accuracy"]), found["n"], found["verdict"]) == (62.0, "2", "incomplete")
    assert found["evidence"].startswith("2/3 seeds") and float(found["last_accuracy"]) == 62.0


@pytest.mark.parametrize("kind", ["figure2", "inflation"])
def test_figure(run: Callable[..., str], kind: str) -> None:
    told = run("figure", kind, *HALF, "--out", "out", code=1)
    assert "without MPBN: 2 of 3 seeds (1 missing)" in told
    drawn = pd.read_csv(f"out/{kind}-paper-smoke.csv")
    assert set(drawn["key"]) == {cell.key for cell in (*row("vanilla")[:2], *row("mpbn"))}
    assert "n = 2 of 3" in Path(f"out/{kind}-paper-smoke.svg").read_text()


def test_claims(run: Callable[..., str]) -> None:
    (found,) = json.loads(run("claims", "mpbn-over-vanilla", "--format", "json", code=0))["rows"]
    assert found["as_measured"] != "holds" and found["n"] == 2
    assert "+28.50" in found["measured"] and "(n = 2)" in found["measured"]  # of 90 - 60 and 91 - 64


def test_compare(run: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "worker", never)
    asked = ("compare", "mpbn", "--on", "table1", *HALF, "--place", "inline", "--rounds", "0", "--format", "json")
    (found,) = [line for line in json.loads(run(*asked, code=1))["rows"] if line["against"] == "baseline" and line["n"]]
    assert (found["n"], found["finding"]) == (2, "incomplete") and found["difference"] == pytest.approx(28.5)


def never(*given: Any) -> str:
    raise AssertionError("nothing was to be trained")


def test_report(run: Callable[..., str], said: str) -> None:
    run("report", "table1", "figure2", "--out", "report.html", code=0)
    page = Path("report.html").read_text()
    assert "62.00±2.83 (2 of 3)" in page and "73.0" not in page
    assert f"{LOST:.2f}" not in page and (said in page or not said)


def test_export(run: Callable[..., str]) -> None:
    run("export", "table1", *HALF, "--out", "out", code=0)
    cells, epochs = (pd.read_csv(f"out/{name}.csv").set_index("key") for name in ("cells", "epochs"))
    kept, lost = [cell.key for cell in row("vanilla")[:2]], row("vanilla")[2].key
    assert list(cells.loc[kept, "accuracy"]) == list(KEPT) and set(cells.loc[kept, "status"]) == {"done"}
    assert cells.loc[lost, "status"] == "missing" and pd.isna(cells.loc[lost, "accuracy"])
    assert lost not in epochs.index and LOST not in set(epochs["test_accuracy"])


def test_latex(run: Callable[..., str]) -> None:
    (path,) = run("export", "table1", *HALF, "--format", "latex", "--out", "out", code=0).split()
    text = Path(path).read_text()
    assert "62.00" in text and "73.00" not in text and "incomplete" in text
