"""A table whose rows are trained as their own papers do it: network, verdict, what else is reported and chosen."""

from __future__ import annotations

import csv
import io

import pytest
from outcomes import result

from harness.plan import plan
from harness.render import render, table_page
from harness.spec import Reported, Row, Table
from harness.tables import load_protocol, load_table
from harness.verbs.session import context_of

REPORTED = {
    *(("table2", "glif", 94.56), ("table2", "plif", 92.40), ("table2", "plif", 92.58), ("table4", "sew-resnet", 62.81))
}
UNKNOWN = "not public: the formula of the loss, its constants and the recipe"


def records(protocol: str, accuracies: tuple[float, ...] = (94.0, 94.2, 94.4)) -> tuple[str, list[dict[str, str]]]:
    """Text and records of a few rows of Table 2, each measured so."""
    table = load_table("table2")
    rows = tuple(row for row in table.row if row.method in ("glif", "tdbn", "recdis-snn") and row.timesteps == 2)
    context = context_of(load_protocol(protocol), None, (0, 1, 2), (), lambda cell: cell)
    made = plan(Table(name="table2", title="", row=rows), context)
    outcomes = {
        cell.key: result(cell, accuracy)
        for line in made.lines
        for cell, accuracy in zip(line.cells, accuracies, strict=False)
    }
    page = table_page(made, outcomes)
    return render(page, "markdown"), list(csv.DictReader(io.StringIO(render(page, "csv"))))


def test_a_row_is_held_against_its_printed_number_only_where_its_own_recipe_made_ours() -> None:
    own, common = records("own")[1], records("paper")[1]
    assert [row["verdict"] for row in common] == ["other recipe"] * 3
    assert [row["verdict"] for row in own] == ["reproduced", UNKNOWN, "above"]
    assert own[0]["difference"] == "-0.24"


def test_the_network_behind_the_name_is_shown() -> None:
    text, rows = records("own")
    assert (rows[0]["architecture"], rows[0]["network"]) == ("ResNet19", "resnet19-glif")
    assert "| ResNet19 (GLIF) |" in text and "| ResNet19 (GLIF) |" not in records("paper")[0]


def test_what_was_chosen_is_told_by_row() -> None:
    text, rows = records("own")
    assert "Chosen, where nothing public says it: row 1: precision; row 3: epochs, batch, optimiser" in text
    assert rows[2]["chosen"].split()[:2] == ["epochs", "batch"]
    assert "show protocol own" in text and "Chosen, where" not in records("paper")[0]


def test_the_printed_number_is_one_of_a_range() -> None:
    found = {
        (name, row.method, other.accuracy)
        for name in ("table2", "table3", "table4")
        for row in load_table(name).row
        for other in row.reported
    }
    assert found > REPORTED
    text, rows = records("paper")
    assert "¹ also reported 94.56: best of a run, its repository" in text
    assert rows[0]["reported"] == "94.56 best of a run, its repository"


@pytest.mark.parametrize("note", ["", "suspect"])
def test_a_remark_is_note_and_reports(note: str) -> None:
    row = Row(method="a", architecture="b", dataset="c", timesteps=1, note=note)
    assert row.remark == note
    more = Row(
        method="a", architecture="b", dataset="c", timesteps=1, note=note, reported=(Reported(accuracy=9.5, what="x"),)
    )
    assert more.remark == "; ".join([*([note] if note else []), "also reported 9.50: x"])
