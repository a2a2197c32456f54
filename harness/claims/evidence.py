"""What the store and the benches hold for a claim: seed-matched pairs, fold proofs, ratios of times. Judges nothing.

A pair is two results of one seed, trained on the same samples by the same recipe; rows whose cells differ in that are
not compared at all, and the evidence says so. A seed that failed, diverged, runs, ended in NaN or is missing on either
side leaves no pair, and is named.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from harness.claims.spec import Check, Compare, Converges, Costs, Flatter, Folds, Place, Spread, pairs, select
from harness.measure.spec import CONTROL, Benched, Timing
from harness.plan import Line, Plan
from harness.probes import Landscape, Statistics, area
from harness.result import Failure, Progress, Result
from harness.spec import Cell, Recipe, Table
from harness.stats import Outcome, Sample, fold_exact, sample
from harness.tables import display

MINUS = "\N{MINUS SIGN}"
CLOCKS = ("cuda", "cpu")
"""What a ratio is taken from: the first of them that was read. Wall time is disturbed by others."""
SAME = ("dataset", "data", "recipe")
"""What the cells of both rows must share; seeds pair them, and what the claim is about may differ."""

Values = Callable[[Result, Result], tuple[float, float] | str]
"""Results of one seed -> what the claim compares of them, or why there is nothing."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """All that is known."""

    plans: Mapping[str, Plan] = field(default_factory=dict)
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    """By cell key."""
    landscape: Callable[[Cell], Landscape | None] = lambda cell: None
    benches: Sequence[Benched] = ()

    @functools.cached_property
    def lines(self) -> Mapping[tuple[str, int], Line]:
        """Table and row number -> its line. A user's added rows are never taken for the paper's."""
        return {(name, line.number): line for name, plan in self.plans.items() for line in plan.lines if not line.added}


@dataclass(frozen=True, kw_only=True)
class Pair:
    seed: int
    left: float
    right: float

    @property
    def difference(self) -> float:
        return self.left - self.right


@dataclass(frozen=True, kw_only=True)
class Paired:
    """Left minus right over the seeds that both have finished."""

    label: str
    what: str
    """What is compared: ``test accuracy, percent``."""
    unit: str
    """Of the difference: ``points``."""
    low: float
    high: float
    """The claim is that the difference lies between them, ends excluded; infinite where there is no bound."""
    pairs: tuple[Pair, ...] = ()
    asked: int = 0
    """Seeds that were asked for."""
    lacking: tuple[str, ...] = ()
    """Why a seed has no pair, or why there are none at all."""
    notes: tuple[str, ...] = ()
    outside: str = ""
    """``not in preset cpu``: the preset leaves it out of what is asked for."""
    places: tuple[Place, Place]
    cells: tuple[tuple[Cell, ...], tuple[Cell, ...]] = ((), ())

    @functools.cached_property
    def sample(self) -> Sample:
        return sample([pair.difference for pair in self.pairs])

    @property
    def n(self) -> int:
        return len(self.pairs)

    @property
    def bounds(self) -> tuple[float, ...]:
        return tuple(bound for bound in (self.low, self.high) if math.isfinite(bound))

    @property
    def spread(self) -> bool:
        """Whether there is one to judge by: not where all differences are the same but for floating point."""
        return (self.sample.std or 0.0) > 1e-9

    @property
    def complete(self) -> bool:
        """Every seed asked for has its pair. Judging the survivors, or before all are there, would flatter."""
        return self.n == self.asked > 0


@dataclass(frozen=True, kw_only=True)
class Fold:
    """The fold proofs of one row."""

    label: str
    shares: tuple[float, ...] = ()
    """Of the spikes compared, those that changed; one a seed that has a proof of an exact fold."""
    spikes: int = 0
    failed: int = 0
    """Seeds that failed their proof."""
    outside: str = ""
    """As of `Paired`."""

    @property
    def n(self) -> int:
        return len(self.shares)


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """A cost in units of another, in one setting of one bench on one device."""

    label: str
    device: str
    clock: str
    low: float
    high: float
    """The claimed range of the ratio."""
    timing: Timing
    control: Timing | None
    rounds: int
    outside: str = ""
    """As of `Paired`: a preset has no say here."""

    @property
    def n(self) -> int:
        return self.rounds


Part = Paired | Fold | Ratio


def collect(check: Check, tables: Mapping[str, Table], evidence: Evidence) -> Iterator[Part]:
    """Everything that bears on `check`; of comparisons that stand-ins make the same, the first."""
    if isinstance(check, Folds):
        yield from (_fold(place, evidence) for place in select(check.rows, tables))
    elif isinstance(check, Costs):
        yield from _ratios(check, evidence.benches)
    elif isinstance(check, Flatter):
        for statistics in ("running", "re-estimated"):
            yield from _flatter(check, statistics, tables, evidence)
    elif isinstance(check, Converges):
        values = functools.partial(_epochs, check.share)
        what = f"epochs to {100 * check.share:g} % of the last accuracy of the right, seed by seed"
        yield from _paired(check, (-math.inf, 0.0), "epochs", what, values, tables, evidence)
    elif isinstance(check, Spread):
        yield from _paired(check, (check.low, check.high), "points", ACCURACY, _accuracies, tables, evidence)
    elif isinstance(check, Compare) and check.relation == "above":
        yield from _paired(check, (check.by, math.inf), "points", ACCURACY, _accuracies, tables, evidence)


# --- Two rows, seed by seed -------------------------------------------------------------------------------------------

ACCURACY = "test accuracy, percent"
LANDSCAPE = "area under the loss landscape, nats"


def _paired(
    check: Compare | Spread | Converges | Flatter,
    bounds: tuple[float, float],
    unit: str,
    what: str,
    values: Values,
    tables: Mapping[str, Table],
    evidence: Evidence,
) -> Iterator[Paired]:
    seen: set[object] = set()
    for left, right in pairs(check, tables):
        lines = [evidence.lines.get((place.table, place.number)) for place in (left, right)]
        cells = _cells(lines[0]), _cells(lines[1])
        if all(cells) and cells in seen:  # one stand-in for two data sets
            continue
        seen.add(cells)
        blank = [
            f"{place.name}: {why}" for place, line in zip((left, right), lines, strict=True) if (why := _blank(line))
        ]
        refused = unlike(*cells) if all(cells) else ""
        found = () if refused else tuple(_pairs(*cells, evidence.outcomes, values))
        lacking = tuple(_lacking((left, right), cells, evidence.outcomes, found))
        yield Paired(
            label=f"{_dataset(left, cells[0])}: {left.name} {MINUS} {right.name}",
            what=what,
            unit=unit,
            low=bounds[0],
            high=bounds[1],
            pairs=tuple(pair for pair in found if isinstance(pair, Pair)),
            asked=max(map(len, cells)),
            lacking=(refused,) if refused else tuple(dict.fromkeys((*blank, *lacking))),
            notes=tuple(_unreached(check, cells, evidence.outcomes)),
            outside=next(filter(None, map(_outside, lines)), ""),
            places=(left, right),
            cells=cells,
        )


def _cells(line: Line | None) -> tuple[Cell, ...]:
    return line.cells if line else ()


def _blank(line: Line | None) -> str:
    return line.blank if line else ""


def _outside(line: Line | None) -> str:
    return why if (why := _blank(line)).startswith("not in preset ") else ""


def _dataset(place: Place, cells: Sequence[Cell]) -> str:
    """``digits in place of CIFAR-10`` where something stands in."""
    printed = display("dataset", place.row.dataset)
    trained = cells[0].dataset if cells else place.row.dataset
    return printed if trained == place.row.dataset else f"{display('dataset', trained)} for {printed}"


def unlike(left: Sequence[Cell], right: Sequence[Cell]) -> str:
    """Why two rows may not be compared: other samples, another recipe; empty where they may."""
    one, two = left[0], right[0]
    for name in SAME:
        a, b = getattr(one, name), getattr(two, name)
        if a == b:
            continue
        told = ", ".join(_difference(a, b)) if isinstance(a, Recipe) else f"{a} | {b}"
        return f"not compared, {'samples' if name == 'data' else name} of the two differ: {told}"
    return ""


def _difference(one: Recipe, two: Recipe) -> Iterator[str]:
    for name in one.__struct_fields__:
        if (a := getattr(one, name)) != (b := getattr(two, name)):
            yield f"{name} {a} | {b}"


def _pairs(
    left: Sequence[Cell], right: Sequence[Cell], outcomes: Mapping[str, Outcome], values: Values
) -> Iterator[Pair | str]:
    """A pair for each seed that both finished, or why there is none."""
    by_seed = {cell.seed: outcomes.get(cell.key) for cell in right}
    for cell in left:
        one, two = outcomes.get(cell.key), by_seed.get(cell.seed)
        if isinstance(one, Result) and isinstance(two, Result) and _finite(one) and _finite(two):
            told = values(one, two)
            if isinstance(told, str):
                yield f"seed {cell.seed}: {told}"
            elif all(map(math.isfinite, told)):
                yield Pair(seed=cell.seed, left=told[0], right=told[1])
            else:
                yield f"seed {cell.seed} is not finite"


def _finite(result: Result) -> bool:
    return math.isfinite(result.accuracy)


def _lacking(
    places: Sequence[Place],
    cells: Sequence[Sequence[Cell]],
    outcomes: Mapping[str, Outcome],
    found: Sequence[Pair | str],
) -> Iterator[str]:
    """``seeds 0, 2 of MPBN ResNet20 T2: missing``, then what keeps finished seeds from being a pair."""
    for place, side in zip(places, cells, strict=True):
        seeds: dict[str, list[int]] = {}
        for cell in side:
            if why := _why(outcomes.get(cell.key)):
                seeds.setdefault(why, []).append(cell.seed)
        for why, those in seeds.items():
            yield f"seed{'s' * (len(those) > 1)} {', '.join(map(str, those))} of {place.name}: {why}"
    yield from (text for text in found if isinstance(text, str))


def _why(outcome: Outcome) -> str:
    match outcome:
        case Result():
            return "" if _finite(outcome) else f"an accuracy of {outcome.accuracy}"
        case Failure():
            return "diverged" if outcome.kind == "diverged" else f"failed ({outcome.kind})"
        case Progress():
            return f"running (epoch {outcome.epoch}/{outcome.epochs})"
        case _:
            return "missing"


def _accuracies(left: Result, right: Result) -> tuple[float, float] | str:
    return left.accuracy, right.accuracy


def _epochs(share: float, left: Result, right: Result) -> tuple[float, float] | str:
    level = share * right.last_accuracy
    if not left.curve.test_accuracy or not right.curve.test_accuracy:
        return "no curve is recorded"
    return reached(left.curve.test_accuracy, level), reached(right.curve.test_accuracy, level)


def reached(curve: Sequence[float], level: float) -> float:
    """Epoch, counted from 1, at which `curve` first reaches `level`: on a straight line between two epochs.

    A curve that begins there has reached it at 1. One that never gets there counts as at its last epoch, which flatters
    it; the evidence says so. NaN where the curve is not finite.
    """
    if not all(map(math.isfinite, curve)):
        return math.nan
    for epoch, value in enumerate(curve, start=1):
        if value >= level:
            before = curve[epoch - 2] if epoch > 1 else value
            return epoch - 1 + (level - before) / (value - before) if epoch > 1 else 1.0
    return float(len(curve))


def _unreached(check: object, cells: Sequence[Sequence[Cell]], outcomes: Mapping[str, Outcome]) -> Iterator[str]:
    if not isinstance(check, Converges):
        return
    ends = {c.seed: o.last_accuracy for c in cells[1] if isinstance(o := outcomes.get(c.key), Result)}
    for cell in cells[0]:
        one = outcomes.get(cell.key)
        if (
            isinstance(one, Result)
            and cell.seed in ends
            and max(one.curve.test_accuracy, default=math.inf) < (check.share * ends[cell.seed])
        ):
            yield f"the left of seed {cell.seed} never got there, and counts as at its last epoch"


def _flatter(
    check: Flatter, statistics: Statistics, tables: Mapping[str, Table], evidence: Evidence
) -> Iterator[Paired]:
    def areas(left: Result, right: Result) -> tuple[float, float] | str:
        one, two = (evidence.landscape(result.cell) for result in (left, right))
        if one is None or two is None:
            return "no loss landscape is stored"
        if _surroundings(one) != _surroundings(two):
            return "the landscapes are of other samples, directions or distances"
        return area(one, statistics), area(two, statistics)

    for found in _paired(check, (-math.inf, 0.0), "nats", LANDSCAPE, areas, tables, evidence):
        yield replace(found, label=f"{found.label}, {statistics} statistics")


def _surroundings(landscape: Landscape) -> object:
    """What two landscapes must share."""
    directions = sorted((curve.statistics, curve.direction) for curve in landscape.curves)
    return landscape.data, landscape.split, landscape.samples, landscape.alphas, directions


# --- Folds ------------------------------------------------------------------------------------------------------------


def _fold(place: Place, evidence: Evidence) -> Fold:
    line = evidence.lines.get((place.table, place.number))
    found = [evidence.outcomes.get(cell.key) for cell in line.cells] if line else []
    shares, spikes = [], 0
    for outcome in found:
        if isinstance(outcome, Result) and fold_exact(outcome) is not None:
            exact = [proof for proof in outcome.proofs if proof.exact]
            compared = sum(layer.neurons for proof in exact for layer in proof.layers)
            spikes += compared
            shares.append(sum(proof.mismatches for proof in exact) / max(compared, 1))
    return Fold(
        label=f"fold of {place.name}, {_dataset(place, line.cells if line else ())}",
        shares=tuple(shares),
        spikes=spikes,
        failed=sum(isinstance(outcome, Failure) and outcome.kind == "fold" for outcome in found),
        outside=_outside(line),
    )


# --- Costs ------------------------------------------------------------------------------------------------------------


def _ratios(check: Costs, benches: Sequence[Benched]) -> Iterator[Ratio]:
    low, high = check.range
    for benched in benches:
        if benched.bench != check.bench:
            continue
        clock = next((c for c in CLOCKS if any(t.clock == c for t in benched.timings)), "wall")
        mine = [t for t in benched.timings if t.clock == clock and t.reference == check.reference]
        controls = {_key(t): t for t in mine if t.subject == CONTROL}
        for timing in mine:
            if timing.subject == check.subject and timing.setting.timesteps in (
                check.timesteps or (timing.setting.timesteps,)
            ):
                yield Ratio(
                    label=timing.setting.title,
                    device=str(benched.environment.get("device", "")),
                    clock=clock,
                    low=low,
                    high=high,
                    timing=timing,
                    control=controls.get(_key(timing)),
                    rounds=timing.rounds or benched.rounds,
                )


def _key(timing: Timing) -> bytes:
    """The setting, as it is written."""
    return msgspec.json.encode(timing.setting)
