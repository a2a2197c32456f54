"""The rule against numbers worked out by others: scipy, pandas, simulation."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
import scipy.stats
from outcomes import proof, result

from harness import stats
from harness.plan import Line, Plan
from harness.spec import Cell, Recipe, Row, Table
from harness.stats import Verdict, judge, reach, sample, seeds_to_decide, summarise
from harness.store.result import Failure, Progress, Result

ROW = Row(method="mpbn", architecture="resnet20", dataset="cifar10", timesteps=2, accuracy=93.54)


def line(row: Row = ROW, seeds: int = 3, **changes: Any) -> Line:
    fields = {"method": row.method, "architecture": row.architecture, "dataset": row.dataset, "timesteps": 2}
    cells = tuple(Cell(**(fields | changes), seed=s, recipe=Recipe(epochs=4)) for s in range(seeds))
    return Line(number=1, row=row, cells=cells)


def planned(one: Line, preset: str | None = None) -> Plan:
    table = Table(name="table1", title="", row=(one.row,))
    return Plan(table=table, protocol="paper", preset=preset, lines=(one,))


def summary(one: Line, *outcomes: stats.Outcome, preset: str | None = None) -> stats.RowSummary:
    held = {cell.key: outcome for cell, outcome in zip(one.cells, outcomes, strict=True) if outcome is not None}
    return summarise(one, planned(one, preset), held)


def results(one: Line, *accuracies: float) -> list[Result]:
    return [result(cell, accuracy) for cell, accuracy in zip(one.cells, accuracies, strict=True)]


@pytest.mark.parametrize("values", [[93.1, 93.4], [93.1, 93.4, 94.0], [1.0, 2.0, 4.0, 8.0, 16.0]])
def test_sample_is_what_pandas_and_scipy_say(values: list[float]):
    ours, series = sample(values), pd.Series(values)
    assert ours.n == len(values)
    assert ours.mean == pytest.approx(series.mean(), abs=1e-12)
    assert ours.std == pytest.approx(series.std(), abs=1e-12)
    interval = scipy.stats.t.interval(0.95, len(values) - 1, series.mean(), scipy.stats.sem(values))
    assert ours.interval == pytest.approx(interval, abs=1e-9)


def test_few_values_have_no_spread():
    assert sample([]) == stats.Sample(n=0, mean=None, std=None, interval=None)
    assert sample([93.0]) == stats.Sample(n=1, mean=93.0, std=None, interval=None)


def test_reach_of_three_seeds_is_the_known_497():
    assert reach(3, 1) == pytest.approx(4.968, abs=5e-4)
    assert reach(3, 3) == pytest.approx(scipy.stats.t.ppf(0.975, 2) * math.sqrt(2 / 3), rel=1e-9)


@pytest.mark.parametrize(("n", "runs"), [(3, 1), (3, 3), (5, 1)])
def test_the_rule_calls_a_true_number_reproduced_95_times_in_100(n: int, runs: int):
    generator = np.random.default_rng(7)
    seeds, printed = generator.normal(93, 0.2, (4000, n)), generator.normal(93, 0.2, (4000, runs)).mean(1)
    verdicts = [
        judge(s.mean(), s.std(ddof=1), n, float(p), runs) == Verdict.REPRODUCED
        for s, p in zip(seeds, printed, strict=True)
    ]
    assert np.mean(verdicts) == pytest.approx(0.95, abs=0.012)


def test_the_bound_decides():
    bound = 4.968 * 0.1
    assert judge(93.0, 0.1, 3, 93.0 + bound - 0.001, 1) == Verdict.REPRODUCED
    assert judge(93.0, 0.1, 3, 93.0 + bound + 0.001, 1) == Verdict.BELOW
    assert judge(93.0, 0.1, 3, 93.0 - bound - 0.001, 1) == Verdict.ABOVE
    assert judge(0.1 + 0.2, 0.0, 3, 0.3, 1) == Verdict.REPRODUCED  # equal but for floating point


@pytest.mark.parametrize(("difference", "std"), [(0.5, 0.15), (0.3, 0.2), (1.0, 0.2), (0.05, 0.1)])
def test_seeds_to_decide_is_the_first_that_does(difference: float, std: float):
    n = seeds_to_decide(difference, std)
    assert n is not None
    assert scipy.stats.t.ppf(0.975, n - 1) * std / math.sqrt(n) < difference
    assert n == 2 or scipy.stats.t.ppf(0.975, n - 2) * std / math.sqrt(n - 1) >= difference
    assert seeds_to_decide(-difference, std) == n


def test_no_number_of_seeds_outdoes_the_spread_of_one_printed_run():
    assert seeds_to_decide(0.19, 0.1, runs=1) is None
    assert seeds_to_decide(0.25, 0.1, runs=1) is not None
    assert seeds_to_decide(0.0, 0.1) is None
    assert (seeds_to_decide(0.1, 0.0), seeds_to_decide(0.0, 0.0)) == (2, None)


def test_a_finished_row():
    one = line()
    told = summary(one, *results(one, 93.4, 93.5, 93.7))
    assert told.verdict == Verdict.REPRODUCED
    assert told.sample.mean == pytest.approx(93.5333, abs=1e-4)
    assert told.difference == pytest.approx(-0.0067, abs=1e-4)
    assert told.tolerance == pytest.approx(4.968 * 0.152753, abs=1e-3)
    assert told.best is not None and told.last is not None and told.best - told.last == pytest.approx(0.2)
    assert told.evidence == "3/3 seeds, fold exact 3/3, official data"
    assert (told.running, told.missing, told.variant, told.troubles) == (0, 0, False, ())


def test_above_and_below():
    one = line()
    assert summary(one, *results(one, 95.0, 95.1, 95.2)).verdict == Verdict.ABOVE
    assert summary(one, *results(one, 92.0, 92.1, 92.2)).verdict == Verdict.BELOW


@pytest.mark.parametrize("kind", ["diverged", "fold", "error", "killed"])
def test_a_failed_seed_is_told_and_not_averaged(kind: Any):
    one = line()
    failure = Failure(cell=one.cells[1], kind=kind, reason="loss is NaN", epoch=3, when="")
    told = summary(one, result(one.cells[0], 93.0), failure, result(one.cells[2], 94.0))
    assert told.verdict == Verdict.INCOMPLETE
    assert (told.sample.n, told.sample.mean, told.asked) == (2, 93.5, 3)
    assert told.accuracies == ((0, 93.0), (2, 94.0))
    assert len(told.troubles) == 1 and "seed 1" in told.troubles[0] and "epoch 3: loss is NaN" in told.troubles[0]
    assert told.evidence == "2/3 seeds, fold exact 2/2, official data"


def test_nan_is_told_and_not_averaged():
    one = line()
    told = summary(one, *results(one, 93.0, math.nan, 94.0))
    assert (told.verdict, told.sample.n, told.sample.mean) == (Verdict.INCOMPLETE, 2, 93.5)
    assert told.troubles == ("seed 1 ended with an accuracy of nan",)


def test_running_and_missing_seeds():
    one = line()
    running = Progress(epoch=2, epochs=4, accuracy=None, images_per_second=1.0, seconds_left=1.0, host="h", pid=1)
    told = summary(one, result(one.cells[0], 93.5), running, None)
    assert (told.verdict, told.running, told.missing, told.sample.n) == (Verdict.INCOMPLETE, 1, 1, 1)
    assert told.evidence == "1/3 seeds, 1 running (epoch 2/4), fold exact 1/1, official data"


def test_one_seed_is_too_few_to_judge():
    one = line(seeds=1)
    assert summary(one, *results(one, 93.54)).verdict == Verdict.INCOMPLETE


def test_preset_stand_in_and_variant_are_not_comparable():
    one, digits, other = line(), line(dataset="digits"), line(data="variant-1234")
    assert summary(one, *results(one, 93.4, 93.5, 93.7), preset="smoke").verdict == Verdict.NOT_COMPARABLE
    told = summary(digits, *results(digits, 93.4, 93.5, 93.7))
    assert (told.verdict, told.evidence) == (Verdict.NOT_COMPARABLE, "3/3 seeds, fold exact 3/3, digits data")
    told = summary(other, *results(other, 93.4, 93.5, 93.7))
    assert told.variant
    assert (told.verdict, told.evidence) == (Verdict.NOT_COMPARABLE, "3/3 seeds, fold exact 3/3, variant data")
    assert summary(other, None, None, None, preset="smoke").verdict == Verdict.INCOMPLETE


@pytest.mark.parametrize("seeds", [1, 3])
def test_another_papers_number_is_not_judged(seeds: int):
    """Its own recipe made it; a preset or a missing seed is said first."""
    one = line(msgspec.structs.replace(ROW, method="tet", reference=7), seeds=seeds)
    told = summary(one, *(result(cell, 93.0 + cell.seed) for cell in one.cells))
    assert told.verdict == Verdict.OTHER_RECIPE == "other recipe" and told.sample.n == seeds
    assert summary(one, *[None] * seeds).verdict == Verdict.INCOMPLETE
    shrunk = summary(one, *(result(cell, 93.0 + cell.seed) for cell in one.cells), preset="smoke")
    assert shrunk.verdict == Verdict.NOT_COMPARABLE


def test_rows_without_cells_or_without_a_number():
    blank = Line(number=1, row=ROW, cells=(), blank="no method yet")
    told = summarise(blank, planned(blank), {})
    assert (told.verdict, told.sample.mean, told.evidence, told.asked) == ("no method yet", None, "", 0)
    unpublished = line(Row(method="mine", architecture="resnet20", dataset="cifar10", timesteps=2))
    told = summary(unpublished, *results(unpublished, 93.4, 93.5, 93.7))
    assert (told.verdict, told.difference, told.tolerance) == (Verdict.UNPUBLISHED, None, None)


def test_folds_that_are_not_exact_are_not_called_so():
    one = line()
    rounding = [result(cell, 93.0 + cell.seed / 10, proofs=(proof(exact=False),)) for cell in one.cells]
    assert "fold passed 3/3" in summary(one, *rounding).evidence
    missing = [result(cell, 93.0 + cell.seed / 10, proofs=()) for cell in one.cells]
    assert "no fold proof" in summary(one, *missing).evidence
    wrong = [result(one.cells[0], 93.0, proofs=(proof(passed=False),)), *results(one, 93.0, 93.1, 93.2)[1:]]
    assert "2/3" in summary(one, *wrong).evidence.partition(",")[2]


def test_a_paired_difference_is_scipys_over_the_seeds_both_finished() -> None:
    left, right = line(seeds=5), line(seeds=5, method="vanilla")
    a, b = [93.1, 92.7, 93.9, 93.3, 99.0], [92.0, 92.5, 92.1, 92.9]
    held = results(right, *b, math.nan)
    spread = stats.paired(results(left, *a), [*held[:4][::-1], held[4], None])
    expected = scipy.stats.ttest_rel(a[:4], b)
    assert spread.n == 4 and spread.mean == pytest.approx(np.mean(np.subtract(a[:4], b)))
    low, high = expected.confidence_interval(0.95)
    assert spread.interval == (pytest.approx(low), pytest.approx(high))
    assert stats.paired(results(left, *a)[:1], held[1:]).mean is None


@pytest.mark.parametrize("margin", [0.0, 1.5, -0.3])
def test_tails_are_scipys_and_the_smaller_is_half_of_p(margin: float) -> None:
    values = [0.4, 3.5, 1.1, 0.9]
    above, below = (
        float(scipy.stats.ttest_1samp(values, margin, alternative=side).pvalue)  # type: ignore[attr-defined]
        for side in ("greater", "less")
    )
    found = stats.tails(sample(values), margin)
    assert found is not None and found == (pytest.approx(above), pytest.approx(below))
    assert stats.p_value(sample(values), margin) == pytest.approx(2 * min(found))
    assert stats.tails(sample([1.0])) is None and stats.tails(sample([1.0, 1.0])) is None


def test_selection_is_best_minus_last_of_each_seed() -> None:
    one = line()
    held = [result(cell, 90.0, last_accuracy=last) for cell, last in zip(one.cells, (89.0, 88.5, 90.0), strict=True)]
    selection = summary(one, *held).selection
    assert (selection.n, selection.mean) == (3, pytest.approx(2.5 / 3))
    assert selection.std == pytest.approx(np.std([1.0, 1.5, 0.0], ddof=1))
    held[0] = result(one.cells[0], 90.0, last_accuracy=math.nan)
    assert summary(one, *held).selection.mean is None, "a mean over the others would be a silent one"


def begun(one: Line) -> Line:
    """Its cells begin from others, of T = 1."""
    origins = [msgspec.structs.replace(cell, method="ann", timesteps=1) for cell in one.cells]
    cells = [msgspec.structs.replace(cell, origin=origin) for cell, origin in zip(one.cells, origins, strict=True)]
    return Line(number=1, row=one.row, cells=tuple(cells))


def test_what_a_conversion_begins_from_is_told_beside_it() -> None:
    one = begun(line())
    held: dict[str, stats.Outcome] = {cell.key: result(cell, 90.0) for cell in one.cells}
    assert "from ann" not in summarise(one, planned(one), held).evidence
    held |= {c.origin.key: result(c.origin, 95.0 + c.seed) for c in one.cells if c.origin is not None}
    assert summarise(one, planned(one), held).evidence.endswith(", from ann at 96.00")


def test_a_blocked_seed_says_what_failed_before_it() -> None:
    one = begun(line(seeds=1))
    origin = one.cells[0].origin
    assert origin is not None
    held: dict[str, stats.Outcome] = {
        origin.key: Failure(cell=origin, kind="diverged", reason="the loss became nan", epoch=2, when="now")
    }
    told = "seed 0 is blocked: ann/resnet20/cifar10/T1/seed0, which it begins from, failed: the loss became nan"
    assert summarise(one, planned(one), held).troubles == (told,)
