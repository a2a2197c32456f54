"""The rule of the measured verdicts.

**One comparison** is a paired t test over its seeds: the difference d of two rows against each bound of the claim
("above by b": d > b), one-sided in both directions. It is judged only when every seed asked for has its pair and the
differences have a spread; before that it is shown, and no more.

**One claim** of several comparisons says that all of them are so. It *holds* when each single one is shown, so its p
value is the largest of theirs: an intersection-union test, which needs no correction, since calling a false claim true
takes an error in the very comparison that makes it false. It *fails* when any one is shown to be the other way; that
may come about by chance in any of the m, so there the smallest p value counts m times (Bonferroni, the first step of
Holm's). A claim of which some comparisons are not measured can fail, never hold. What a preset leaves out is not asked
for: under a preset a claim is judged on what the preset has of it, and its verdict says that it is one in part.

**The family** is all claims of the ledger that some comparison can judge in this store, whichever of them are asked
for: two-sided p values of the claims (twice the smaller of "holds" and "fails"), corrected by Holm. Below 5 % after
that, the claim has its verdict; else the store *cannot tell*. So the chance that any claim of a page without a true
effect is called "holds" stays below 5 %. The intervals beside the verdicts are those of single comparisons, 95 %, not
corrected.

**Folds and times** are no samples of seeds and outside the family. A fold holds when no spike changed, in every network
that has a proof. A ratio of times has a bootstrap interval over rounds: the claim holds when, in every setting, the
interval lies in the claimed range and the A/A control strays by less than the distance between the range and 1; it
fails when in some setting the interval, widened for the number of settings, lies outside it and beyond what the
control strayed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import NormalDist

from harness.statements.evidence import Fold, Paired, Ratio
from harness.stats import CONFIDENCE, holm, seeds_to_decide, tails

LEVEL = 1 - CONFIDENCE
MOST_SEEDS = 100
"""More are not asked for."""
FEWEST_ROUNDS = 20
"""Of a bench; the bootstrap interval of fewer means little."""


class MeasuredVerdict(StrEnum):
    HOLDS = "holds"
    FAILS = "fails"
    CANNOT_TELL = "cannot tell"
    NOT_MEASURED = "not measured"


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """Of the comparisons of one claim."""

    holds: float
    """One-sided p value that not all is as claimed; 1 where some of it is not judged."""
    fails: float
    """One-sided p value that all is as claimed, corrected for the comparisons."""
    bounds: int
    """Tests that `fails` is corrected for."""
    whole: bool
    """Every comparison of the claim is judged."""
    step: int
    """Place among the p values of the family, from 1; of `family`."""
    family: int
    corrected: float
    verdict: MeasuredVerdict
    decisive: Paired
    """The comparison behind the smaller p value: the weakest for "holds", the strongest for "fails"."""
    seeds: int | None
    """An estimate: seeds at which what is judged now would be decided, should means and deviations stay; None: not up
    to `MOST_SEEDS`, or nothing to decide."""

    @property
    def p(self) -> float:
        """Two-sided, not corrected for the other claims."""
        return min(1.0, 2 * min(self.holds, self.fails))

    @property
    def towards(self) -> MeasuredVerdict:
        """The verdict that the evidence leans to."""
        return MeasuredVerdict.HOLDS if self.holds <= self.fails else MeasuredVerdict.FAILS

    @property
    def more(self) -> int | None:
        """Seeds to be added; None where none would help, or those that are there do for what is judged now."""
        if self.seeds is None or (not self.whole and self.seeds <= self.decisive.n):
            return None
        return max(1, self.seeds - self.decisive.n)


def judgeable(paired: Paired) -> bool:
    return paired.complete and paired.spread


def judge(claims: Mapping[str, Sequence[Paired]]) -> dict[str, Judgement]:
    """A judgement for each claim with a comparison that can be judged: they are the family."""
    sides = {name: side for name, found in claims.items() if (side := _sides(found)) is not None}
    raw = [min(1.0, 2 * min(side.holds, side.fails)) for side in sides.values()]
    corrected = holm(raw)
    order = sorted(range(len(raw)), key=lambda i: raw[i])
    steps = {i: step for step, i in enumerate(order, start=1)}
    return {
        name: _judged(side, steps[i], len(raw), corrected[i], claims[name])
        for i, (name, side) in enumerate(sides.items())
    }


@dataclass(frozen=True, kw_only=True)
class _Sides:
    holds: float
    fails: float
    bounds: int
    whole: bool
    weakest: Paired
    strongest: Paired


def one_sided(paired: Paired) -> tuple[float, float]:
    """p values that the difference is not within the bounds, and that it is not outside the nearer one."""
    against = [_tails(paired, bound)[:: 1 if bound == paired.low else -1] for bound in paired.bounds]
    return max(inside for inside, _ in against), min(outside for _, outside in against)


def _tails(paired: Paired, bound: float) -> tuple[float, float]:
    found = tails(paired.sample, bound)
    assert found is not None, "judgeable: it has a spread"
    return found


def _sides(found: Sequence[Paired]) -> _Sides | None:
    judged = [(paired, *one_sided(paired)) for paired in found if judgeable(paired)]
    if not judged:
        return None
    bounds, whole = sum(len(paired.bounds) for paired, _, _ in judged), len(judged) == len(found)
    weakest, strongest = max(judged, key=lambda j: j[1]), min(judged, key=lambda j: j[2])
    return _Sides(
        holds=weakest[1] if whole else 1.0,
        fails=min(1.0, bounds * strongest[2]),
        bounds=bounds,
        whole=whole,
        weakest=weakest[0],
        strongest=strongest[0],
    )


def _judged(side: _Sides, step: int, family: int, corrected: float, found: Sequence[Paired]) -> Judgement:
    towards = MeasuredVerdict.HOLDS if side.holds <= side.fails else MeasuredVerdict.FAILS
    decided = corrected < LEVEL
    level = LEVEL / (family - step + 1)
    return Judgement(
        holds=side.holds,
        fails=side.fails,
        bounds=side.bounds,
        whole=side.whole,
        step=step,
        family=family,
        corrected=corrected,
        verdict=towards if decided else MeasuredVerdict.CANNOT_TELL,
        decisive=side.weakest if towards == MeasuredVerdict.HOLDS else side.strongest,
        seeds=None if decided else _seeds([p for p in found if judgeable(p)], level, side),
    )


def _seeds(judged: Sequence[Paired], level: float, side: _Sides) -> int | None:
    """Seeds at which the expected intervals decide, at this claim's step of Holm: all comparisons inside their bounds
    for "holds", one outside for "fails"."""
    inside = [paired.low < (paired.sample.mean or 0.0) < paired.high for paired in judged]
    if all(inside):
        needed = [_needed(paired, bound, level) for paired in judged for bound in paired.bounds]
        return None if None in needed else max(n for n in needed if n is not None)
    outside = [
        _needed(paired, _crossed(paired), level / side.bounds)
        for paired, so in zip(judged, inside, strict=True)
        if not so
    ]
    return min((n for n in outside if n is not None), default=None)


def _crossed(paired: Paired) -> float:
    """The bound that the mean lies beyond."""
    return paired.low if (paired.sample.mean or 0.0) <= paired.low else paired.high


def _needed(paired: Paired, bound: float, level: float) -> int | None:
    mean, std = paired.sample.mean, paired.sample.std
    assert mean is not None and std is not None
    return seeds_to_decide(mean - bound, std, most=MOST_SEEDS, confidence=1 - level)


# --- Folds and times --------------------------------------------------------------------------------------------------


def judge_fold(fold: Fold) -> MeasuredVerdict:
    if fold.failed or any(fold.shares):
        return MeasuredVerdict.FAILS
    return MeasuredVerdict.HOLDS if fold.shares else MeasuredVerdict.NOT_MEASURED


def judge_ratio(ratio: Ratio, settings: int) -> MeasuredVerdict:
    """`settings`: how many are judged together."""
    if ratio.control is None or ratio.rounds < FEWEST_ROUNDS:
        return MeasuredVerdict.CANNOT_TELL
    timing, stray = ratio.timing, strays(ratio)
    bounds = [bound for bound in (ratio.low, ratio.high) if math.isfinite(bound)]
    clear = all(stray < abs(bound - 1) for bound in bounds if bound != 1)
    low, high = (1 + stray if ratio.low == 1 else ratio.low), (1 - stray if ratio.high == 1 else ratio.high)
    if clear and low < timing.low and timing.high < high:
        return MeasuredVerdict.HOLDS
    wide_low, wide_high = widened(ratio, settings)
    too_low = wide_high < min(ratio.low, 1 - stray if ratio.low <= 1 else math.inf)
    too_high = wide_low > max(ratio.high, 1 + stray if ratio.high >= 1 else -math.inf)
    return MeasuredVerdict.FAILS if too_low or too_high else MeasuredVerdict.CANNOT_TELL


def strays(ratio: Ratio) -> float:
    """How far from 1 the interval of the control reaches, whose true ratio is 1."""
    assert ratio.control is not None
    return max(ratio.control.high - 1, 1 - ratio.control.low)


def widened(ratio: Ratio, settings: int) -> tuple[float, float]:
    """The interval for one of `settings` in which it may lie outside by chance: each half, by normal quantiles."""
    timing, normal = ratio.timing, NormalDist()
    factor = normal.inv_cdf(1 - LEVEL / 2 / settings) / normal.inv_cdf(1 - LEVEL / 2)
    return timing.ratio - factor * (timing.ratio - timing.low), timing.ratio + factor * (timing.high - timing.ratio)


def together(verdicts: Iterable[MeasuredVerdict]) -> MeasuredVerdict:
    """Of the parts of a claim: one that fails is enough, and it takes all of them to hold."""
    found = set(verdicts)
    if MeasuredVerdict.FAILS in found:
        return MeasuredVerdict.FAILS
    if not found or found == {MeasuredVerdict.NOT_MEASURED}:
        return MeasuredVerdict.NOT_MEASURED
    return MeasuredVerdict.HOLDS if found == {MeasuredVerdict.HOLDS} else MeasuredVerdict.CANNOT_TELL
