"""The figure `three-seeds`: what every three of more seeds would have said alone."""

from __future__ import annotations

import math

import pytest
from framed import framed
from outcomes import result

from harness import tables
from harness.plan import Plan, plan
from harness.render import figures
from harness.requests import Asked
from harness.spec import Cell
from harness.stats import choices, sample, tells
from harness.store.result import Curve, Result
from harness.verbs import session

GAINS = (3.0, 3.1, 3.2, 2.9, -1.0)


def planned(n: int) -> Plan:
    return plan(tables.load_figure("three-seeds"), session.context_for(Asked(preset="cpu", seeds=tuple(range(n)))))


def finished(cell: Cell, accuracy: float) -> Result:
    epochs = cell.recipe.epochs
    return result(cell, accuracy, curve=Curve(test_accuracy=(accuracy,) * epochs), best_epoch=epochs)


def outcomes(made: Plan, timesteps: int = 2) -> dict[str, Result]:
    """Of one panel: MPBN ahead by `GAINS` of its seeds."""
    cells = [cell for cell in made.cells if cell.dataset == "cifar10" and cell.timesteps == timesteps]
    gain = {"mpbn": GAINS, "vanilla": (0.0,) * len(GAINS)}
    return {cell.key: finished(cell, 60.0 + cell.seed + gain[cell.method][cell.seed]) for cell in cells}


def test_choices_are_all_there_are_and_each_is_judged_alone() -> None:
    made = choices(GAINS)
    assert len(made) == math.comb(5, 3) and {each.n for each in made} == {3}
    assert [each.mean for each in made] == sorted(each.mean for each in made if each.mean is not None)
    assert sample((3.0, 3.1, 3.2)) in made and choices(GAINS[:3]) == [] and len(choices(GAINS[:4])) == 4
    assert [sum(tells(each) == sign for each in made) for sign in (1, 0, -1)] == [4, 6, 0], "not with the fifth seed"


@pytest.mark.parametrize(
    ("values", "told"),
    [((1.0, 1.1, 1.2), 1), ((-1.0, -1.1, -1.2), -1), ((-5.0, 1.1, 1.2), 0), ((1.0,), 0)],
)
def test_what_an_interval_tells(values: tuple[float, ...], told: int) -> None:
    assert tells(sample(values)) == told


def test_what_is_drawn_and_said() -> None:
    made = planned(5)
    picture, numbers = figures.draw(made, outcomes(made))
    data = framed(numbers)
    assert list(data["seeds"]) == [5, *[3] * 10] and data["mean"][0] == pytest.approx(sum(GAINS) / 5)
    assert set(data["timesteps"]) == {2} and (data["tells"][1:] == 1).sum() == 4
    (axes,) = picture.axes
    words = axes.get_xlabel()
    assert "told ahead in 4, behind in 0, not told in 6" in words and "mean of the other sign in 0" in words
    assert "all 5: +2.24 [" in words and "interval holds that of all in 6" in words
    said = " ".join(text.get_text() for text in picture.texts)
    assert said.startswith("Of 10 choices of three seeds 40 % tell a method from its base; all 5 seeds do in 0 of 1")


def test_three_seeds_leave_no_choice() -> None:
    made = planned(3)
    picture, numbers = figures.draw(made, outcomes(made))
    said = " ".join(text.get_text() for text in picture.texts)
    assert not picture.axes and not numbers.rows and "want four pairs of seeds or more" in said and "T = 2: 3" in said
