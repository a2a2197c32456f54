"""Titles say what is seen, by the numbers that are drawn; a method has one colour wherever it is drawn."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib.axes import Axes
from outcomes import result
from reported import finished, planned

from harness import tables
from harness.plan import Plan
from harness.render import figures, look
from harness.report.chart import curves
from harness.report.picture import COLOURS
from harness.stats import Outcome

pytestmark = pytest.mark.usefixtures("cifar10_alone")

SEEDS = {"vanilla": (60.0, 61.0, 62.0), "mpbn": (62.0, 62.9, 64.0)}


def outcomes(plan: Plan) -> dict[str, Outcome]:
    return {c.key: finished(c, SEEDS.get(c.method, (60.0,) * 3)[c.seed]) for c in plan.cells}


def words(name: str, preset: str | None = "cpu") -> str:
    plan = planned_figure(name, preset)
    picture, _ = figures.draw(plan, outcomes(plan))
    return " ".join(text.get_text() for text in picture.texts)


def planned_figure(name: str, preset: str | None = "cpu") -> Plan:
    return planned(name, preset)


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("figure2", "Figure 2 · With MPBN minus without MPBN: +1.97 [+1.82, +2.11] points; n = 3 shows it"),
        ("rates", "Mean firing rate of the layers: without MPBN 25 %, with MPBN 25 %"),
        ("inflation", "Choosing the epoch on test data added nothing: in all 18 runs the last epoch was the best"),
        ("changes", "Of 14 changes n = 3 tells"),
    ],
)
def test_a_title_says_what_is_seen(name: str, title: str) -> None:
    said = words(name)
    assert said.startswith(title)
    assert tables.load_figure(name).title in said, "its own name stands beneath"


def test_what_differs_by_less_than_chance_is_not_called_shown() -> None:
    plan = planned_figure("figure2")
    noisy = {c.key: result(c, 60.0 + 3 * c.seed * (c.method == "mpbn")) for c in plan.cells}
    picture, _ = figures.draw(plan, noisy)
    said = " ".join(text.get_text() for text in picture.texts)
    assert "+3.00 [−4.45, +10.45] points; n = 3 cannot tell it from nothing" in said


def test_networks_that_end_apart_are_told_as_a_range_and_never_as_their_mean() -> None:
    plan = planned_figure("latency-accuracy", None)
    ends = {"resnet20": 94.0, "vgg16": 76.0}
    held = {c.key: finished(c, ends[c.architecture]) for c in plan.cells if c.method == "spikenorm"}
    picture, _ = figures.draw(plan, held)
    said = " ".join(text.get_text() for text in picture.texts)
    assert said.startswith("SpikeNorm 76.00 to 94.00 % after 2500 timesteps"), said


def test_no_text_runs_out_of_a_picture() -> None:
    plan = planned_figure("figure2")
    picture, _ = figures.draw(plan, outcomes(plan))
    picture.draw_without_rendering()
    for text in picture.texts:
        assert text.get_window_extent().x1 <= picture.bbox.x1, text.get_text()


def test_a_picture_of_the_page_is_the_one_that_matplotlib_saves() -> None:
    plan = planned_figure("inflation", "cpu")
    twice = io.BytesIO()
    with look.style.context(["default", look.STYLE]):
        picture = figures.draw(plan, outcomes(plan))[0]
        picture.savefig(twice, format="svg", dpi=300, metadata={"Date": None, "Title": "One"})
    assert look.svg(figures.draw(plan, outcomes(plan))[0], "One") == twice.getvalue().decode()


def test_a_picture_of_the_page_is_drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Axes] = []
    draw = Axes.draw
    monkeypatch.setattr(Axes, "draw", lambda axes, renderer: [drawn.append(axes), draw(axes, renderer)])
    plan = planned_figure("figure2")
    figures.inline(plan, outcomes(plan))
    assert len(drawn) == len(set(drawn)) > 0


def test_the_papers_number_is_a_line_where_it_can_be_compared() -> None:
    table = tables.load_table("table1")
    panel = tables.load_figure("figure2")
    row = next(row for row in table.row if (row.method, row.timesteps, row.dataset) == ("mpbn", 2, "cifar10"))
    for preset, drawn in ((None, 1), ("cpu", 0)):
        plan = planned_figure("figure2", preset)
        lines = [
            line if (line.row.method, line.row.dataset) != ("mpbn", "cifar10") else replace(line, row=row)
            for line in plan.lines
        ]
        plan = Plan(table=panel, protocol=plan.protocol, preset=preset, lines=tuple(lines))
        picture, _ = figures.draw(plan, outcomes(plan))
        labels = [str(line.get_label()) for axes in picture.axes for line in axes.get_lines()]
        assert labels.count("the paper's 93.54") == drawn


def test_a_method_has_one_colour_in_every_figure_and_in_the_report() -> None:
    seen: dict[str, set[str]] = {}
    for name in ("figure2", "rates", "changes", "inflation"):
        plan = planned_figure(name)
        held = {c.key: finished(c, 60.0 + 10 * c.seed + len(c.method)) for c in plan.cells}
        for method in ("vanilla", "mpbn"):
            mine = {key: one for key, one in held.items() if one.cell.method == method}
            picture, _ = figures.draw(plan, mine)
            lines = [line for axes in picture.axes for line in axes.get_lines() if len(line.get_xdata())]  # type: ignore[arg-type]
            colours = {str(line.get_color()) for line in lines}
            seen.setdefault(method, set()).update(colours & {str(one["color"]) for one in look.LOOKS})
    assert {method: len(colours) for method, colours in seen.items()} == {"vanilla": 1, "mpbn": 1}
    for method, (colour,) in seen.items():
        number = tables.looks()[method] + 1
        assert COLOURS[colour.lower()] == f"--series-{number}"
        cell = next(cell for cell in planned().cells if cell.method == method)
        assert f"chart own-{number}" in str(curves([finished(cell, 60.0)]))


def test_every_colour_that_a_method_may_have_is_one_of_the_page() -> None:
    css = (Path(figures.__file__).parents[1] / "report/page.css").read_text()
    assert {int(n) for n in re.findall(r"\.own-(\d)", css)} == set(range(1, len(look.LOOKS) + 1))


def test_names_of_one_method_share_its_colour_and_differ_in_dashes() -> None:
    assert look.look(1, 1)["color"] == look.look(1)["color"] and look.look(1, 1)["marker"] != look.look(1)["marker"]
