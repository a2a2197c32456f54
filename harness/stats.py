"""The rule by which a row is judged, in one place: mean, deviation, interval, tolerance, verdict.

A printed number `p` is the mean of `k` runs (`Row.runs`), a measured mean `m` that of `n` seeds with sample standard
deviation `s`. If both come from one normal distribution then, with probability 95 %,

    |m - p| <= t(.975, n-1) · s · sqrt(1/n + 1/k)

The row is *reproduced* when that holds, else *above* or *below*. For n = 3 and k = 1 the bound is 4.97 s: three seeds
tell only large differences, which is why the bound is always shown. A seed that failed, diverged, runs or is missing
makes the row *incomplete*; seeds that were not computed alike (`identity/alike.py`) make it *unlike runs*; a preset, a
stand-in or a variant of the data makes it *not comparable*. A number that the table cites from another paper was made
by that paper's recipe and network: measured here is its idea alone, by the recipe that all rows share, and the row says
*other recipe*.
"""

from __future__ import annotations

import functools
import itertools
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from harness import student
from harness.identity.alike import unlike
from harness.plan import Line, Plan
from harness.spec import OFFICIAL, Cell
from harness.store.result import Failure, Progress, Result

CONFIDENCE = 0.95
Outcome = Result | Failure | Progress | None
"""What the store holds for a cell: finished, failed, running, nothing."""


class Verdict(StrEnum):
    REPRODUCED = "reproduced"
    ABOVE = "above"
    BELOW = "below"
    NOT_COMPARABLE = "not comparable"
    OTHER_RECIPE = "other recipe"
    INCOMPLETE = "incomplete"
    UNLIKE = "unlike runs"
    UNPUBLISHED = "no published number"


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Mean, sample standard deviation (ddof 1) and t interval of a few numbers; None where n is too small."""

    n: int
    mean: float | None
    std: float | None
    interval: tuple[float, float] | None


@dataclass(frozen=True, kw_only=True)
class RowSummary:
    """What the store says about one row. Accuracies and deviations in percentage points."""

    asked: int
    """Seeds asked for; 0 where the row is not trained (then `blank` says why)."""
    accuracies: tuple[tuple[int, float], ...]
    """(seed, accuracy) of the finished seeds, the epoch by the recipe's `report` rule."""
    sample: Sample
    """Over `accuracies`: never over fewer seeds than its `n` says."""
    best: float | None
    last: float | None
    """Mean over the finished seeds of the best and of the last epoch."""
    selection: Sample
    """Best minus last epoch over the finished seeds: what choosing the epoch on the test set adds."""
    difference: float | None
    """Measured mean minus the printed number."""
    tolerance: float | None
    """Largest |difference| that still counts as reproduced."""
    verdict: str
    """A `Verdict`, or the `blank` text of a row that is not trained."""
    evidence: str
    """``3/3 seeds, fold exact 3/3, official data``."""
    running: int
    missing: int
    variant: bool
    """Some seed saw other samples than the published ones."""
    unlike: tuple[str, ...] = ()
    """What changes bits and is not the same in all seeds: ``threads 1 | 2``."""
    troubles: tuple[str, ...] = ()
    """One line for each seed that failed, diverged, or ended in NaN."""


def sample(values: Sequence[float]) -> Sample:
    """Raises nothing: an empty list has no mean, a single value no deviation."""
    n = len(values)
    mean = statistics.fmean(values) if n else None
    if mean is None or n < 2:
        return Sample(n=n, mean=mean, std=None, interval=None)
    std = statistics.stdev(values)
    half = quantile(n - 1) * std / math.sqrt(n)
    return Sample(n=n, mean=mean, std=std, interval=(mean - half, mean + half))


def paired(left: Iterable[Outcome], right: Iterable[Outcome]) -> Sample:
    """Left minus right over the seeds that both finished, in percentage points."""
    a, b = by_seed(left), by_seed(right)
    return sample([a[seed] - b[seed] for seed in sorted(a.keys() & b.keys())])


def averaged(differences: Sequence[Sequence[float]]) -> tuple[float, ...]:
    """Of several comparisons over the same seeds their mean, seed by seed.

    Comparisons of one seed may have what they like in common; an interval over seeds holds all the same.
    """
    return tuple(statistics.fmean(each) for each in zip(*differences, strict=True))


def choices(differences: Sequence[float], k: int = 3) -> list[Sample]:
    """What each choice of `k` of them says alone, the lowest mean first; none where they are no more than `k`."""
    if len(differences) <= k:
        return []
    return sorted(map(sample, itertools.combinations(differences, k)), key=lambda each: each.mean or 0.0)


def tells(difference: Sample) -> int:
    """Whether its interval tells it from nothing: 1 above 0, -1 below, 0 where it cannot."""
    low, high = difference.interval or (-math.inf, math.inf)
    return (low > 0) - (high < 0)


