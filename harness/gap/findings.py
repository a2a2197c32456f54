"""What can be told from a log's own numbers, and the first guess at what made its gap: measured, or none."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.amounts import signed
from harness.gap.log import Log
from harness.gap.measured import NEARER, WIDER, Alike, Measured
from harness.spec import Recipe, Row
from harness.train.optimiser import rate_of

SAME = 0.05
"""Percentage points within which a reported number is the best, or the last, of a log: two decimals, and rounding."""
CLOSE = 0.01
"""Relative deviation of a learning rate that is rounding in a log."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    check: str
    theirs: str
    own: str = ""
    common: str = ""
    says: str = ""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A log, and what it is held against."""

    log: Log
    row: Row
    claimed: float | None
    """The number that its owner reports; None: that of the last epoch."""
    own: Recipe | None
    common: Recipe | None
    ours: float | None
    """The mean of our own runs of that row, where there are some."""
    samples: int | None
    """That an epoch shows."""
    measured: Measured

    @property
    def reported(self) -> float:
        return self.log.last if self.claimed is None else self.claimed

    @property
    def target(self) -> float | None:
        """The printed number; without one, ours."""
        return self.ours if self.row.accuracy is None or (self.ours is not None and self.small) else self.row.accuracy

    @property
    def small(self) -> bool:
        """Whether ours is another experiment than the printed one, by a preset: then theirs is held against ours."""
        return bool(self.common and (self.common.width != 1 or self.common.train_samples))


def findings(case: Case) -> Iterator[Finding]:
    yield _epochs(case)
    yield _epoch(case)
    if case.log.rates:
        yield _rate(case)
    if case.log.batches and case.samples:
        yield _batch(case)
    if case.log.timesteps:
        says = "as the row" if case.log.timesteps == case.row.timesteps else "differs"
        yield Finding(check="timesteps", theirs=str(case.log.timesteps), own=str(case.row.timesteps), says=says)


def _epochs(case: Case) -> Finding:
    own, common = (recipe and recipe.epochs for recipe in (case.own, case.common))
    log = case.log
    before = f", after {log.begins} that are not in it" if log.begins else ""
    says = _as(log.begins + log.epochs, own, common)
    return Finding(check="epochs", theirs=f"{log.epochs}{before}", own=_text(own), common=_text(common), says=says)


def _epoch(case: Case) -> Finding:
    log, own, common = case.log, case.own, case.common
    theirs = f"best {log.best:.2f} (epoch {log.best_epoch}), last {log.last:.2f}"
    rule = [recipe.report if recipe else "" for recipe in (own, common)]
    says = f"the best is {log.best - log.last:.2f} above the last"
    if log.running_best:
        says = "it never falls: the best so far was logged, and no epoch's own"
    elif case.claimed is not None:
        known = [name for name in ("best", "last") if abs(getattr(log, name) - case.claimed) <= SAME]
        says += f"; reported is {' and '.join(known) or 'neither'}"
    return Finding(check="reported epoch", theirs=theirs, own=rule[0], common=rule[1], says=says)


def _rate(case: Case) -> Finding:
    rates = case.log.rates
    off = [_deviation(rates, recipe) if recipe else None for recipe in (case.own, case.common)]
    told = ["" if each is None else "as theirs" if each <= CLOSE else f"up to {100 * each:.3g} % off" for each in off]
    says = "as both" if all(t == "as theirs" for t in told) else "as own" if told[0] == "as theirs" else ""
    says = says or ("as common" if told[1] == "as theirs" else "differs")
    theirs = f"{rates[0]:g} to {rates[-1]:g}"
    return Finding(check="learning rate", theirs=theirs, own=told[0], common=told[1], says=says)


def _deviation(rates: Sequence[float], recipe: Recipe) -> float:
    """The largest, as a share of the first rate; a scheduler's rounding at 0 is none."""
    wanted = [rate_of(recipe, epoch) for epoch in range(len(rates))]
    return max(abs(a - b) for a, b in zip(rates, wanted, strict=True)) / max(recipe.lr, 1e-12)


