"""Figures from a store whose curves are known: the numbers are the results, the bold line their mean, gaps are told."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import stand_in
from outcomes import result

from harness import tables
from harness.cli import main
from harness.errors import UserError, UserErrors
from harness.jobs import launch
from harness.plan import Plan, plan
from harness.render import figures
from harness.requests import Asked
from harness.spec import Cell, Figure
from harness.store import Store
from harness.store.result import Curve, Failure, Result
from harness.verbs import session

pytestmark = pytest.mark.usefixtures("cifar10_alone")

COLUMNS = "dataset,method,architecture,timesteps,seed,epoch,test_accuracy,train_accuracy,test_loss,train_loss,"
COLUMNS += "learning_rate,key"
FIGURE = "figure2"
SUFFIXES = ("csv", "pdf", "png", "svg")
HEAD = 'name = "mine"\ntitle = "Mine"\n'


def panel(*rows: str) -> str:
    return f"[[panel]]\nrow = [{', '.join(rows)}]\n"


def row(method: str, timesteps: int, more: str = "") -> str:
    return f'{{ method = "{method}", architecture = "resnet20", dataset = "cifar10", timesteps = {timesteps}{more} }}'


def planned(preset: str | None = None, name: str = FIGURE) -> Plan:
    return plan(tables.load_figure(name), session.context_for(Asked(preset=preset)))


def curve(cell: Cell) -> Curve:
    """No two cells and no two series share a number, and not all of them are short."""
    base = 20 + len(cell.dataset) + len(cell.method) + cell.seed / 3

    def series(by: float) -> tuple[float, ...]:
        return tuple(by + base + epoch / 7 for epoch in range(cell.recipe.epochs))

    names = ("train_loss", "train_accuracy", "test_loss", "test_accuracy", "learning_rate", "seconds")
    return Curve(**{name: series(5.0 * number) for number, name in enumerate(names)})


def finished(cell: Cell) -> Result:
    return result(cell, max(curve(cell).test_accuracy), curve=curve(cell))


def filled(root: Path, preset: str | None = None, without: int | None = None) -> dict[str, Result]:
    """All results but those of the seed `without`, by key."""
    made = {cell.key: finished(cell) for cell in planned(preset).cells if cell.seed != without}
    for one in made.values():
        Store(root).write_result(one)
    return made


def draw(root: Path, *more: str, verb: str = "figure", name: str = FIGURE) -> int:
    return main([verb, name, "--store", str(root / "runs"), "--out", str(root / "out"), *more])


def lines(plan: Plan, outcomes: dict[str, Result]) -> Iterator[tuple[str, float, list[float]]]:
    """Label, width and heights of all that is drawn."""
    for axes in figures.draw(plan, outcomes)[0].axes:
        for line in axes.get_lines():
            yield str(line.get_label()), line.get_linewidth(), list(line.get_ydata())


def test_the_csv_is_the_results(tmp_path: Path) -> None:
    made = filled(tmp_path / "runs", "cpu")
    assert draw(tmp_path, "--preset", "cpu") == 0
    path = tmp_path / "out/figure2-paper-cpu.csv"
    assert path.read_text().splitlines()[0] == COLUMNS
    data = pd.read_csv(path)
    assert list(dict.fromkeys(data["key"])) == list(made) and len(made) == 6
    for key, rows in data.groupby("key"):
        cell, series = made[str(key)].cell, made[str(key)].curve
        for name in ("dataset", "method", "architecture", "timesteps", "seed"):
            assert set(rows[name]) == {getattr(cell, name)}
        assert list(rows["epoch"]) == list(range(1, cell.recipe.epochs + 1))
        for name in ("test_accuracy", "train_accuracy", "test_loss", "train_loss", "learning_rate"):
            assert tuple(rows[name]) == getattr(series, name)  # to the last bit


def test_the_bold_line_is_the_mean_and_every_seed_is_a_thin_one(tmp_path: Path) -> None:
    plan = planned("cpu")
    made = filled(tmp_path, "cpu", without=1)
    drawn = list(lines(plan, made))
    for line in (line for line in plan.lines if line.cells):
        seeds = [list(made[cell.key].curve.test_accuracy) for cell in line.cells if cell.key in made]
        (bold,) = [d for d in drawn if d[0] == f"{line.row.label} (n = 2 of 3)"]
        assert bold[2] == pytest.approx([math.fsum(values) / 2 for values in zip(*seeds, strict=True)])
        thin = [heights for _, width, heights in drawn if width < bold[1]]
        assert all(seed in thin for seed in seeds)
    assert len(drawn) == 2 * (1 + 2)


def test_a_curve_with_a_hole_is_told_and_no_part_of_the_mean(tmp_path: Path) -> None:
    plan = planned("cpu")
    made = {cell.key: finished(cell) for cell in plan.cells}
    whole = dict(made)
    first, second = plan.lines[0].cells[:2]
    values = curve(first).test_accuracy
    made[first.key] = result(first, 50.0, curve=Curve(test_accuracy=(*values[:-1], math.nan)))
    made[second.key] = result(second, 50.0, curve=Curve(test_accuracy=values[:-1]))
    del whole[first.key], whole[second.key]
    told = figures.write(plan, made, tmp_path)[-2]
    assert "1 of 3 seeds (seed 0 has no whole curve, seed 1 has no whole curve)" in told
    assert set(pd.read_csv(tmp_path / "figure2-paper-cpu.csv")["key"]) == set(whole)
    bold = [heights for label, _, heights in lines(plan, made) if label == "without MPBN (n = 1 of 3)"]
    assert bold == [list(made[plan.lines[0].cells[2].key].curve.test_accuracy)]


def test_what_is_missing_is_told_shown_and_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cells = {(cell.method, cell.seed): cell for cell in planned("cpu").cells}
    filled(tmp_path / "runs", "cpu", without=2)
    lost = Failure(cell=cells["vanilla", 2], kind="diverged", reason="the loss became nan", epoch=2, when="now")
    Store(tmp_path / "runs").write_failure(lost)
    assert draw(tmp_path, "--preset", "cpu") == 1
    told = capsys.readouterr().out.splitlines()
    assert told[:4] == [str(tmp_path / f"out/figure2-paper-cpu.{suffix}") for suffix in ("svg", "pdf", "png", "csv")]
    assert told[4:] == [
        "CIFAR-10 · ResNet20 (width × 0.25) · T = 2: without MPBN: 2 of 3 seeds (seed 2 diverged at epoch 2: "
        "the loss became nan); with MPBN: 2 of 3 seeds (1 missing)",
        "CIFAR-100 · ResNet20 · T = 2: not in preset cpu",
    ]
    picture = (tmp_path / "out/figure2-paper-cpu.svg").read_text()
    assert picture.count("(n = 2 of 3)") >= 2 and "no results</text>" not in picture
    assert "Not drawn (no results, not in preset cpu): CIFAR-100" in picture
    assert picture.count("Test accuracy (%)</text>") == 1, "a panel without results has no axes"


def test_an_empty_store_draws_nothing_and_says_what_to_type(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert draw(tmp_path) == 1
    assert not (tmp_path / "out").exists()
    said = capsys.readouterr()
    assert "nothing is measured, nothing is drawn" in said.err and "harness run figure2" in said.err and said.out == ""


def test_stand_ins_go_by_their_own_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    filled(tmp_path / "runs", "smoke")
    assert draw(tmp_path, "--preset", "smoke") == 0
    out, picture = capsys.readouterr().out, (tmp_path / "out/figure2-paper-smoke.svg").read_text()
    for text in (out, picture):
        assert "digits in place of CIFAR-10 " in text and "digits in place of CIFAR-100 " in text
    assert "protocol paper · preset smoke · trained on digits<" in picture
    data = pd.read_csv(tmp_path / "out/figure2-paper-smoke.csv")
    assert set(data["dataset"]) == {"digits"} and not data.duplicated(["key", "epoch"]).any()


def test_the_same_results_give_the_same_bytes(tmp_path: Path) -> None:
    filled(tmp_path / "runs", "cpu")
    contents = []
    for name in ("first", "second"):
        main(["figure", FIGURE, "--preset", "cpu", "--store", str(tmp_path / "runs"), "--out", str(tmp_path / name)])
        contents.append({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()})
    assert contents[0] == contents[1] and len(contents[0]) == 4
    assert not re.search(rb"<dc:date>|CreationDate", b"".join(contents[0].values()))


def test_run_trains_what_is_missing_then_draws(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "HARNESS_COMMAND"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setattr(launch, "worker", with_a_curve)
    asked = ("--preset", "smoke", "--seeds", "0,1")
    assert draw(tmp_path, *asked, "--only", "seed=0") == 1
    assert draw(tmp_path, *asked, "--on", "inline", verb="run") == 0
    told = capsys.readouterr().out.splitlines()
    assert told[-1].endswith("without MPBN: 2 of 2 seeds; with MPBN: 2 of 2 seeds")
    first = (tmp_path / "out/figure2-paper-smoke.svg").read_bytes()
    monkeypatch.setattr(launch, "worker", stand_in.die_always)
    assert draw(tmp_path, *asked, "--on", "inline", verb="run") == 0
    assert draw(tmp_path, *asked) == 0
    assert (tmp_path / "out/figure2-paper-smoke.svg").read_bytes() == first
    assert main(["status", FIGURE, *asked, "--store", str(tmp_path / "runs")]) == 0
    assert "done" in capsys.readouterr().out


def with_a_curve(cell: Cell, store_root: Path, *rest: object) -> str:
    store = Store(store_root)
    claim = store.claim(cell)
    assert claim is not None
    with claim:
        store.write_result(finished(cell), claim)
    return "done"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("figure figur2", "unknown figure `figur2`; did you mean `figure2`?"),
        ("figure table1", "`table1` is a table; type: python -m harness table table1"),
        ("table figure2", "`figure2` is a figure; type: python -m harness figure figure2"),
        ("run figur2", "unknown table or figure `figur2`; did you mean `figure2`?"),
        ("figure", "figure: arguments are required: FIGURE"),
        ("figure no.toml", "no figure file `no.toml`; shipped: "),
        ("figure figure2 --only method=mpnb", "--only: no row has method `mpnb`; did you mean `mpbn`?"),
    ],
)
def test_bad_input_is_one_line_and_2(arguments: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments.split()) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1 and message in said.err


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("panel = []\n", "mine.toml: has no panels; write at least one [[panel]]"),
        ("[[panel]]\nrow = []\n", "mine.toml: panel 1: has no rows"),
        ("[[panel]]\nrows = []\n", "mine.toml: panel 1: unknown key `rows`; did you mean `row`?"),
        (panel(row("mpbn", 0)), "mine.toml: panel 1: row 1: `timesteps` is 0"),
        (panel(row("mpbn", 1, ", accuracy = 9.0")), "mine.toml: panel 1: row 1: has a printed number; leave out"),
    ],
)
def test_a_mistake_in_a_figure_of_ones_own(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "mine.toml").write_text(HEAD + text)
    with pytest.raises(UserErrors) as caught:
        tables.load(tmp_path / "mine.toml")
    assert str(caught.value).splitlines()[0].startswith(problem)


def test_a_name_that_leaves_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(HEAD.replace("mine", "../mine") + panel(row("mpbn", 1)))
    with pytest.raises(UserError, match="write letters, digits and"):
        tables.load_figure(tmp_path / "mine.toml")


def test_curves_of_one_panel_are_told_apart_by_what_differs(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(HEAD + panel(row("mpbn", 1), row("mpbn", 4), row("rollout", 4)))
    assert isinstance(tables.load(tmp_path / "mine.toml"), Figure)
    plan = planned("cpu", str(tmp_path / "mine.toml"))
    made = {cell.key: finished(cell) for cell in plan.cells}
    bold = [
        line for axes in figures.draw(plan, made)[0].axes for line in axes.get_lines() if line.get_label()[0] != "_"
    ]
    names = ["MPBN · T = 1 (n = 3)", "MPBN · T = 4 (n = 3)", "Rollout · T = 4 (no method yet)"]
    assert [line.get_label() for line in bold] == names
    assert len({(line.get_color(), line.get_linestyle(), line.get_marker()) for line in bold}) == 3
    assert figures.write(plan, made, tmp_path)[-1] == (
        "CIFAR-10 · ResNet20 (width × 0.25): MPBN · T = 1: 3 of 3 seeds; MPBN · T = 4: 3 of 3 seeds; "
        "Rollout · T = 4: no method yet"
    )
