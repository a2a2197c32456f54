"""Cells that differ in the recipe alone are told apart, wherever people read of them; their keys know nothing of it."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console
from stand_in import make_failure, make_result
from tiny import TABLE, write_tiny

from harness.cli import main
from harness.jobs.progress import Monitor
from harness.plan import naming
from harness.spec import Cell, Table
from harness.store import Store
from harness.tables import load_table
from harness.verbs import session

CHANGED = TABLE + '[[row]]\nmethod = "mpbn"\narchitecture = "vgg11"\ndataset = "digits"\ntimesteps = 2\nbase = 2\n'
CHANGED += 'change = { surrogate = "tanh" }\n'


@pytest.fixture
def given(tmp_path: Path) -> list[str]:
    return [*write_tiny(tmp_path, CHANGED), "--store", str(tmp_path / "runs"), "--seeds", "0"]


@pytest.fixture
def cells(given: list[str], tmp_path: Path) -> list[Cell]:
    from harness import arguments

    options = arguments.parse(["run", *given]).asked
    (plan,) = session.plans_of(options, Store(tmp_path / "runs"), lambda cells: {})
    named = [naming([plan])(cell) for cell in plan.cells]
    label = "mpbn/vgg11/digits/T2/seed0"
    assert named == ["vanilla/vgg11/digits/T2/seed0", label, f"{label} (surrogate tanh)"]
    assert [cell.label for cell in plan.cells][1:] == [label] * 2
    return list(plan.cells)


def test_every_row_of_the_open_questions_has_a_name_of_its_own() -> None:
    from harness.plan import Line, Plan
    from harness.spec import Recipe

    table = load_table("ambiguities")
    assert isinstance(table, Table)
    lines = tuple(
        Line(
            number=number,
            row=row,
            cells=(
                Cell(
                    method=row.method,
                    architecture=row.architecture,
                    dataset=row.dataset,
                    timesteps=row.timesteps,
                    seed=3,
                    recipe=row.change.onto(Recipe(epochs=4, augmentation=("crop", "flip"))),
                ),
            ),
        )
        for number, row in enumerate(table.row, start=1)
    )
    plan = Plan(table=table, protocol="paper", preset=None, lines=lines)
    names = [naming([plan])(cell) for cell in plan.cells]
    assert len(set(names)) == len(names) == len(table.row)


def test_a_dry_run_tells_them_apart(
    given: list[str], cells: list[Cell], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.verbs.dry_run._measure", lambda asked, how, step: lambda cell: 1.0)
    assert main(["run", *given, "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert said.count("mpbn/vgg11/digits/T2/seed0 (surrogate tanh)") == 1
    assert said.count("mpbn/vgg11/digits/T2 (surrogate tanh)") == 2  # its time and its memory


def test_status_tells_them_apart(given: list[str], cells: list[Cell], capsys: pytest.CaptureFixture[str]) -> None:
    store = Store(Path(given[4]))
    store.prepare()
    store.write_result(make_result(cells[1]))
    store.write_failure(make_failure(cells[2]))
    assert main(["status", *given]) == 1
    assert "mpbn/vgg11/digits/T2/seed0 (surrogate tanh)" in capsys.readouterr().out
    assert main(["status", *given, "--format", "json"]) == 1
    (table,) = json.loads(capsys.readouterr().out)
    assert {cell["key"]: cell["label"] for cell in table["cells"]}[cells[2].key].endswith("seed0 (surrogate tanh)")


def test_progress_tells_them_apart(cells: list[Cell], tmp_path: Path) -> None:
    store, said = Store(tmp_path / "runs"), io.StringIO()
    store.prepare()
    monitor = Monitor(cells, 0, store, 1, Console(file=said), lambda cell: f"<{cell.key}>")
    for cell, status in zip(cells, ("done", "cancelled", "error: no disk"), strict=True):
        store.write_result(make_result(cells[0])) if status == "done" else None
        monitor.began(cell)
        monitor.ended(cell, status)
    lines = said.getvalue().splitlines()
    assert [line.partition("<")[2].partition(">")[0] for line in lines] == [cell.key for cell in cells]
