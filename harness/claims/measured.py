"""As measured: the seeds of two rows in pairs, and whether the t interval of their difference lies on one side."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from harness.claims.printed import MINUS, signed
from harness.claims.spec import Check, Claim, Compare, Folds, Place, Spread, pairs, select
from harness.plan import Line, Plan
from harness.result import Failure, Result
from harness.spec import Table
from harness.stats import Outcome, Sample, fold_exact, p_value, paired, sample
from harness.tables import display


class MeasuredVerdict(StrEnum):
    HOLDS = "holds"
    FAILS = "fails"
    CANNOT_TELL = "cannot tell"
    NOT_MEASURED = "not measured"


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Left minus right over the seeds both rows finished."""

    pair: str
    sample: Sample
    verdict: MeasuredVerdict
    p: float | None
    """Two-sided, paired t test against the claimed margin. Not corrected: Holm over a family belongs to its reader."""
    fold: bool = False
    """A fold's: before minus after, in shares of the spikes compared, one a seed that has a proof."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    verdict: MeasuredVerdict
    detail: tuple[str, ...]
    differences: tuple[Difference, ...] = ()

    @property
    def n(self) -> int:
        """Fewest seeds (or networks, for a fold) behind any part that was measured; 0 if none was."""
        return min((d.sample.n for d in self.differences if d.sample.n), default=0)


def as_measured(
    claim: Claim, tables: Mapping[str, Table], plans: Mapping[str, Plan], outcomes: Mapping[str, Outcome]
) -> Measured:
    """What the store says of `claim`. `plans`: the planned tables by name; `outcomes`: by cell key."""
    lines = {(name, line.number): line for name, plan in plans.items() for line in plan.lines if not line.added}
    found = [d for check in claim.check for d in _differences(check, tables, lines, outcomes)]
    measured = [d for d in found if d.verdict != MeasuredVerdict.NOT_MEASURED]
    if not measured:
        return Measured(verdict=MeasuredVerdict.NOT_MEASURED, detail=(), differences=tuple(found))
    verdicts = {d.verdict for d in found}
    verdict = MeasuredVerdict.CANNOT_TELL
    if MeasuredVerdict.FAILS in verdicts:
        verdict = MeasuredVerdict.FAILS
    elif verdicts == {MeasuredVerdict.HOLDS}:
        verdict = MeasuredVerdict.HOLDS
    detail = [text for d in measured if (text := _told(d))]
    if folds := [d for d in measured if d.fold]:
        exact = sum(d.verdict == MeasuredVerdict.HOLDS for d in folds)
        detail.append(f"no spike changed in {exact} of {len(folds)} rows, {sum(d.sample.n for d in folds)} networks")
    if len(measured) < len(found):
        detail.append(f"{len(found) - len(measured)} of {len(found)} comparisons are not measured")
    return Measured(verdict=verdict, detail=tuple(detail), differences=tuple(found))


def _differences(
    check: Check, tables: Mapping[str, Table], lines: Mapping[tuple[str, int], Line], outcomes: Mapping[str, Outcome]
) -> Iterator[Difference]:
    if isinstance(check, Folds):
        for place in select(check.rows, tables):
            yield _folds(place, _outcomes(place, lines, outcomes))
    elif isinstance(check, Spread) or (isinstance(check, Compare) and check.relation == "above"):
        low, high = (check.low, check.high) if isinstance(check, Spread) else (check.by, math.inf)
        for left, right in pairs(check, tables):
            spread = paired(*(_outcomes(place, lines, outcomes) for place in (left, right)))
            yield Difference(
                pair=f"{display('dataset', left.row.dataset)}: {left.name} {MINUS} {right.name}",
                sample=spread,
                verdict=_side(spread, low, high),
                p=p_value(spread, low),
            )


def _side(difference: Sample, low: float, high: float) -> MeasuredVerdict:
    """Where the interval of the difference lies against the claimed range (low, high)."""
    if difference.n == 0:
        return MeasuredVerdict.NOT_MEASURED
    if difference.interval is None:
        return MeasuredVerdict.CANNOT_TELL
    if low < difference.interval[0] and difference.interval[1] < high:
        return MeasuredVerdict.HOLDS
    outside = difference.interval[1] <= low or difference.interval[0] >= high
    return MeasuredVerdict.FAILS if outside else MeasuredVerdict.CANNOT_TELL


def _folds(place: Place, outcomes: Sequence[Outcome]) -> Difference:
    """The proofs of one row's finished seeds as a `Difference`."""
    shares: list[float] = []
    failed = sum(isinstance(o, Failure) and o.kind == "fold" for o in outcomes)
    for outcome in outcomes:
        if isinstance(outcome, Result) and fold_exact(outcome) is not None:
            exact = [proof for proof in outcome.proofs if proof.exact]
            compared = sum(layer.neurons for proof in exact for layer in proof.layers)
            shares.append(sum(proof.mismatches for proof in exact) / max(compared, 1))
    if failed or any(shares):
        verdict = MeasuredVerdict.FAILS
    else:
        verdict = MeasuredVerdict.HOLDS if shares else MeasuredVerdict.NOT_MEASURED
    pair = f"fold of {place.name}, {display('dataset', place.row.dataset)}"
    return Difference(pair=pair, sample=sample(shares), verdict=verdict, p=None, fold=True)


def _outcomes(
    place: Place, lines: Mapping[tuple[str, int], Line], outcomes: Mapping[str, Outcome]
) -> tuple[Outcome, ...]:
    line = lines.get((place.table, place.number))
    return tuple(outcomes.get(cell.key) for cell in line.cells) if line else ()


def _told(difference: Difference) -> str:
    """A difference with its interval; a fold only where it changed something, the others are counted."""
    spread = difference.sample
    if difference.fold:
        return "" if difference.verdict == MeasuredVerdict.HOLDS else f"{difference.pair}: changed spikes, or failed"
    told = f"{difference.pair} = {signed(spread.mean or 0.0)}"
    if spread.interval is None:
        return f"{told} (n = {spread.n}, no interval)"
    return f"{told} [{signed(spread.interval[0])}, {signed(spread.interval[1])}] (n = {spread.n})"
