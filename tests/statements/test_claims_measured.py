"""The claims as measured: by seed-matched pairs, fold proofs, curves and landscapes of a store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec
import pytest
import scipy.stats
from outcomes import proof, result

from harness import claims as package
from harness.plan import Line, Plan
from harness.render import claims_page, table_page
from harness.render.claims import verdict_text
from harness.render.explanation import explained
from harness.spec import Cell, Recipe
from harness.statements import (
    Evidence,
    MeasuredVerdict,
    as_measured,
    as_printed,
    choose,
    load_claims,
    load_tables,
    measure,
)
from harness.statements.pairing import reached
from harness.statements.spec import Claim, Compare, Converges, Flatter, Folds, Rows, Spread
from harness.stats import Outcome, Verdict
from harness.store.probes import Landscape, LossCurve, Statistics, area
from harness.store.result import Curve, Failure, Progress, Result

CLAIMS = load_claims()
TABLES = load_tables(CLAIMS)
ABOVE = Compare(
    left=Rows(table="table1", dataset="cifar10", method="mpbn", timesteps=2),
    right=Rows(table="table1", dataset="cifar10", method="vanilla", timesteps=2),
)


def named(name: str) -> Claim:
    return choose(CLAIMS, [name])[0]


def planned(name: str = "table1", seeds: int = 3) -> Plan:
    def cells(row: Any) -> tuple[Cell, ...]:
        fields = {key: getattr(row, key) for key in ("method", "architecture", "dataset", "timesteps")}
        return tuple(Cell(**fields, seed=seed, recipe=Recipe(epochs=4)) for seed in range(seeds))

    table = TABLES[name]
    lines = tuple(Line(number=i, row=row, cells=cells(row)) for i, row in enumerate(table.row, start=1))
    return Plan(table=table, protocol="paper", preset=None, lines=lines)


def store(plan: Plan, **accuracies: tuple[float, ...]) -> dict[str, Outcome]:
    """Results of CIFAR-10 at T = 2, by method; seeds in order, None for a missing one."""
    held: dict[str, Outcome] = {}
    for cell in plan.cells:
        given = accuracies.get(cell.method, ())
        if cell.dataset == "cifar10" and cell.timesteps == 2 and cell.seed < len(given):
            held[cell.key] = result(cell, given[cell.seed])
    return held


def measured(claim: Claim, held: Mapping[str, Outcome], plan: Plan | None = None) -> package.Measured:
    return as_measured(claim, TABLES, {"table1": plan or planned()}, held)


@pytest.mark.parametrize(
    ("mpbn", "vanilla", "verdict"),
    [
        ((93.5, 93.6, 93.8), (92.5, 92.7, 92.8), MeasuredVerdict.HOLDS),
        ((92.5, 92.7, 92.8), (93.5, 93.6, 93.8), MeasuredVerdict.FAILS),
        ((93.5, 93.0, 93.8), (93.2, 93.3, 93.1), MeasuredVerdict.CANNOT_TELL),
        ((93.5,), (92.5,), MeasuredVerdict.CANNOT_TELL),
        ((), (92.5, 92.6, 92.7), MeasuredVerdict.NOT_MEASURED),
    ],
)
def test_measured_by_pairs_of_seeds(mpbn: tuple, vanilla: tuple, verdict: MeasuredVerdict):
    claim = Claim(name="one", section="", text="", check=(ABOVE,))
    plan = planned()
    assert measured(claim, store(plan, mpbn=mpbn, vanilla=vanilla), plan).verdict == verdict


@pytest.mark.parametrize("mixed", [False, True])
def test_runs_that_were_not_computed_alike_are_judged_only_when_asked(mixed: bool):
    plan = replace(planned(), mixed=mixed)
    held = store(plan, mpbn=(93.5, 93.6, 93.8), vanilla=(92.5, 92.7, 92.8))
    for cell in plan.cells:
        if isinstance(one := held.get(cell.key), Result):
            threads = 2 if (cell.method, cell.seed) == ("vanilla", 2) else 1
            held[cell.key] = msgspec.structs.replace(one, environment={"device": "cpu", "threads": threads})
    told = measured(Claim(name="one", section="", text="", check=(ABOVE,)), held, plan)
    assert told.verdict == (MeasuredVerdict.HOLDS if mixed else MeasuredVerdict.NOT_MEASURED)
    assert mixed or told.paired[0].lacking == (
        "not judged, unlike runs: threads 1 | 2 (--mixed judges them all the same)",
    )


def test_pairs_cancel_what_a_seed_does_to_both():
    """Differences are steady though the seeds scatter: unpaired, these six numbers tell nothing."""
    plan = planned()
    told = measured(
        Claim(name="one", section="", text="", check=(ABOVE,)),
        store(plan, mpbn=(90.5, 93.6, 96.4), vanilla=(90.0, 93.0, 96.0)),
        plan,
    )
    (difference,) = told.paired
    expected: Any = scipy.stats.ttest_rel([90.5, 93.6, 96.4], [90.0, 93.0, 96.0])
    assert told.verdict == MeasuredVerdict.HOLDS and told.n == 3
    assert told.judgement is not None and told.judgement.p == pytest.approx(expected.pvalue, rel=1e-6)
    assert difference.sample.interval == pytest.approx(tuple(expected.confidence_interval(0.95)), rel=1e-6)
    apart: Any = scipy.stats.ttest_ind([90.5, 93.6, 96.4], [90.0, 93.0, 96.0])
    assert apart.pvalue > 0.5


def test_only_seeds_that_both_finished_are_paired():
    plan = planned()
    held = store(plan, mpbn=(93.5, 93.6, 93.8), vanilla=(92.5, 92.7))
    told = measured(Claim(name="one", section="", text="", check=(ABOVE,)), held, plan)
    assert told.n == 2
    # The two that are there tell a difference; but what the third would have been may be why it is not.
    test: Any = scipy.stats.ttest_1samp([1.0, 0.9], 0)
    assert test.pvalue < 0.05
    assert told.verdict == MeasuredVerdict.CANNOT_TELL and told.judgement is None
    assert told.needs == "needs the seeds asked for (seed 2 of baseline ResNet20 T2: missing)"


def test_a_claim_holds_only_when_all_of_it_is_measured():
    plan = planned()
    told = measured(named("mpbn-over-vanilla"), store(plan, mpbn=(93.5, 93.6, 93.8), vanilla=(92.5, 92.7, 92.8)), plan)
    assert told.verdict == MeasuredVerdict.CANNOT_TELL
    assert told.detail[-1] == "5 of 6 comparisons are not measured"
    assert told.needs == "needs 5 comparisons more"


def test_what_was_printed_from_another_papers_recipe_is_said_to_be_as_beneath_a_table():
    """In the word and the footnote of the tables; not of the paper's own rows, nor before anything is measured."""
    claim, plan = named("cifar10-vgg16"), planned("table2")
    held = {cell.key: result(cell, 93.0 + (cell.method == "mpbn") + cell.seed / 10) for cell in plan.cells}
    told = {claim.name: as_measured(claim, TABLES, {"table2": plan}, held)}
    (line,) = (page := claims_page([claim], {claim.name: as_printed(claim, TABLES)}, told)).lines
    assert f"cannot tell ({Verdict.OTHER_RECIPE})" in line.cells and page.records[0]["other_recipe"] is True
    (beneath,) = {note for note in table_page(plan, held).notes if note.startswith(f"{Verdict.OTHER_RECIPE}: ")}
    assert beneath in page.notes
    assert beneath in explained(claim, as_printed(claim, TABLES), told[claim.name]).notes
    assert not as_measured(claim, TABLES, {"table2": plan}, {}).other_recipe

    own = planned()
    told = measured(named("mpbn-over-vanilla"), store(own, mpbn=(93.5, 93.6, 93.8), vanilla=(92.5, 92.7, 92.8)), own)
    assert told.n and not told.other_recipe and verdict_text(told) == "cannot tell"


