"""A user's method against a table's rows: what is compared with what, and stores whose truth is known."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import msgspec
import numpy as np
import pytest
import scipy.stats
from outcomes import result

from harness import tables
from harness.comparison import Compared, Finding, Pairing, compare, pairing
from harness.errors import UserError
from harness.plan import Line
from harness.render import render
from harness.render.comparison import Priced, comparison_pages, conclusion, latex_rows
from harness.spec import OFFICIAL, Cell, Change, Preset, Table
from harness.statements import Claim, MeasuredVerdict, as_measured
from harness.statements.spec import Compare, Rows
from harness.stats import Outcome, holm, p_value, power, sample
from harness.store.result import Curve, Failure
from harness.verbs import session

TABLES = 1000


def pairs(
    name: str = "table1",
    seeds: int = 3,
    preset: str | None = None,
    methods: tuple[str, ...] = ("mine",),
    table: Table | None = None,
    **only: tuple[str, ...],
) -> Pairing:
    context = session.context_of(
        tables.load_protocol("paper"), session.load_preset(preset), tuple(range(seeds)), tuple(methods)
    )

    def stamp(cell: Cell) -> Cell:
        return msgspec.structs.replace(cell, source="abc" if cell.method in methods else "")

    context = replace(context, methods={"vanilla", "mpbn", "tebn", *methods}, stamp=stamp)
    return pairing(table or tables.load_table(name), methods, context, only, lambda cells: {"cifar10": OFFICIAL})


def held(made: Pairing, accuracy: Callable[[Line, int], float]) -> dict[str, Outcome]:
    lines = [*made.mine.lines, *made.rows.lines]
    return {c.key: result(c, accuracy(line, c.seed)) for line in lines for c in line.cells}


def one(mine: tuple[float, ...], theirs: tuple[float, ...]) -> Compared:
    """A single comparison, of these accuracies."""
    made = pairs(seeds=len(mine), method=("vanilla",), dataset=("cifar10",), timesteps=("2",))
    by_method = {"mine": mine, "vanilla": theirs}
    (found,) = compare(made, held(made, lambda line, seed: by_method[line.row.method][seed]))
    return found


def test_the_method_stands_in_every_setting_with_recipe_seeds_and_samples_of_the_rows() -> None:
    made = pairs()
    compared = list(made.pairs())
    assert len(made.mine.lines) == 6 and len(compared) == 12
    for own, row in compared:
        for mine, theirs in zip(own.cells, row.cells, strict=True):
            assert (mine.method, mine.source) == ("mine", "abc") and theirs.source == ""
            fields = ("architecture", "dataset", "timesteps", "seed", "recipe", "data")
            assert all(getattr(mine, name) == getattr(theirs, name) for name in fields)


def test_only_chooses_rows_and_never_leaves_the_method_out() -> None:
    compared = list(pairs(method=("mpbn",), timesteps=("1", "4")).pairs())
    assert {row.row.method for _, row in compared} == {"mpbn"}
    assert {own.row.timesteps for own, _ in compared} == {1, 4} and {own.row.method for own, _ in compared} == {"mine"}


def test_a_stand_in_that_merges_two_data_sets_is_compared_once() -> None:
    assert len(list(pairs(preset="smoke").pairs())) == 6  # 12 rows, of which CIFAR-100's are the digits again


def test_a_row_that_changes_the_recipe_meets_the_method_under_that_recipe() -> None:
    table = tables.load_table("table1")
    rows = (table.row[2], replace_row(table.row[2], change=Change(surrogate="tanh")))
    made = pairs(table=Table(name="t", title="", row=rows))
    assert [(own.cells[0].recipe.surrogate, row.cells[0].recipe.surrogate) for own, row in made.pairs()] == [
        ("ste", "ste"),
        ("tanh", "tanh"),
    ]


def replace_row(row, **changes):
    import msgspec

    return msgspec.structs.replace(row, **changes)


def test_a_method_of_the_table_is_held_against_the_others() -> None:
    made = pairs(methods=("mpbn",))
    assert {(own.row.method, row.row.method) for own, row in made.pairs()} == {("mpbn", "vanilla")}


def test_nothing_to_compare_with_says_so() -> None:
    with pytest.raises(UserError, match="no row to compare with"):
        pairs(methods=("mpbn",), method=("mpbn",))


# --- One comparison ---------------------------------------------------------------------------------------------------


def test_interval_and_p_are_scipys() -> None:
    mine, theirs = (93.1, 93.9, 92.8, 93.3), (92.0, 92.1, 92.2, 92.6)
    found = one(mine, theirs)
    expected = scipy.stats.ttest_rel(mine, theirs)
    interval = expected.confidence_interval(0.95)
    assert found.p == pytest.approx(expected.pvalue, rel=1e-9)
    assert found.difference.interval == pytest.approx((interval.low, interval.high), rel=1e-9)
    assert found.finding == Finding.BETTER and found.corrected == found.p and found.more is None
    assert one(theirs, mine).finding == Finding.WORSE


def test_what_is_not_shown_says_how_many_seeds_would_show_it() -> None:
    found = one((93.1, 91.0, 93.0), (92.0, 92.1, 92.2))
    assert found.finding == Finding.NO_DIFFERENCE and found.more is not None
    n = found.difference.n + found.more
    assert found.difference.mean is not None and found.difference.std is not None
    ends = [
        abs(found.difference.mean) - scipy.stats.t.ppf(0.975, k - 1) * found.difference.std / k**0.5 for k in (n - 1, n)
    ]
    assert ends[0] <= 0 < ends[1]
    assert f"{found.more} more seeds" in conclusion(found)


def test_the_same_under_another_name_is_identical_and_equal_accuracy_alone_is_not() -> None:
    equal = (92.0, 91.0, 93.0)
    same = one(equal, equal)
    assert same.finding == Finding.IDENTICAL and same.difference.mean == 0.0
    made = pairs(method=("vanilla",), dataset=("cifar10",), timesteps=("2",))
    outcomes = held(made, lambda line, seed: equal[seed])
    cell = made.mine.cells[0]
    outcomes[cell.key] = result(cell, 92.0, curve=Curve(test_accuracy=(92.0,)))
    (other,) = compare(made, outcomes)
    assert other.finding == Finding.NO_DIFFERENCE and "no spread" in conclusion(other)


def test_equal_differences_leave_nothing_to_judge_by() -> None:
    found = one((93.0, 92.0, 91.0), (92.0, 91.0, 90.0))
    assert found.difference.mean == 1.0 and found.p is None and found.finding == Finding.NO_DIFFERENCE


def test_a_missing_failed_or_nan_seed_leaves_the_comparison_open() -> None:
    made = pairs(method=("vanilla",), dataset=("cifar10",), timesteps=("2",))
    whole = held(made, lambda line, seed: 90.0 + seed + (line.row.method == "mine") * (5 + seed / 10))
    assert compare(made, whole)[0].finding == Finding.BETTER
    for line in (made.mine.lines[0], made.rows.lines[0]):
        cell = line.cells[1]
        gone = {key: outcome for key, outcome in whole.items() if key != cell.key}
        failed = gone | {cell.key: Failure(cell=cell, kind="diverged", reason="", epoch=1, when="")}
        for outcomes in (gone, failed, gone | {cell.key: result(cell, math.nan)}):
            (found,) = compare(made, outcomes)
            assert found.finding == Finding.INCOMPLETE and found.difference.n == 2
            assert "2 of 3 pairs" in conclusion(found)


# --- The family -------------------------------------------------------------------------------------------------------


def test_holm_is_what_r_says() -> None:
    """R: p.adjust(c(.01, .04, .03, .005, .5), "holm")."""
    assert holm([0.01, 0.04, 0.03, 0.005, 0.5]) == pytest.approx([0.04, 0.09, 0.09, 0.025, 0.5])
    assert holm([]) == [] and holm([0.7, 0.9]) == [1.0, 1.0]


def test_power_is_g_powers() -> None:
    """G*Power 3, two-tailed matched pairs: dz 0.5, n 34 -> 0.8078; dz 1, n 10 -> 0.8031."""
    assert power(0.5, 1.0, 34) == pytest.approx(0.8078, abs=5e-5)
    assert power(1.0, 1.0, 10) == pytest.approx(0.8031, abs=5e-5)
    assert p_value(sample([])) is None


def simulated(made: Pairing, effect: float, draw: np.random.Generator) -> dict[str, Outcome]:
    """Accuracies as on 10,000 test samples: a seed's own luck, which pairs share, and half a point of noise."""
    luck = draw.normal(0, 0.4, 20)

    def accuracy(line: Line, seed: int) -> float:
        return round(90 + luck[seed] + draw.normal(0, 0.5) + (effect if line.row.method == "mine" else 0.0), 2)

    return held(made, accuracy)


