"""Two rows, seed by seed.

A pair is two results of one seed, trained on the same samples by the same recipe; rows whose cells differ in that are
not compared at all, and the evidence says so. A seed that failed, diverged, runs, ended in NaN or is missing on either
side leaves no pair, and is named.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import get_args

from harness.amounts import MINUS
from harness.identity import alike
from harness.plan import Line
from harness.spec import Cell, Recipe, Table
from harness.statements.evidence import Evidence, Pair, Paired
from harness.statements.spec import Compare, Converges, Flatter, Place, Spread, pairs
from harness.stats import Outcome
from harness.store.probes import Landscape, Statistics, area
from harness.store.result import Failure, Progress, Result
from harness.tables import display

SAME = ("dataset", "data", "recipe")
"""What the cells of both rows must share; seeds pair them, and what the claim is about may differ."""

Values = Callable[[Result, Result], tuple[float, float] | str]
"""Results of one seed -> what the claim compares of them, or why there is nothing."""


def accuracy(
    check: Compare | Spread, bounds: tuple[float, float], tables: Mapping[str, Table], evidence: Evidence
) -> Iterator[Paired]:
    """Test accuracy, by the recipe's rule."""
    yield from _paired(check, bounds, "points", "test accuracy, percent", _accuracies, tables, evidence)


def convergence(check: Converges, tables: Mapping[str, Table], evidence: Evidence) -> Iterator[Paired]:
    """Epochs until a share of what the right row of that seed ends with."""
    what = f"epochs to {100 * check.share:g} % of the last accuracy of the right, seed by seed"
    values = functools.partial(_epochs, check.share)
    yield from _paired(check, (-math.inf, 0.0), "epochs", what, values, tables, evidence)


def flatness(check: Flatter, tables: Mapping[str, Table], evidence: Evidence) -> Iterator[Paired]:
    """Area under the loss landscape, with the statistics of training, then with re-estimated ones."""
    for statistics in get_args(Statistics):
        values = functools.partial(_areas, statistics, evidence)
        what = "area under the loss landscape, nats"
        for found in _paired(check, (-math.inf, 0.0), "nats", what, values, tables, evidence):
            yield replace(found, label=f"{found.label}, {statistics} statistics")


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
        refused = (unlike(*cells) or _unlike_runs(cells, evidence)) if all(cells) else ""
        found = () if refused else tuple(_pairs(*cells, evidence.outcomes, values))
        lacking = tuple(_lacking((left, right), cells, evidence.outcomes, found))
        yield Paired(
            label=f"{dataset(left, cells[0])}: {left.name} {MINUS} {right.name}",
            what=what,
            unit=unit,
            low=bounds[0],
            high=bounds[1],
            pairs=tuple(pair for pair in found if isinstance(pair, Pair)),
            asked=max(map(len, cells)),
            lacking=(refused,) if refused else tuple(dict.fromkeys((*blank, *lacking))),
            notes=tuple(_unreached(check, cells, evidence.outcomes)),
            outside=next(filter(None, map(outside, lines)), ""),
            places=(left, right),
            cells=cells,
        )


def _cells(line: Line | None) -> tuple[Cell, ...]:
    return line.cells if line else ()


def _blank(line: Line | None) -> str:
    return line.blank if line else ""


def outside(line: Line | None) -> str:
    return why if (why := _blank(line)).startswith("not in preset ") else ""


def dataset(place: Place, cells: Sequence[Cell]) -> str:
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


def _unlike_runs(cells: Sequence[Sequence[Cell]], evidence: Evidence) -> str:
    """Why the runs of two rows may not be judged, nor those of either: they were not computed alike."""
    differences = alike.unlike(evidence.outcomes.get(cell.key) for side in cells for cell in side)
    if not differences or evidence.mixed:
        return ""
    return f"not judged, unlike runs: {', '.join(differences)} (--mixed judges them all the same)"


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


def _areas(statistics: Statistics, evidence: Evidence, left: Result, right: Result) -> tuple[float, float] | str:
    one, two = (evidence.landscape(result.cell) for result in (left, right))
    if one is None or two is None:
        return "no loss landscape is stored"
    if _surroundings(one) != _surroundings(two):
        return "the landscapes are of other samples, directions or distances"
    return area(one, statistics), area(two, statistics)


def _surroundings(landscape: Landscape) -> object:
    """What two landscapes must share."""
    directions = sorted((curve.statistics, curve.direction) for curve in landscape.curves)
    return landscape.data, landscape.split, landscape.samples, landscape.alphas, directions