def test_a_margin_is_measured_from_both_sides():
    plan = planned()
    held = store(plan, mpbn=(93.5, 93.61, 93.8), vanilla=(92.51, 92.6, 92.8))
    for low, high, verdict in ((0.5, 1.5, "holds"), (1.5, 2.0, "fails"), (0.2, 0.8, "fails")):
        claim = Claim(
            name="m", section="", text="", check=(Spread(left=ABOVE.left, right=ABOVE.right, low=low, high=high),)
        )
        assert str(measured(claim, held, plan).verdict) == verdict


def test_folds_are_measured_by_their_proofs():
    claim = Claim(name="f", section="", text="", check=(Folds(rows=ABOVE.left),))
    plan = planned()
    held = store(plan, mpbn=(93.5, 93.6, 93.8))
    assert measured(claim, {}, plan).verdict == MeasuredVerdict.NOT_MEASURED
    assert (measured(claim, held, plan).verdict, measured(claim, held, plan).n) == (MeasuredVerdict.HOLDS, 3)
    cell = next(o.cell for o in held.values() if isinstance(o, Result))
    failed = Failure(cell=cell, kind="fold", reason="1 mismatch", epoch=4, when="")
    assert measured(claim, {**held, cell.key: failed}, plan).verdict == MeasuredVerdict.FAILS
    inexact = {key: result(o.cell, 93.0, proofs=(proof(exact=False),)) for key, o in held.items()}  # type: ignore[union-attr]
    assert measured(claim, inexact, plan).verdict == MeasuredVerdict.NOT_MEASURED