def test_of_a_thousand_tables_without_a_difference_fewer_than_one_in_twenty_shows_one() -> None:
    made, draw = pairs(), np.random.default_rng(0)
    tables_wrong = 0
    for _ in range(TABLES):
        found = compare(made, simulated(made, 0.0, draw))
        assert len(found) == 12
        tables_wrong += any(c.finding in (Finding.BETTER, Finding.WORSE) for c in found)
    assert 0 < tables_wrong <= 0.05 * TABLES, tables_wrong


def test_of_a_thousand_stores_without_a_difference_a_claim_holds_in_fewer_than_one_in_twenty() -> None:
    """A claim of a single comparison, the easiest to hold by chance: that MPBN is above the baseline."""
    left, right = (Rows(table="table1", dataset="cifar10", method=m, timesteps=2) for m in ("mpbn", "vanilla"))
    claim = Claim(name="one", section="", text="", check=(Compare(left=left, right=right),))
    printed, draw, holds = {"table1": tables.load_table("table1")}, np.random.default_rng(4), 0
    made = pairs(dataset=("cifar10",), timesteps=("2",))
    for _ in range(TABLES):
        outcomes = simulated(made, 0.0, draw)
        holds += as_measured(claim, printed, {"table1": made.rows}, outcomes).verdict == MeasuredVerdict.HOLDS
    assert 0 < holds <= 0.05 * TABLES, holds