def by_seed(outcomes: Iterable[Outcome]) -> dict[int, float]:
    """Seed -> accuracy of the finished ones, the epoch by the recipe's `report` rule."""
    return {o.cell.seed: o.accuracy for o in outcomes if isinstance(o, Result) and math.isfinite(o.accuracy)}


@functools.cache
def quantile(freedom: int, confidence: float = CONFIDENCE) -> float:
    """Two-sided quantile of Student's t."""
    return student.quantile(freedom, 1 - confidence)


def reach(n: int, runs: float = 1, confidence: float = CONFIDENCE) -> float:
    """The rule's bound in units of s: means of `n` seeds and of `runs` runs differ by less, 95 times in 100."""
    return quantile(n - 1, confidence) * math.sqrt(1 / n + 1 / runs)


def seeds_to_decide(
    difference: float, std: float, runs: float = math.inf, most: int = 10_000, confidence: float = CONFIDENCE
) -> int | None:
    """Seeds after which `difference` exceeds the bound, should mean and `std` stay as they are.

    `runs`: the runs behind the number compared with (infinite: an exact one, or a paired difference from 0).
    None: no number of seeds does, since the spread of those runs alone covers the difference.
    """
    size = abs(difference)
    if std == 0:
        return 2 if size > 0 else None
    if size <= reach(most, runs, confidence) * std:
        return None
    first, last = 2, most
    while first < last:  # the bound falls with n
        middle = (first + last) // 2
        first, last = (first, middle) if size > reach(middle, runs, confidence) * std else (middle + 1, last)
    return first


def p_value(difference: Sample, margin: float = 0.0) -> float | None:
    """Two-sided, of the paired t test of `difference` against `margin`; None where there is no spread to judge by."""
    if difference.mean is None or not difference.std:
        return None
    t = (difference.mean - margin) / (difference.std / math.sqrt(difference.n))
    return student.tails(abs(t), difference.n - 1)


def tails(difference: Sample, margin: float = 0.0) -> tuple[float, float] | None:
    """One-sided p values of the paired t test: that the truth is not above `margin`, that it is not below.

    Together they are 1, and twice the smaller is `p_value`. None where there is no spread to judge by.
    """
    if difference.mean is None or not difference.std:
        return None
    t = (difference.mean - margin) / (difference.std / math.sqrt(difference.n))
    return student.below(-t, difference.n - 1), student.below(t, difference.n - 1)


def holm(values: Sequence[float]) -> list[float]:
    """p values corrected for their number (Holm, Scand. J. Stat. 6, 1979), in the order given.

    Rejecting those below α keeps the chance of a single false rejection in the family below α, however they depend.
    """
    corrected, worst = [0.0] * len(values), 0.0
    for rank, i in enumerate(sorted(range(len(values)), key=lambda i: values[i])):
        worst = max(worst, min(1.0, (len(values) - rank) * values[i]))
        corrected[i] = worst
    return corrected


def power(effect: float, std: float, n: int, confidence: float = CONFIDENCE) -> float:
    """Chance that the paired t test over `n` seeds finds `effect`, where differences deviate by `std`."""
    from scipy.stats import nct

    bound, centre = quantile(n - 1, confidence), abs(effect) / std * math.sqrt(n)
    return float(nct.sf(bound, n - 1, centre) + nct.cdf(-bound, n - 1, centre))


def summarise(line: Line, plan: Plan, outcomes: Mapping[str, Outcome]) -> RowSummary:
    """One row of `plan` from what the store holds, by cell key; a key that is absent is a missing seed."""
    found = [(cell, outcomes.get(cell.key)) for cell in line.cells]
    results = [o for _, o in found if isinstance(o, Result) and math.isfinite(o.accuracy)]
    accuracies = tuple((o.cell.seed, o.accuracy) for o in results)
    spread = sample([accuracy for _, accuracy in accuracies])
    printed, asked = line.row.accuracy, len(line.cells)
    variant, differences = any(cell.data != OFFICIAL for cell in line.cells), unlike(results)
    return RowSummary(
        asked=asked,
        accuracies=accuracies,
        sample=spread,
        best=_mean([r.best_accuracy for r in results]),
        last=_mean([r.last_accuracy for r in results]),
        selection=sample(_finite([r.best_accuracy - r.last_accuracy for r in results])),
        difference=None if spread.mean is None or printed is None else spread.mean - printed,
        tolerance=None if spread.std is None or printed is None else reach(spread.n, line.row.runs) * spread.std,
        verdict=line.blank or _verdict(line, plan, spread, variant, bool(differences)),
        evidence=_evidence(line, found, results, variant, differences) + _begun(results, outcomes)
        if line.cells
        else "",
        running=sum(isinstance(o, Progress) for _, o in found),
        missing=sum(o is None for _, o in found),
        variant=variant,
        unlike=differences,
        troubles=tuple(
            text for cell, outcome in found if (text := _trouble(cell, outcome) or _blocked(cell, outcomes))
        ),
    )