def test_a_users_added_row_is_never_taken_for_the_papers():
    plan = planned()
    held = store(plan, mpbn=(93.5, 93.6, 93.8), vanilla=(92.5, 92.7, 92.8))
    added = Plan(
        table=plan.table,
        protocol="paper",
        preset=None,
        lines=tuple(as_line(line, added=True) for line in plan.lines),
    )
    claim = Claim(name="one", section="", text="", check=(ABOVE,))
    assert measured(claim, held, added).verdict == MeasuredVerdict.NOT_MEASURED


def as_line(line: Line, **changes: Any) -> Line:
    return Line(**{"number": line.number, "row": line.row, "cells": line.cells, **changes})


# --- What may be compared ---------------------------------------------------------------------------------------------

ONE = Claim(name="one", section="", text="", check=(ABOVE,))


def swapped(plan: Plan, method: str, **changes: Any) -> Plan:
    """`plan` with the cells of a method changed."""

    def changed(cell: Cell) -> Cell:
        return msgspec.structs.replace(cell, **changes) if cell.method == method else cell

    return Plan(
        table=plan.table,
        protocol=plan.protocol,
        preset=plan.preset,
        lines=tuple(as_line(line, cells=tuple(map(changed, line.cells))) for line in plan.lines),
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"recipe": Recipe(epochs=8)}, "recipe of the two differ: epochs 8 | 4"),
        ({"recipe": Recipe(epochs=4, width=0.25)}, "recipe of the two differ: width 0.25 | 1.0"),
        ({"data": "variant-1234"}, "samples of the two differ: variant-1234 | official"),
        ({"dataset": "digits"}, "dataset of the two differ: digits | cifar10"),
    ],
)
def test_no_verdict_across_recipes_samples_or_stand_ins(changes: dict[str, Any], said: str):
    """Both rows are finished and far apart."""
    plan = swapped(planned(), "mpbn", **changes)
    held = {
        cell.key: result(cell, (99.0 if cell.method == "mpbn" else 90.0) + cell.seed / 10 * (cell.method == "mpbn"))
        for line in plan.lines
        for cell in line.cells
        if line.row.dataset == "cifar10"
    }
    told = measured(ONE, held, plan)
    assert told.verdict == MeasuredVerdict.NOT_MEASURED
    assert told.detail == (f"not compared, {said}",)
    assert told.judgement is None and told.effect == ""


@pytest.mark.parametrize(
    ("third", "said"),
    [
        (lambda cell: Failure(cell=cell, kind="diverged", reason="loss is NaN", epoch=2, when=""), "diverged"),
        (lambda cell: Failure(cell=cell, kind="error", reason="out of memory", epoch=2, when=""), "failed (error)"),
        (lambda cell: result(cell, float("nan")), "an accuracy of nan"),
        (
            lambda cell: Progress(
                epoch=2, epochs=4, accuracy=None, images_per_second=1.0, seconds_left=1.0, host="h", pid=1
            ),
            "running (epoch 2/4)",
        ),
        (lambda cell: None, "missing"),
    ],
)
def test_a_seed_without_a_number_is_named_and_nothing_is_judged_around_it(third: Any, said: str):
    plan = planned()
    held = store(plan, mpbn=(93.5, 93.6, 93.8), vanilla=(92.5, 92.7, 92.8))
    assert measured(ONE, held, plan).verdict == MeasuredVerdict.HOLDS
    cell = next(c for c in plan.cells if (c.method, c.dataset, c.timesteps, c.seed) == ("mpbn", "cifar10", 2, 2))
    told = measured(ONE, {**held, cell.key: third(cell)}, plan)
    assert (told.verdict, told.n) == (MeasuredVerdict.CANNOT_TELL, 2)
    assert f"seed 2 of MPBN ResNet20 T2: {said}" in told.needs


