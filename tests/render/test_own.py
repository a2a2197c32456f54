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


def beside(common: tuple[float, ...], threads: int = 1) -> dict[str, str]:
    """The record of GLIF's row, trained as its own paper does it, with `common` measured by the recipe of all rows."""
    table = Table(name="table2", title="", row=tuple(r for r in load_table("table2").row if r.method == "glif")[-1:])
    made = plan(table, context_of(load_protocol("own"), None, (0, 1, 2), (), lambda cell: cell))
    line = made.lines[0]
    outcomes = {
        c.key: result(c, a, environment={"device": "cpu", "threads": 1})
        for c, a in zip(line.cells, (94.0, 94.2, 94.4), strict=True)
    }
    outcomes |= {
        c.key: result(c, a, environment={"device": "cpu", "threads": threads})
        for c, a in zip(line.alike, common, strict=False)
    }
    page = table_page(made, outcomes)
    (record,) = csv.DictReader(io.StringIO(render(page, "csv")))
    return record | {"text": render(page, "markdown")}


def test_the_same_idea_by_the_common_recipe_stands_beside_the_row_with_the_difference_seed_by_seed() -> None:
    found = beside((93.0, 93.4, 93.2))
    assert (found["alike_accuracy"], found["alike_n"], found["alike_difference"]) == ("93.20", "3", "1.00")
    low, high = 1 - 4.302653 * 0.2 / 3**0.5, 1 + 4.302653 * 0.2 / 3**0.5
    assert (float(found["alike_low"]), float(found["alike_high"])) == pytest.approx((low, high), abs=1e-4)
    assert r"| 93.20±0.20 (3) | +1.00 \[+0.50, +1.50\] |" in found["text"] and "protocol paper" in found["text"]


def test_what_is_missing_of_the_common_recipe_is_told_and_never_counts_as_missing_of_the_row() -> None:
    partly, nothing = beside((93.0,)), beside(())
    assert "| 93.00 (1 of 3) | +1.00 |" in partly["text"] and partly["verdict"] == "reproduced"
    assert nothing["alike_accuracy"] == "" and "Like for like (n)" not in nothing["text"]
    assert "Like for like: nothing in this store; what trains it: run table2 --protocol paper" in nothing["text"]


def test_no_difference_is_taken_from_runs_that_were_computed_otherwise() -> None:
    found = beside((93.0, 93.4, 93.2), threads=7)
    assert found["alike_difference"] == "" and "| unlike runs |" in found["text"]


def test_the_cells_of_the_common_recipe_are_looked_up_and_not_trained() -> None:
    made = plan(load_table("table2"), context_of(load_protocol("own"), None, (0,), (), lambda cell: cell))
    common = plan(load_table("table2"), context_of(load_protocol("paper"), None, (0,), (), lambda cell: cell))
    for own, other in zip(made.lines, common.lines, strict=True):
        assert own.alike == (other.cells if own.cells else ())
    assert not {cell for line in made.lines for cell in line.alike} - set(common.cells)
    assert set(made.shown) - set(made.cells) and not any(line.alike for line in common.lines)


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