def _batch(case: Case) -> Finding:
    assert case.log.batches and case.samples
    size = case.samples / case.log.batches
    own, common = (recipe and recipe.batch for recipe in (case.own, case.common))
    known = [name for name, batch in (("own", own), ("common", common)) if batch and _makes(case, batch)]
    return Finding(
        check="batch",
        theirs=f"{case.log.batches} an epoch, so about {size:.0f}",
        own=_text(own),
        common=_text(common),
        says=f"as {' and '.join(known)}" if known else "differs",
    )


def _makes(case: Case, batch: int) -> bool:
    """Whether batches of that size are as many; one more or less is what a log's last entry leaves open."""
    assert case.samples and case.log.batches
    return abs(math.ceil(case.samples / batch) - case.log.batches) <= max(1, case.log.batches // 100)


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _as(value: object, own: object, common: object) -> str:
    names = [name for name, other in (("own", own), ("common", common)) if other == value]
    return f"as {' and '.join(names)}" if names else "differs"


def guess(case: Case) -> str:
    """The first guess, or that nothing can be told. What was never measured is not named as a cause."""
    return _by_curve(case) or _by_epoch(case) or _none(case)


def _by_curve(case: Case) -> str:
    """Of settings whose runs are here: a log that looks like another of them than the one asked for."""
    same, others = case.measured.beside(case.row)
    expected = same.distance(case.log) if same is not None else None
    pairs = [(distance, each) for each in others if (distance := each.distance(case.log)) is not None]
    pairs.sort(key=lambda pair: pair[0])
    if same is None or expected is None or not pairs or pairs[0][0] > NEARER * expected:
        return ""
    reach = max(pairs[0][0] / NEARER, *(WIDER * each.spread for _, each in pairs))
    near = [pair for pair in pairs if pair[0] <= min(reach, NEARER * expected)]
    distance, named = next((pair for pair in near if pair[1].number == same.row.base), near[0])
    rest = ", ".join(each.name for _, each in near if each is not named)
    return (
        f"First guess: it was trained as {named.name}, not as {same.name}. Its curve is {distance:.2f} points from "
        f"our runs of that row, {expected:.2f} from those of this one (root mean square over the epochs{_seen(case)})."
        + (f" By this log it cannot be told from {rest}." if rest else "")
    )


def _seen(case: Case) -> str:
    return ", test and training accuracy" if case.log.train_accuracy else ", test accuracy"


def _by_epoch(case: Case) -> str:
    """The epoch that was reported, where it accounts for half of the gap at least."""
    log, target = case.log, case.target
    rule = next((recipe.report for recipe in (case.own, case.common) if recipe), "best")
    if target is None or log.running_best or log.best - log.last <= 2 * SAME:
        return ""
    other = log.best if rule == "best" else log.last
    mine = log.last if rule == "best" else log.best
    if abs(case.reported - mine) > SAME or abs(other - target) > abs(mine - target) / 2:
        return ""
    names = ("last", "best") if rule == "best" else ("best", "last")
    return (
        f"First guess: the epoch. The {names[0]} of this log, {mine:.2f}, is held against {target:.2f}, which is the "
        f"{names[1]} of its epochs on the test set; the {names[1]} of this log is {other:.2f}. "
        f"That is {signed(other - mine)} of {signed(target - mine)} points, by its own numbers."
    )


def _none(case: Case) -> str:
    gap = "" if case.target is None else f" the {signed(case.reported - case.target)} points between them"
    differ = [each.check for each in findings(case) if each.says == "differs"]
    told = f" What differs in its numbers ({', '.join(differ)}) was not measured here." if differ else ""
    return f"Cannot tell what made{gap or ' a gap'}: nothing that was measured here accounts for it.{told}"


def nearest(case: Case) -> Sequence[tuple[Alike, float]]:
    """Our rows beside it, the nearest first."""
    same, others = case.measured.beside(case.row)
    rows = [each for each in (same, *others) if each is not None]
    known = [(each, distance) for each in rows if (distance := each.distance(case.log)) is not None]
    return sorted(known, key=lambda pair: pair[1])
