"""The figure `changes`: the rows of the table `ambiguities`, each minus its base, seed by seed."""

from __future__ import annotations

import pkgutil
from typing import get_args, get_type_hints

import pytest
from framed import framed
from outcomes import result

from harness import tables
from harness.plan import Plan, plan
from harness.render import drawings, figures
from harness.requests import Asked
from harness.spec import Cell, Figure, Row
from harness.store.result import Curve, Result
from harness.verbs import session

GAINS = {0: 1.0, 1: 2.0, 2: 6.0}


def planned() -> Plan:
    return plan(tables.load_figure("changes"), session.context_for(Asked(preset="cpu")))


def finished(cell: Cell, accuracy: float) -> Result:
    epochs = cell.recipe.epochs
    return result(cell, accuracy, curve=Curve(test_accuracy=(accuracy,) * epochs), best_epoch=epochs)


def test_it_draws_the_rows_of_the_table() -> None:
    assert [_bare(row) for row in tables.load_figure("changes").row] == [
        _bare(row) for row in tables.load_table("ambiguities").row
    ]


def _bare(row: Row) -> tuple[object, ...]:
    return row.method, row.architecture, row.dataset, row.timesteps, row.change, row.base, row.label


def test_differences_are_taken_seed_by_seed() -> None:
    made = planned()
    base, tanh = made.lines[0], made.lines[1]
    outcomes = {cell.key: finished(cell, 60.0 + cell.seed) for cell in base.cells}
    outcomes |= {cell.key: finished(cell, 60.0 + cell.seed + GAINS[cell.seed]) for cell in tanh.cells if cell.seed != 1}
    picture, numbers = figures.draw(made, outcomes)
    data = framed(numbers)
    assert dict(zip(data["seed"], data["difference"], strict=True)) == pytest.approx({0: 1.0, 2: 6.0})
    assert set(data["change"]) == {"MPBN, surrogate tanh"} and set(data["base"]) == {"MPBN"}
    texts = [text.get_text() for axes in picture.axes for text in axes.texts]
    assert any(text.startswith("+3.50 [") and text.endswith("(n = 2)") for text in texts), "mean over the two pairs"
    assert sum(text == "no pair: n = 0 of 3, base n = 3" for text in texts) == 3, "the rest of its panel is named"


def test_a_single_pair_has_no_interval() -> None:
    made = planned()
    outcomes = {cell.key: finished(cell, 60.0) for cell in made.lines[0].cells}
    outcomes |= {cell.key: finished(cell, 57.5) for cell in made.lines[1].cells[:1]}
    texts = [text.get_text() for axes in figures.draw(made, outcomes)[0].axes for text in axes.texts]
    assert "\N{MINUS SIGN}2.50 (n = 1)" in texts


def test_every_kind_of_figure_has_the_file_that_draws_it() -> None:
    kinds = get_args(get_type_hints(Figure)["kind"])
    assert sorted(kinds) == sorted(module.name for module in pkgutil.iter_modules(drawings.__path__))
