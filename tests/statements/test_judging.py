"""The rule of the measured verdicts against scipy, and against simulations whose truth is known."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import scipy.stats

from harness.measure.spec import Benched, Setting, Timing
from harness.spec import Row
from harness.statements import MeasuredVerdict, Pair, Paired, Ratio
from harness.statements.collect import collect
from harness.statements.evidence import Evidence
from harness.statements.judging import FEWEST_ROUNDS, MOST_SEEDS, judge, judge_ratio, one_sided, together
from harness.statements.spec import Costs, Place
from harness.stats import Sample, power

HOLDS, FAILS, CANNOT = MeasuredVerdict.HOLDS, MeasuredVerdict.FAILS, MeasuredVerdict.CANNOT_TELL
PLACE = Place(table="t", number=1, row=Row(method="mpbn", architecture="resnet20", dataset="cifar10", timesteps=2))
TABLES, LEVEL = 1000, 0.05
DEVIATION = 0.5 * 2**0.5
"""Of a difference of two rows whose seeds deviate by half a point, as those of Table 1 at this size do."""


def compared(
    differences: Sequence[float], low: float = 0.0, high: float = math.inf, asked: int | None = None
) -> Paired:
    return Paired(
        label="a − b",
        what="",
        unit="points",
        low=low,
        high=high,
        pairs=tuple(Pair(seed=i, left=float(d), right=0.0) for i, d in enumerate(differences)),
        asked=len(differences) if asked is None else asked,
        places=(PLACE, PLACE),
    )


def t_test(differences: Sequence[float], margin: float, alternative: Any = "two-sided") -> Any:
    return scipy.stats.ttest_1samp(differences, margin, alternative=alternative)


# --- Against scipy ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("differences", [[0.4, 3.5, 1.1], [-0.2, -0.4, 0.1], [2.0, 2.2, 1.9, 2.4, 2.1]])
@pytest.mark.parametrize("margin", [0.0, 1.0, 2.0])
def test_a_comparison_is_scipys_one_sided_t_test(differences: list[float], margin: float) -> None:
    above, below = (t_test(differences, margin, alternative=side).pvalue for side in ("greater", "less"))
    assert one_sided(compared(differences, low=margin)) == pytest.approx((above, below))
    assert one_sided(compared(differences, low=-math.inf, high=margin)) == pytest.approx((below, above))


def test_a_range_is_two_one_sided_tests() -> None:
    differences = [1.0, 1.2, 0.9, 1.3]
    low = t_test(differences, 0.5, alternative="greater").pvalue
    high = t_test(differences, 1.5, alternative="less").pvalue
    inside, outside = one_sided(compared(differences, 0.5, 1.5))
    assert inside == pytest.approx(max(low, high))
    assert outside == pytest.approx(1 - max(low, high))


def test_a_claim_holds_by_its_weakest_and_fails_by_its_strongest() -> None:
    parts = [compared(d) for d in ([1.0, 1.2, 0.9], [0.5, 1.5, 1.0], [2.0, 2.1, 2.3])]
    greater = [t_test([p.difference for p in part.pairs], 0, alternative="greater") for part in parts]
    found = judge({"c": parts})["c"]
    assert found.holds == pytest.approx(max(test.pvalue for test in greater))
    assert found.fails == pytest.approx(min(1.0, 3 * min(1 - test.pvalue for test in greater)))
    assert found.p == pytest.approx(2 * found.holds) and found.decisive is parts[1]
    assert found.verdict == (HOLDS if found.p < LEVEL else CANNOT)
    wrong = judge({"c": [*parts, compared([-3.0, -3.1, -2.9])]})["c"]
    less = t_test([-3.0, -3.1, -2.9], 0, alternative="less").pvalue
    assert wrong.fails == pytest.approx(4 * less) and wrong.verdict == FAILS


def test_holm_over_the_claims_of_a_store() -> None:
    """Step by step, as the paper of 1979 has it: multiply by what is left, never fall below the one before."""
    given = {"a": [1.0, 1.1, 0.9], "b": [1.0, 1.4, 0.8], "c": [1.0, 2.0, 0.5], "d": [0.3, -0.4, 0.2]}
    found = judge({name: [compared(differences)] for name, differences in given.items()})
    raw = {name: t_test(differences, 0).pvalue for name, differences in given.items()}
    before = 0.0
    for step, name in enumerate(sorted(raw, key=lambda name: raw[name]), start=1):
        before = max(before, min(1.0, (4 - step + 1) * raw[name]))
        assert (found[name].step, found[name].family) == (step, 4)
        assert found[name].p == pytest.approx(raw[name])
        assert found[name].corrected == pytest.approx(before)
    alone = judge({"b": [compared(given["b"])]})["b"]
    assert alone.corrected < LEVEL < found["b"].corrected, "the family is what makes b hard to tell"


def test_what_is_not_judged_is_in_no_family() -> None:
    found = judge(
        {
            "whole": [compared([1.0, 1.1, 0.9])],
            "unfinished": [compared([1.0, 1.1], asked=3)],
            "one seed": [compared([1.0])],
            "no spread": [compared([1.0, 1.0, 1.0])],
            "nothing": [compared([], asked=3)],
            "no comparison": [],
        }
    )
    assert list(found) == ["whole"] and found["whole"].family == 1
    part = judge({"c": [compared([1.0, 1.1, 0.9]), compared([], asked=3)]})["c"]
    assert (part.holds, part.verdict) == (1.0, CANNOT)
    wrong = judge({"c": [compared([-1.0, -1.1, -0.9]), compared([], asked=3)]})["c"]
    assert wrong.verdict == FAILS, "one counterexample is enough"


# --- How many seeds more ----------------------------------------------------------------------------------------------


def brute(mean: float, std: float, level: float) -> int | None:
    for n in range(2, MOST_SEEDS + 1):
        if scipy.stats.t.ppf(1 - level / 2, n - 1) * std / math.sqrt(n) < mean:
            return n
    return None


@pytest.mark.parametrize("differences", [[0.4, 3.5, 1.1], [0.1, 0.9, -0.2], [-0.1, -0.9, 0.2], [1.0, -0.9, 0.1]])
def test_seeds_are_the_fewest_whose_expected_interval_decides(differences: list[float]) -> None:
    found = judge({"c": [compared(differences)]})["c"]
    mean, std = abs(np.mean(differences)), float(np.std(differences, ddof=1))
    expected = brute(float(mean), std, LEVEL)
    assert found.verdict == CANNOT and found.seeds == expected
    assert found.more == (None if expected is None else max(1, expected - 3))
    shared = judge({"c": [compared(differences)], "d": [compared([0.02, 1.0, -1.1])]})["c"]
    assert shared.seeds == brute(float(mean), std, LEVEL / (shared.family - shared.step + 1))


def test_a_claim_of_several_waits_for_its_weakest_and_falls_by_its_quickest() -> None:
    slow, quick = [0.4, 3.5, 1.1], [0.4, 2.0, 1.0]
    both = judge({"c": [compared(slow), compared(quick)]})["c"]
    needed = [brute(float(np.mean(d)), float(np.std(d, ddof=1)), LEVEL) for d in (slow, quick)]
    assert None not in needed and both.seeds == max(n for n in needed if n)
    lost = [-0.1, -1.9, -0.9]
    falls = judge({"c": [compared(slow), compared(lost)]})["c"]
    assert falls.towards == FAILS
    assert falls.seeds == brute(-float(np.mean(lost)), float(np.std(lost, ddof=1)), LEVEL / 2)


# --- Known truth ------------------------------------------------------------------------------------------------------


def stores(effect: float, count: int, comparisons: int, seeds: int = 3, seed: int = 0) -> np.ndarray:
    """Differences (count, comparisons, seeds) of stores in which every true difference is `effect`."""
    return np.random.default_rng(seed).normal(effect, DEVIATION, (count, comparisons, seeds))


def simulated(stores: np.ndarray) -> list[list[Paired]]:
    """The comparisons of each store. Means and deviations of all at once, since `stats.sample` is exact and slow;
    that it says the same is seen on the first."""
    seeds = stores.shape[-1]
    means, deviations = stores.mean(-1), stores.std(-1, ddof=1)
    half = scipy.stats.t.ppf(1 - LEVEL / 2, seeds - 1) * deviations / math.sqrt(seeds)
    found = [[compared(differences) for differences in store] for store in stores]
    expected = found[0][0].sample
    for store, *rows in zip(found, means, deviations, half, strict=True):
        for part, m, d, h in zip(store, *rows, strict=True):
            known = Sample(n=seeds, mean=float(m), std=float(d), interval=(float(m - h), float(m + h)))
            vars(part)["sample"] = known
    told = found[0][0].sample
    assert (told.mean, told.std) == (pytest.approx(expected.mean), pytest.approx(expected.std))
    assert told.interval == pytest.approx(expected.interval)
    return found


SHAPE = (6, 1, 2, 1, 1, 1)
"""Comparisons of each claim: MPBN over the baseline, and others of one or two, the easiest to hold by chance."""


def family(store: Sequence[Paired]) -> dict[str, list[Paired]]:
    rows = iter(store)
    return {f"claim {i}": list(itertools.islice(rows, m)) for i, m in enumerate(SHAPE)}


def test_of_a_thousand_stores_without_a_difference_fewer_than_one_in_twenty_has_a_claim_that_holds() -> None:
    """The level of the family: any claim of the page. "fails" is no error here, since nothing is above nothing."""
    holds = verdicts = alone = 0
    for store in simulated(stores(0.0, TABLES, sum(SHAPE))):
        page = family(store)
        found = {judgement.verdict for judgement in judge(page).values()}
        holds += HOLDS in found
        verdicts += found != {CANNOT}
        alone += any(judge({name: parts})[name].verdict == HOLDS for name, parts in page.items())
    assert 0 < holds <= LEVEL * TABLES, holds
    assert verdicts <= LEVEL * TABLES + 3 * math.sqrt(LEVEL * (1 - LEVEL) * TABLES), verdicts
    assert alone > LEVEL * TABLES, "a page that forgot the family would do worse: the first line can fail"


def test_a_claim_that_one_comparison_makes_false_is_called_true_no_more_often_than_stated() -> None:
    """The worst case of intersection and union: five comparisons are far above, the sixth is nothing."""
    far, nothing = stores(5.0, TABLES, 5, seed=1), stores(0.0, TABLES, 1, seed=2)
    holds = sum(judge({"c": s})["c"].verdict == HOLDS for s in simulated(np.concatenate([far, nothing], axis=1)))
    assert abs(holds / TABLES - LEVEL / 2) < 3 * math.sqrt(LEVEL / 2 / TABLES), holds


def test_a_true_claim_of_six_is_called_false_no_more_often_than_stated() -> None:
    """All six true by a hair: any of them may look otherwise, which the smallest p value pays for six times."""
    fails = sum(judge({"c": s})["c"].verdict == FAILS for s in simulated(stores(1e-6, TABLES, 6, seed=3)))
    assert 0 < fails <= LEVEL / 2 * TABLES + 3 * math.sqrt(LEVEL / 2 * TABLES), fails


@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("comparisons", [1, 2])
def test_two_points_are_found_as_often_as_stated(seeds: int, comparisons: int) -> None:
    """The stated power from the noncentral t: of a claim of several, that all of them are shown."""
    bound, centre = scipy.stats.t.ppf(1 - LEVEL / 2, seeds - 1), 2.0 / DEVIATION * math.sqrt(seeds)
    one = float(scipy.stats.nct.sf(bound, seeds - 1, centre))
    assert one == pytest.approx(power(2.0, DEVIATION, seeds), abs=1e-6), "the wrong side has no share in it"
    stated = one**comparisons
    made = simulated(stores(2.0, TABLES, comparisons, seeds, seed=4))
    found = sum(judge({"c": s})["c"].verdict == HOLDS for s in made)
    assert abs(found / TABLES - stated) < 3 * math.sqrt(stated * (1 - stated) / TABLES), (found, stated)


def test_two_points_are_found_in_a_family_as_often_as_its_first_step_promises() -> None:
    """Holm can only find more than Bonferroni, whose power is stated."""
    seeds, claims, count = 5, 4, 300
    found = sum(
        judgement.verdict == HOLDS
        for s in simulated(stores(2.0, count, claims, seeds, seed=5))
        for judgement in judge({str(i): [part] for i, part in enumerate(s)}).values()
    )
    stated = power(2.0, DEVIATION, seeds, 1 - LEVEL / claims)
    assert found / (count * claims) > stated - 3 * math.sqrt(stated * (1 - stated) / count)


# --- Times ------------------------------------------------------------------------------------------------------------


def timed(
    value: float, low: float, high: float, claim: tuple[float, float], stray: float = 0.01, rounds: int = 120
) -> Ratio:
    setting = Setting(architecture="resnet20", width=0.25, timesteps=2, batch=1)

    def timing(subject: str, ratio: float, low: float, high: float) -> Timing:
        given: dict[str, Any] = {"setting": setting, "reference": "vanilla", "clock": "cpu", "milliseconds": 1.0}
        return Timing(subject=subject, ratio=ratio, low=low, high=high, **given)

    return Ratio(
        label=setting.title,
        device="cpu",
        clock="cpu",
        low=claim[0],
        high=claim[1],
        timing=timing("mpbn", value, low, high),
        control=timing("A/A control", 1.0, 1 - stray, 1 + stray),
        rounds=rounds,
    )


def test_of_two_records_of_one_setting_the_longer_speaks() -> None:
    """A short one beside it, whatever it shows, makes the claim no less sure; two as long speak both."""

    def benched(value: float, rounds: int) -> Benched:
        part = timed(value, value - 0.01, value + 0.01, BELOW)
        timings = (part.timing, part.control)
        told = {"bench": "overhead", "title": "t", "when": "2026-11-29", "environment": {"device": "cpu"}}
        return Benched(rounds=rounds, timings=timings, **told)  # type: ignore[arg-type]

    check = Costs(bench="overhead", subject="mpbn", reference="vanilla", below=1.1)
    records = (benched(1.05, 40), benched(1.2, 12), benched(1.06, 40))
    found = collect(check, {}, Evidence(plans={}, outcomes={}, benches=records))
    assert [part.timing.ratio for part in found if isinstance(part, Ratio)] == [1.05, 1.06]


SAME, BELOW, ABOVE = (0.98, 1.02), (-math.inf, 1.1), (1.0, math.inf)


@pytest.mark.parametrize(
    ("ratio", "claim", "stray", "verdict"),
    [
        ((1.005, 0.995, 1.015), SAME, 0.01, HOLDS),
        ((1.005, 0.995, 1.021), SAME, 0.01, CANNOT),
        ((1.005, 0.995, 1.015), SAME, 0.03, CANNOT),  # the control itself strays further
        ((1.110, 1.100, 1.120), SAME, 0.01, FAILS),
        ((0.900, 0.890, 0.910), SAME, 0.01, FAILS),
        ((1.110, 1.100, 1.120), SAME, 0.20, CANNOT),
        ((1.050, 1.040, 1.060), BELOW, 0.01, HOLDS),
        ((1.050, 1.040, 1.060), BELOW, 0.15, CANNOT),
        ((1.200, 1.190, 1.210), BELOW, 0.01, FAILS),
        ((1.095, 1.085, 1.105), BELOW, 0.01, CANNOT),
        ((1.200, 1.190, 1.210), ABOVE, 0.01, HOLDS),
        ((1.005, 1.001, 1.009), ABOVE, 0.01, CANNOT),  # above 1, but not above what the control shows
        ((0.950, 0.940, 0.960), ABOVE, 0.01, FAILS),
        ((0.995, 0.991, 0.999), ABOVE, 0.01, CANNOT),
    ],
)
def test_a_ratio_is_judged_by_its_interval_and_its_control(
    ratio: tuple[float, float, float], claim: tuple[float, float], stray: float, verdict: MeasuredVerdict
) -> None:
    assert judge_ratio(timed(*ratio, claim, stray), 1) == verdict
    assert judge_ratio(timed(*ratio, claim, stray, rounds=FEWEST_ROUNDS - 1), 1) == CANNOT


def test_many_settings_make_it_harder_to_fail_and_not_to_hold() -> None:
    near = (1.034, 1.021, 1.047)
    assert judge_ratio(timed(*near, SAME), 1) == FAILS
    assert judge_ratio(timed(*near, SAME), 18) == CANNOT
    assert judge_ratio(timed(1.005, 0.995, 1.015, SAME), 18) == HOLDS


def test_a_cost_at_the_edge_of_the_claim_is_called_the_same_or_not_no_more_often_than_stated() -> None:
    """Benches of twelve settings with a true ratio of 1.02 and intervals of the right coverage."""
    draw, error = np.random.default_rng(6), 0.005
    fails = holds = 0
    for found in draw.normal(1.02, error, (TABLES, 12)):
        verdicts = [judge_ratio(timed(r, r - 1.96 * error, r + 1.96 * error, SAME), 12) for r in found]
        fails += together(verdicts) == FAILS
        holds += verdicts[0] == HOLDS
    assert 0 < fails <= LEVEL / 2 * TABLES + 3 * math.sqrt(LEVEL / 2 * TABLES), fails
    assert 0 < holds <= LEVEL / 2 * TABLES + 3 * math.sqrt(LEVEL / 2 * TABLES), holds


@pytest.mark.parametrize(
    ("verdicts", "whole"),
    [
        ((), MeasuredVerdict.NOT_MEASURED),
        ((HOLDS, HOLDS), HOLDS),
        ((HOLDS, CANNOT), CANNOT),
        ((HOLDS, MeasuredVerdict.NOT_MEASURED), CANNOT),
        ((FAILS, MeasuredVerdict.NOT_MEASURED), FAILS),
        ((MeasuredVerdict.NOT_MEASURED,) * 2, MeasuredVerdict.NOT_MEASURED),
    ],
)
def test_parts_of_a_claim(verdicts: tuple[MeasuredVerdict, ...], whole: MeasuredVerdict) -> None:
    assert together(verdicts) == whole