def test_differences_without_a_spread_tell_nothing():
    """Accuracies of a few hundred test samples agree by chance: three equal differences are not certainty."""
    plan = planned()
    told = measured(ONE, store(plan, mpbn=(92.1, 92.4, 93.0), vanilla=(91.1, 91.4, 92.0)), plan)
    assert told.verdict == MeasuredVerdict.CANNOT_TELL and "no spread" in told.needs


def test_one_stand_in_for_two_data_sets_is_one_comparison():
    plan = planned()
    digits = swapped(swapped(plan, "mpbn", dataset="digits"), "vanilla", dataset="digits")
    told = measured(named("mpbn-over-vanilla"), {}, digits)
    assert len(told.paired) == 3 and all("for CIFAR-10:" in part.label for part in told.paired)


def test_what_a_preset_leaves_out_is_told_and_not_judged():
    plan = planned()
    lines = (
        line if line.row.dataset == "cifar10" and line.row.timesteps == 2 else as_line(line, cells=(), blank=BLANK)
        for line in plan.lines
    )
    small = Plan(table=plan.table, protocol="paper", preset="tiny", lines=tuple(lines))
    told = measured(named("mpbn-over-vanilla"), store(plan, mpbn=(93.5, 93.6, 93.8), vanilla=(92.5, 92.7, 92.8)), small)
    assert told.verdict == MeasuredVerdict.HOLDS
    assert told.part == "1 of 6 comparisons, the others are not in preset tiny"
    nothing = measured(named("gain-at-one-step"), {}, small)
    assert (nothing.verdict, nothing.part) == (MeasuredVerdict.NOT_MEASURED, "")


BLANK = "not in preset tiny"

# --- Convergence, flatness --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("curve", "level", "epoch"),
    [
        ((10.0, 20.0, 40.0), 20.0, 2.0),
        ((10.0, 20.0, 40.0), 30.0, 2.5),
        ((10.0, 20.0, 15.0, 40.0), 12.0, 1.2),
        ((10.0, 20.0), 10.0, 1.0),
        ((10.0, 20.0), 5.0, 1.0),
        ((10.0, 20.0), 21.0, 2.0),
    ],
)
def test_the_epoch_at_which_a_level_is_reached(curve: tuple[float, ...], level: float, epoch: float):
    assert reached(curve, level) == pytest.approx(epoch)


def test_a_curve_with_nan_reaches_nothing():
    assert reached((10.0, float("nan"), 40.0), 5.0) != reached((10.0, float("nan"), 40.0), 5.0)


def learned(plan: Plan, **curves: tuple[tuple[float, ...], ...]) -> dict[str, Outcome]:
    """Results of CIFAR-10 at T = 2 with these curves, a seed each."""
    held: dict[str, Outcome] = {}
    for cell in plan.cells:
        if cell.dataset == "cifar10" and cell.timesteps == 2 and cell.method in curves:
            curve = curves[cell.method][cell.seed]
            held[cell.key] = result(cell, max(curve), last_accuracy=curve[-1], curve=Curve(test_accuracy=curve))
    return held


CONVERGES = Converges(left=ABOVE.left, right=ABOVE.right, share=0.5)


def test_convergence_is_judged_in_epochs_of_the_same_seed():
    """The baseline climbs 10 an epoch to 80, the other 10, 11 or 12 times as fast at first: planted, in epochs."""
    slow = tuple(tuple(10.0 * epoch for epoch in range(1, 9)) for _ in range(3))  # half of 80 at epoch 4
    fast = tuple((5.0, 5.0 + 70 / steep, *[80.0] * 6) for steep in (2.0, 1.8, 1.9))  # within epoch 2
    plan = planned()
    claim = Claim(name="c", section="", text="", check=(CONVERGES,))
    told = measured(claim, learned(plan, mpbn=fast, vanilla=slow), plan)
    (part,) = told.paired
    expected = [1 + 35 / (70 / steep) for steep in (2.0, 1.8, 1.9)]
    assert [pair.left for pair in part.pairs] == pytest.approx(expected)
    assert [pair.right for pair in part.pairs] == pytest.approx([4.0] * 3)
    assert told.verdict == MeasuredVerdict.HOLDS and told.effect.endswith("epochs")
    assert measured(claim, learned(plan, mpbn=slow, vanilla=fast), plan).verdict == MeasuredVerdict.FAILS