def _verdict(line: Line, plan: Plan, spread: Sample, variant: bool, differ: bool) -> Verdict:
    stand_in = any(cell.dataset != line.row.dataset for cell in line.cells)
    if spread.n < len(line.cells) or spread.n == 0:
        return Verdict.INCOMPLETE
    if differ and not plan.mixed:
        return Verdict.UNLIKE
    if plan.preset is not None or variant or stand_in:
        return Verdict.NOT_COMPARABLE
    if line.row.accuracy is None:
        return Verdict.UNPUBLISHED
    if line.row.cited and not plan.own:
        return Verdict.OTHER_RECIPE
    if spread.mean is None or spread.std is None:  # one seed has no spread to judge by
        return Verdict.INCOMPLETE
    return judge(spread.mean, spread.std, spread.n, line.row.accuracy, line.row.runs)


def judge(mean: float, std: float, n: int, printed: float, runs: int) -> Verdict:
    """The rule itself; see the head of this module."""
    difference = mean - printed
    if abs(difference) <= reach(n, runs) * std + 1e-9:  # 1e-9: equal numbers, subtracted in floating point
        return Verdict.REPRODUCED
    return Verdict.ABOVE if difference > 0 else Verdict.BELOW


def _mean(values: Sequence[float]) -> float | None:
    """None also where one of them is not a number: a mean over the others would be a silent one."""
    return statistics.fmean(values) if _finite(values) else None


def _finite(values: Sequence[float]) -> Sequence[float]:
    """All of them, or none where one is not a number."""
    return values if all(map(math.isfinite, values)) else ()


def _evidence(
    line: Line, found: Sequence[tuple[Cell, Outcome]], results: Sequence[Result], variant: bool, differ: Sequence[str]
) -> str:
    running = [o for _, o in found if isinstance(o, Progress)]
    parts = [f"{len(results)}/{len(line.cells)} seeds"]
    if running:
        parts.append(f"{len(running)} running (epoch {min(o.epoch for o in running)}/{running[0].epochs})")
    if results:
        parts.append(_fold_evidence(results))
        stand_ins = {cell.dataset for cell in line.cells} - {line.row.dataset}
        parts.append(f"{'variant' if variant else next(iter(stand_ins), 'official')} data")
    if differ:
        parts.append(f"unlike runs: {', '.join(differ)}")
    return ", ".join(parts)


def _begun(results: Sequence[Result], outcomes: Mapping[str, Outcome]) -> str:
    """``, from ann at 97.50``: what the cells of these results begin from, and how accurate that is."""
    origins = [result.cell.origin for result in results if result.cell.origin is not None]
    known = [found for cell in origins if isinstance(found := outcomes.get(cell.key), Result)]
    if not origins or len(known) < len(origins) or (mean := _mean([found.accuracy for found in known])) is None:
        return ""
    of = f" T = {origins[0].timesteps}" if origins[0].timesteps > 1 else ""
    return f", from {origins[0].method}{of} at {mean:.2f}"


def _blocked(cell: Cell, outcomes: Mapping[str, Outcome]) -> str:
    """Where it begins, maybe by way of others, from a cell that failed."""
    failed = [o for each in cell.lineage[:-1] if isinstance(o := outcomes.get(each.key), Failure)]
    if cell.key in outcomes or not failed:
        return ""
    return f"seed {cell.seed} is blocked: {failed[0].cell.label}, which it begins from, failed: {failed[0].reason}"


def _fold_evidence(results: Sequence[Result]) -> str:
    """Every fold of every finished seed; `exact` where one is claimed to be, and no spike differed."""
    proved = sum(bool(r.proofs) and all(proof.passed for proof in r.proofs) for r in results)
    exact = sum(fold_exact(r) is True for r in results)
    kind = "fold exact" if exact == proved and exact else "fold passed"
    return f"{kind} {proved}/{len(results)}" if any(r.proofs for r in results) else "no fold proof"


def fold_exact(result: Result) -> bool | None:
    """Whether the folds claimed to be exact were, spike by spike; None where none is claimed."""
    claimed = [proof for proof in result.proofs if proof.exact]
    return all(proof.passed and proof.mismatches == 0 for proof in claimed) if claimed else None


def _trouble(cell: Cell, outcome: Outcome) -> str:
    if isinstance(outcome, Failure):
        verb = {"diverged": "diverged", "fold": "failed its fold proof", "error": "failed", "killed": "was killed"}
        return f"seed {cell.seed} {verb[outcome.kind]} at epoch {outcome.epoch}: {outcome.reason}"
    if isinstance(outcome, Result) and not math.isfinite(outcome.accuracy):
        return f"seed {cell.seed} ended with an accuracy of {outcome.accuracy}"
    return ""
