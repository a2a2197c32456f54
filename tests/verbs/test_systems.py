"""Protocol `own`: every row of the tables has a recipe or says why not, and every setting of it says its source."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from baselines import ARCHITECTURES, METHODS, SYSTEMS
from baselines.method import Method
from harness import tables
from harness.cli import main
from harness.errors import UserError, UserErrors
from harness.plan import Context, Plan, parse_only, plan
from harness.spec import Overlay, Recipe, Row
from harness.tables import load_preset, load_protocol, load_table
from harness.verbs.session import context_of
from harness.verbs.systems import slots_of, works_pages
from harness.works import SLOTS, Work, Works, shrunk, steps

PAPER = ("table2", "table3", "table4", "table5")


def own(name: str = "own") -> Works:
    works = load_protocol(name)
    assert isinstance(works, Works)
    return works


def context(name: str = "own", preset: str | None = None) -> Context:
    return context_of(own(name), load_preset(preset) if preset else None, (0,), (), lambda cell: cell)


def planned(table: str, name: str = "own", preset: str | None = None) -> Plan:
    return plan(load_table(table), context(name, preset))


@pytest.mark.parametrize("table", PAPER)
def test_every_row_has_a_recipe_or_says_what_is_not_public(table: str) -> None:
    for line in planned(table).lines:
        assert line.cells or "public" in line.blank, line.row
        for cell in (each for last in line.cells for each in last.lineage):
            assert cell.method in METHODS and cell.architecture in ARCHITECTURES


WORKS = own().work


@pytest.mark.parametrize("work", WORKS, ids=[work.name for work in WORKS])
def test_no_setting_without_a_source_and_no_source_without_a_setting(work: Work) -> None:
    bundles = {
        phase.method
        for table in tables.table_names()
        for row in load_table(table).row
        if row.method in work.methods and not own().blank(row)
        for phase in steps(row, own(), None, False)[-1:]
    }
    # the paper's own methods are told in docs/protocols.md, part by part
    slots = set[str]() if work.name == "mpbn" else {slot for bundle in bundles for slot in slots_of(bundle)}
    assert {*work.source, *work.chosen} == work.written | slots
    assert all(text.strip() for text in (*work.source.values(), *work.chosen.values()))


def test_the_slots_are_those_of_a_method() -> None:
    assert {*SLOTS} == {*Method.__dataclass_fields__} - {"description"}


def test_every_system_is_of_some_row_and_no_row_of_two() -> None:
    rows = [row for table in tables.table_names() for row in load_table(table).row]
    for work in WORKS:
        for system in work.system:
            assert any(row.method in work.methods and system.of(row) for row in rows), (work.name, system.datasets)
        for row in rows:
            assert sum(system.of(row) for system in work.system if row.method in work.methods) < 2
    methods = [method for work in WORKS for method in work.methods]
    assert len(methods) == len(set(methods))


def test_every_system_that_is_registered_is_trained_by_somebody() -> None:
    trained = {
        phase.method
        for name in ("own", "own-sane")
        for table in PAPER
        for line in planned(table, name).lines
        for cell in line.cells
        for phase in cell.lineage
    }
    assert set(SYSTEMS) == trained & set(SYSTEMS)
    assert not set(SYSTEMS) & set(METHODS)  # found there, and not listed: an idea and a system are two things


def row(table: str, method: str, **fields: object) -> Row:
    rows = (each for each in load_table(table).row if each.method == method)
    return next(each for each in rows if all(getattr(each, name) == value for name, value in fields.items()))


def test_phases_become_origins() -> None:
    inherited = next(line for line in planned("table2").lines if line.row == row("table2", "tet", timesteps=6))
    (cell,) = inherited.cells
    assert [(c.method, c.architecture, c.timesteps, c.recipe.epochs) for c in cell.lineage] == [
        ("tet-system", "resnet19-tet", 2, 300),
        ("tet-system-inherited", "resnet19-tet", 6, 50),
    ]
    first = next(line for line in planned("table2").lines if line.row == row("table2", "tet", timesteps=2))
    assert cell.origin == first.cells[0]  # trained once for both rows


def test_a_preset_shrinks_every_phase_in_proportion() -> None:
    def shown(method: str, preset: str | None) -> list[tuple[int, int | None]]:
        found = steps(row("table2", method), own(), load_preset(preset) if preset else None, preset is not None)
        return [(step.recipe.epochs, step.recipe.period) for step in found]

    assert shown("hybrid-train", None) == [(299, None), (49, None)]
    assert shown("hybrid-train", "smoke") == [(8, None), (1, None)]
    assert shown("plif", None) == [(1024, 64)] and shown("plif", "smoke") == [(8, 2)]
    glif = steps(row("table2", "glif"), own(), load_preset("smoke"), True)[0].recipe
    assert glif.mean is None and glif.deviation is None and glif.groups[1].rate == 0.1 and glif.width == 0.125
    recipes = [Recipe(epochs=300, among=5), Recipe(epochs=1)]
    small = list(shrunk(recipes, [Overlay(epochs=30)]))
    assert [(recipe.epochs, recipe.among) for recipe in small] == [(30, 1), (1, None)]
    assert next(shrunk(recipes, [Overlay(width=0.5)])).epochs == 300


def test_what_only_the_code_says_can_be_left_out() -> None:
    def both(method: str, **fields: object) -> tuple[Recipe, Recipe]:
        found = [steps(row("table2", method, **fields), own(name), None, False)[-1] for name in ("own", "own-sane")]
        return found[0].recipe, found[1].recipe

    assert [recipe.shuffled for recipe in both("inflor-snn")] == [False, True]
    assert [recipe.report for recipe in both("plif")] == ["best", "last"]
    assert [recipe.partial_batch for recipe in both("plif")] == [False, True]
    stem = row("table2", "diet-snn", architecture="resnet20")
    assert [steps(stem, own(name), None, False)[-1].method for name in ("own", "own-sane")] == [
        *("diet-snn-system-stem", "diet-snn-system")
    ]
    keys = [[c.key for line in planned("table2", name).lines for c in line.cells] for name in ("own", "own-sane")]
    assert sum(one != two for one, two in zip(*keys, strict=True)) > 20


def test_the_page_marks_what_differs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "protocol", "own", "--only", "method=tet,timesteps=2", "--format", "markdown"]) == 0
    text = capsys.readouterr().out
    assert re.search(r"\| epochs \|.*\| 400 \| 300 \| differs \|", text)
    assert re.search(r"\| schedule \|.*\| cosine \| cosine \|  \|", text)
    assert "main\\_training\\_distribute.py:152" in text and "T = 4" not in text


def test_only_may_leave_a_dataset() -> None:
    pages = works_pages(own(), parse_only(["dataset=imagenet,architecture=resnet18"]))
    assert [page.title.partition(":")[0] for page in pages] == ["MPBN", "MS-ResNet", "Real Spike", "SEW ResNet"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["protocol", "own", "--only", "method=tett"], "no work has method `tett`; did you mean `tet`?"),
        (["protocol", "own", "--only", "seed=0"], "a protocol is not shown by `seed`"),
        (["protocol", "own", "--only", "method=tet,dataset=mnist"], "no system is left"),
        (["protocol", "own", "--only", "meth=tet"], "unknown key `meth`; did you mean `method`?"),
        (["protocol", "--only", "method=tet"], "`--only` is of a protocol of works"),
        (["0123456789", "--only", "method=tet"], "a cell is shown without `--only`"),
        (["protocol", "owm"], "unknown protocol `owm`; did you mean `own`?"),
    ],
)
def test_bad_input_is_one_line(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", *words]) == 2
    told = capsys.readouterr().err
    assert said in told and told.count("\n") == 1


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    shutil.copytree(tables.folder() / "protocols", tmp_path / "protocols")
    return tmp_path / "protocols"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("lr = 1e-3\n", "lr = 1e-3\nperiod = 7\n", "`period` has no source; say in [source]"),
        ("batch = 512\n", "", "its recipe does not say `batch`"),
        ('batch = "main', 'bach = "main', "unknown key `bach`; did you mean `batch`?"),
        ('lr = "main', 'momentum = "main', "a source for `momentum`, which nothing sets"),
        ("lr = 1e-3\n", "lr = -1.0\n", "`lr` is -1.0"),
        ('optimiser = "adam"\n', 'optimiser = "adamw"\n', "optimiser"),
        ("[[quirk]]", "[[qirk]]", "qirk"),
    ],
)
def test_a_work_that_is_wrong_says_where(old: str, new: str, said: str, copied: Path) -> None:
    file = copied / "own" / "tet.toml"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    with pytest.raises((UserError, UserErrors)) as caught:
        load_protocol(copied / "own.toml")
    assert said in str(caught.value) and "tet.toml" in str(caught.value)


def test_a_folder_without_works_is_said(copied: Path) -> None:
    shutil.rmtree(copied / "own")
    with pytest.raises(UserError, match="no file in own/"):
        load_protocol(copied / "own.toml")