def test_a_curve_that_never_gets_there_is_told():
    plan = planned()
    low = tuple((10.0 + seed, 20.0, 30.0) for seed in range(3))
    high = tuple((40.0 + seed, 70.0, 80.0) for seed in range(3))
    claim = Claim(name="c", section="", text="", check=(CONVERGES,))
    told = measured(claim, learned(plan, mpbn=low, vanilla=high), plan)
    assert [pair.left for pair in told.paired[0].pairs] == [3.0] * 3
    assert "the left of seed 0 never got there" in "; ".join(told.detail)
    without = {key: result(o.cell, 80.0, curve=Curve()) for key, o in learned(plan, mpbn=low, vanilla=high).items()}  # type: ignore[union-attr]
    assert "seed 1: no curve is recorded" in measured(claim, without, plan).paired[0].lacking


KINDS: tuple[Statistics, Statistics] = ("running", "re-estimated")


def landscape(running: float, renewed: float, **changes: Any) -> Landscape:
    """A parabola of each curvature in two directions."""
    alphas = (-1.0, -0.5, 0.0, 0.5, 1.0)
    curves = tuple(
        LossCurve(direction=d, statistics=how, loss=tuple(bend * a * a for a in alphas), accuracy=(50.0,) * 5)
        for d in (0, 1)
        for how, bend in zip(KINDS, (running, renewed), strict=True)
    )
    given = {"weights": "w", "data": "d", "split": "train", "samples": 9, "alphas": alphas, "moved": ()}
    return Landscape(curves=curves, **(given | changes))


def flatness(plan: Plan, bends: dict[str, tuple[tuple[float, float], ...]], **changes: Any) -> package.Measured:
    """`bends`: (running, re-estimated) a seed, by method; `changes` to MPBN's landscapes."""
    claim = Claim(name="f", section="", text="", check=(Flatter(left=ABOVE.left, right=ABOVE.right),))
    held = store(plan, mpbn=(93.5, 93.6, 93.8), vanilla=(92.5, 92.7, 92.8))

    def kept(cell: Cell) -> Landscape | None:
        there = bends.get(cell.method, ())
        own = changes if cell.method == "mpbn" else {}
        return landscape(*there[cell.seed], **own) if cell.seed < len(there) else None

    evidence = Evidence(plans={"table1": plan}, outcomes=held, landscape=kept)
    return measure([claim], TABLES, evidence)["f"]


STEEP = ((2.0, 3.0), (2.2, 3.1), (2.1, 3.3))
FLAT = ((1.0, 1.0), (1.1, 1.2), (1.2, 1.1))
MIXED = ((1.0, 3.1), (1.1, 3.0), (1.2, 3.4))


def test_flatter_must_hold_with_both_kinds_of_statistics():
    plan = planned()
    assert flatness(plan, {"mpbn": FLAT, "vanilla": STEEP}).verdict == MeasuredVerdict.HOLDS
    assert flatness(plan, {"mpbn": STEEP, "vanilla": FLAT}).verdict == MeasuredVerdict.FAILS
    told = flatness(plan, {"mpbn": MIXED, "vanilla": STEEP})
    assert told.verdict == MeasuredVerdict.CANNOT_TELL
    running, renewed = told.paired
    assert [pair.left for pair in running.pairs] == pytest.approx([area(landscape(b, b), "running") for b, _ in MIXED])
    assert "running statistics" in running.label and "re-estimated statistics" in renewed.label
    steeper = [area(landscape(bend, bend), "running") for bend, _ in STEEP]
    assert [pair.right for pair in running.pairs] == pytest.approx(steeper)


def test_landscapes_that_are_missing_or_of_other_samples_are_not_compared():
    plan = planned()
    told = flatness(plan, {"mpbn": FLAT[:2], "vanilla": STEEP})
    assert told.verdict == MeasuredVerdict.CANNOT_TELL and "seed 2: no loss landscape is stored" in told.needs
    for changes in ({"samples": 8}, {"data": "e"}, {"split": "test"}):
        told = flatness(plan, {"mpbn": FLAT, "vanilla": STEEP}, **changes)
        assert told.verdict == MeasuredVerdict.NOT_MEASURED
        assert "of other samples, directions or distances" in told.paired[0].lacking[0]
