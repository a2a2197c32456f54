"""As measured: the verdict of every claim on what a store and its benches hold; the rule stands in `judging.py`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.amounts import MINUS, signed
from harness.plan import Plan
from harness.spec import Table
from harness.statements.collect import collect
from harness.statements.evidence import Evidence, Fold, Paired, Part, Ratio
from harness.statements.judging import (
    FEWEST_ROUNDS,
    MOST_SEEDS,
    Judgement,
    MeasuredVerdict,
    judge,
    judge_fold,
    judge_ratio,
    judgeable,
    together,
)
from harness.statements.spec import Claim
from harness.stats import Outcome

__all__ = ["Measured", "as_measured", "measure"]


@dataclass(frozen=True, kw_only=True)
class Measured:
    verdict: MeasuredVerdict
    parts: tuple[Part, ...] = ()
    outside: tuple[Part, ...] = ()
    """What the preset leaves out of the claim: the verdict does not speak of it."""
    judgement: Judgement | None = None
    """Of the comparisons among the parts; None where none of them can be judged."""

    @property
    def paired(self) -> tuple[Paired, ...]:
        return tuple(part for part in self.parts if isinstance(part, Paired))

    @property
    def folds(self) -> tuple[Fold, ...]:
        return tuple(part for part in self.parts if isinstance(part, Fold))

    @property
    def ratios(self) -> tuple[Ratio, ...]:
        return tuple(part for part in self.parts if isinstance(part, Ratio))

    @property
    def part(self) -> str:
        """``3 of 6 comparisons, the others are not in preset cpu``; empty where nothing is left out, or measured."""
        if not self.outside or self.verdict == MeasuredVerdict.NOT_MEASURED:
            return ""
        what = "rows" if isinstance(self.outside[0], Fold) else "comparisons"
        every = len(self.parts) + len(self.outside)
        others = "the other is" if len(self.outside) == 1 else "the others are"
        return f"{len(self.parts)} of {every} {what}, {others} {self.outside[0].outside}"

    @property
    def other_recipe(self) -> bool:
        """Whether what is measured is not what made a number that the claim is about: the paper cites it from another.

        The verdict then is about that one's idea, on the networks and by the recipe that all rows share.
        """
        return any(part.n and part.other_recipe for part in self.paired)

    @property
    def n(self) -> int:
        """Fewest seeds, networks (of a fold) or rounds (of a bench) behind any part that was measured; 0: none was."""
        return min((part.n for part in self.parts if part.n), default=0)

    @property
    def shown(self) -> Paired | Ratio | None:
        """The part whose effect stands for the claim's: what its verdict hangs on."""
        if self.judgement is not None:
            return self.judgement.decisive
        measured = [part for part in self.paired if part.n]
        if measured:
            return min(measured, key=lambda part: _inside(part.sample.mean, part.low, part.high))
        return min(self.ratios, key=lambda r: _inside(r.timing.ratio, r.low, r.high), default=None)

    @property
    def effect(self) -> str:
        """``+1.66 [−2.44, +5.75] points``, of the part shown."""
        if isinstance(self.shown, Ratio):
            return told_ratio(self.shown)
        return told_difference(self.shown) if self.shown else ""

    @property
    def detail(self) -> tuple[str, ...]:
        """All that was found, a text each."""
        return tuple(_detail(self))

    @property
    def needs(self) -> str:
        """What would decide it; empty where it is decided, or nothing is known."""
        return _needs(self) if self.verdict == MeasuredVerdict.CANNOT_TELL else ""


def measure(claims: Iterable[Claim], tables: Mapping[str, Table], evidence: Evidence) -> dict[str, Measured]:
    """Every claim by its name. All of the ledger belong in one call: they are the family of Holm's correction."""
    parts = {
        claim.name: tuple(part for check in claim.check for part in collect(check, tables, evidence))
        for claim in claims
    }
    within = {name: tuple(part for part in found if not part.outside) for name, found in parts.items()}
    judged = judge({name: [p for p in found if isinstance(p, Paired)] for name, found in within.items()})
    return {
        name: _measured(within[name], tuple(part for part in found if part.outside), judged.get(name))
        for name, found in parts.items()
    }


def as_measured(
    claim: Claim, tables: Mapping[str, Table], plans: Mapping[str, Plan], outcomes: Mapping[str, Outcome]
) -> Measured:
    """One claim as a family of its own. `plans`: the planned tables by name; `outcomes`: by cell key."""
    return measure([claim], tables, Evidence(plans=plans, outcomes=outcomes))[claim.name]


def _measured(parts: tuple[Part, ...], outside: tuple[Part, ...], judgement: Judgement | None) -> Measured:
    paired = [part for part in parts if isinstance(part, Paired)]
    ratios = [part for part in parts if isinstance(part, Ratio)]
    verdicts = [judge_fold(part) for part in parts if isinstance(part, Fold)]
    verdicts += [judge_ratio(part, len(ratios)) for part in ratios]
    if judgement is not None:
        verdicts.append(judgement.verdict)
    elif paired:
        some = any(part.n for part in paired)
        verdicts.append(MeasuredVerdict.CANNOT_TELL if some else MeasuredVerdict.NOT_MEASURED)
    return Measured(verdict=together(verdicts), parts=parts, outside=outside, judgement=judgement)