@pytest.mark.parametrize("seeds", [3, 5])
def test_two_points_are_found_as_often_as_stated(seeds: int) -> None:
    """One comparison: the stated power to three standard errors of the share; twelve: at least that of the family."""
    deviation = 0.5 * 2**0.5
    single, draw = (
        pairs(seeds=seeds, method=("vanilla",), dataset=("cifar10",), timesteps=("2",)),
        np.random.default_rng(1),
    )
    hits = sum(compare(single, simulated(single, 2.0, draw))[0].finding == Finding.BETTER for _ in range(TABLES))
    stated = power(2.0, deviation, seeds)
    assert abs(hits / TABLES - stated) < 3 * (stated * (1 - stated) / TABLES) ** 0.5
    whole, count = pairs(seeds=seeds), 100
    hits = sum(
        c.finding == Finding.BETTER for _ in range(count) for c in compare(whole, simulated(whole, 2.0, draw))
    ) / (12 * count)
    assert hits > power(2.0, deviation, seeds, 1 - 0.05 / 12)


# --- What is printed --------------------------------------------------------------------------------------------------


def test_every_format_carries_it() -> None:
    made = pairs(preset=None, dataset=("cifar10",))
    found = compare(made, simulated(made, 2.0, np.random.default_rng(2)))
    prices = [Priced()] * len(found)
    learned, costs = comparison_pages(found, prices, table="table1", protocol="paper", preset=None)
    for form in ("terminal", "markdown", "latex", "html", "csv", "json"):
        text = render([learned, costs], form)
        assert "mine" in text and str(found[0].finding) in text
    assert learned.records[0]["p_holm"] == pytest.approx(found[0].corrected, rel=1e-3)
    rows = latex_rows(found)
    assert len(rows) == 1 + 3 and rows[1].startswith("mine & CIFAR-10 & ResNet20 & 1 & ") and r"$\pm$" in rows[1]
    assert rows[1].endswith(r"(3) \\")


def test_a_preset_names_its_stand_in() -> None:
    assert isinstance(session.load_preset("smoke"), Preset)
    made = pairs(preset="smoke", timesteps=("2",))
    found = compare(made, simulated(made, 0.0, np.random.default_rng(3)))
    learned, _ = comparison_pages(found, [Priced()] * len(found), table="table1", protocol="paper", preset="smoke")
    assert learned.lines[0].group == "digits in place of CIFAR-10, ResNet20, T = 2" and "smoke" in learned.subtitle