def _inside(value: float | None, low: float, high: float) -> float:
    """How far `value` lies inside the claimed range; negative outside it."""
    return -math.inf if value is None else min(value - low, high - value)


# --- In words ---------------------------------------------------------------------------------------------------------


def told_difference(paired: Paired) -> str:
    spread = paired.sample
    if spread.mean is None:
        return ""
    if spread.interval is None:
        return f"{signed(spread.mean)} {paired.unit}"
    return f"{signed(spread.mean)} [{signed(spread.interval[0])}, {signed(spread.interval[1])}] {paired.unit}"


def told_ratio(ratio: Ratio) -> str:
    timing = ratio.timing
    return f"{timing.ratio:.3f} [{timing.low:.3f}, {timing.high:.3f}] times"


def told_range(low: float, high: float, digits: int = 2) -> str:
    """``above 0``, ``below 1.1``, ``0.98 to 1.02``: what a claim allows."""
    one, two = (f"{bound:.{digits}f}".rstrip("0").rstrip(".").replace("-", MINUS) for bound in (low, high))
    if math.isinf(high):
        return f"above {one}"
    return f"below {two}" if math.isinf(low) else f"{one} to {two}"


def _detail(measured: Measured) -> Iterator[str]:
    found = [part for part in measured.paired if part.n]
    yield from (f"{part.label} = {told_difference(part)} (n = {part.n})" for part in found)
    refused = {text for part in measured.paired for text in part.lacking if text.startswith("not compared")}
    yield from sorted(refused)
    if found and (lacking := len(measured.paired) - len(found)):
        yield f"{lacking} of {len(measured.paired)} comparisons are not measured"
    yield from dict.fromkeys(note for part in found for note in part.notes)
    folds = [fold for fold in measured.folds if judge_fold(fold) != MeasuredVerdict.NOT_MEASURED]
    if folds:
        wrong = [fold for fold in folds if judge_fold(fold) == MeasuredVerdict.FAILS]
        yield from (f"{fold.label}: changed spikes, or failed" for fold in wrong)
        networks = sum(fold.n for fold in folds)
        yield f"no spike changed in {len(folds) - len(wrong)} of {len(folds)} rows, {networks} networks"
        if lacking := len(measured.folds) - len(folds):
            yield f"{lacking} of {len(measured.folds)} rows are not measured"
    yield from _ratio_detail(measured.ratios)
    if measured.part:
        yield f"judged in part: {measured.part}"


def _ratio_detail(ratios: Sequence[Ratio]) -> Iterator[str]:
    for device in dict.fromkeys(ratio.device for ratio in ratios):
        here = [ratio for ratio in ratios if ratio.device == device]
        verdicts = [judge_ratio(ratio, len(ratios)) for ratio in here]
        low, high = (pick(here, key=lambda r: r.timing.ratio) for pick in (min, max))
        ends = list(dict.fromkeys(f"{end.timing.ratio:.3f} ({end.label})" for end in (low, high)))
        yield (
            f"{here[0].timing.subject} against {here[0].timing.reference}: {' to '.join(ends)} times on {device}, "
            f"{here[0].clock} clock, {min(ratio.rounds for ratio in here)} rounds or more"
        )
        count = {v: verdicts.count(v) for v in (MeasuredVerdict.HOLDS, MeasuredVerdict.FAILS)}
        said = told_range(here[0].low, here[0].high)
        yield (
            f"shown {said} in {count[MeasuredVerdict.HOLDS]} of {len(here)} settings, shown not to be in "
            f"{count[MeasuredVerdict.FAILS]}"
        )


def _needs(measured: Measured) -> str:
    return " and ".join(_wants(measured)) or f"no number of seeds up to {MOST_SEEDS} is expected to decide it"


def _wants(measured: Measured) -> Iterator[str]:
    judgement, absent = measured.judgement, [part for part in measured.paired if not part.n]
    if judgement is not None and judgement.more is not None:
        seeds = f"{judgement.more} more seed{'s' * (judgement.more != 1)} of each"
        yield f"needs about {seeds} (an estimate: mean and deviation as they are, even odds)"
    elif judgement is not None and not absent and all(map(judgeable, measured.paired)):
        yield f"no number of seeds up to {MOST_SEEDS} is expected to decide it, mean and deviation as they are"
    unfinished = [part for part in measured.paired if not part.complete and part.n]
    if unfinished:
        yield f"needs the seeds asked for ({'; '.join(dict.fromkeys(t for p in unfinished for t in p.lacking))})"
    if absent:
        yield f"needs {len(absent)} comparison{'s' * (len(absent) != 1)} more"
    if any(part.complete and not part.spread for part in measured.paired):
        yield "needs seeds that differ: there is no spread to judge by"
    if any(judge_fold(fold) == MeasuredVerdict.NOT_MEASURED for fold in measured.folds):
        yield "needs the rows that are not measured"
    if any(ratio.rounds < FEWEST_ROUNDS for ratio in measured.ratios):
        yield f"needs {FEWEST_ROUNDS} rounds or more"
    elif measured.ratios:
        yield "needs more rounds, or a quieter machine"
