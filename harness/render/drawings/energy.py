"""Accuracy against what an inference costs: a faint point a seed, their mean in full, a line a method."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.render import look
from harness.render.drawn import Drawn, Group, Numbers, Sketch
from harness.store import tidy
from harness.store.probes import Operations, Probes
from harness.store.result import Result

READING = (
    "One image, all timesteps. AC: a spike reaches a synapse. MAC: a pixel does, once where every step sees the same.",
    "Rates: of the test samples of the fold proofs. Faint: one seed, full: mean over the n seeds that finished.",
)
COLUMNS = (*tidy.CELL, "accuracy", "macs", "acs", "microjoules", "key")
"""`accuracy` in percent, the epoch by the recipe's rule."""
AXES: tuple[tuple[str, Callable[[Operations], float]], ...] = (
    ("Synaptic operations of an image (million)", lambda counted: (counted.macs + counted.acs) / 1e6),
    ("Energy of an image (µJ)", lambda counted: counted.microjoules),
)
ROOM = 1.15
"""To the right of the dearest point, as the words beside it want."""
NOT_YET = "operations are not counted yet;\ntype: python -m harness figure"


@dataclass(frozen=True, kw_only=True)
class Point:
    """A finished seed."""

    result: Result
    spent: Operations


@look.styled
def draw(sketch: Sketch) -> tuple[Figure, Numbers]:
    """The picture, and the numbers in it."""
    points = {result.cell.key: point for result in sketch.results if (point := _point(result, sketch.probes))}
    data = Numbers(COLUMNS, [_numbers(point) for point in points.values()])
    whys = [group.blank or _uncounted(group, points) for group in sketch.groups]
    blanks = [blank for why in whys for blank in (why, why and " ")]
    figure, axes = look.frame(sketch.title, (*sketch.subtitle, *READING), blanks, sketch.footnote, across=2)
    for place, (group, why) in enumerate(zip(sketch.groups, whys, strict=True)):
        left, right = axes[2 * place : 2 * place + 2]
        left.set_title(group.title)
        if not why:
            for one, (label, measure) in zip((left, right), AXES, strict=True):
                _draw_panel(one, group, points, sketch, measure)
                one.set_xlabel(label)
            left.legend(loc="best")
            look.share([left, right])
    return figure, data


def _point(result: Result, probes: Mapping[str, Probes]) -> Point | None:
    counted = probes.get(result.cell.key, Probes()).operations
    if counted is None or not math.isfinite(result.accuracy):
        return None
    return Point(result=result, spent=counted)


def _numbers(point: Point) -> tuple[object, ...]:
    cell, spent = point.result.cell, point.spent
    said = (point.result.accuracy, spent.macs, spent.acs, spent.microjoules)
    return (*(getattr(cell, name) for name in tidy.CELL), *said, cell.key)


def _uncounted(group: Group, points: Mapping[str, Point]) -> str:
    return "" if any(_of(row, points) for row in group.rows) else NOT_YET


def _of(row: Drawn, points: Mapping[str, Point]) -> list[Point]:
    return [points[result.cell.key] for result in row.results if result.cell.key in points]


def _draw_panel(
    axes: Axes,
    group: Group,
    points: Mapping[str, Point],
    sketch: Sketch,
    measure: Callable[[Operations], float],
) -> None:
    rows = [row for row in group.rows if _of(row, points)]
    means = {id(row): _mean(_of(row, points), measure) for row in rows}
    for label in dict.fromkeys(row.label for row in group.rows):
        mine = [row for row in rows if row.label == label]
        own = look.look(*sketch.look_of(next(row for row in group.rows if row.label == label)))
        for row in mine:
            x, y = zip(*(_at(point, measure) for point in _of(row, points)), strict=True)
            axes.plot(x, y, **{**own, "linestyle": "none"}, markersize=3.5, alpha=0.45)
        x, y = zip(*(means[id(row)] for row in mine), strict=True) if mine else ((), ())
        told = "; ".join(dict.fromkeys(row.count_of(len(_of(row, points))) for row in mine)) or "n = 0"
        axes.plot(x, y, **own, linewidth=1.2, markersize=6, label=f"{label} ({told})", zorder=3)
    for row in rows:
        _name(axes, row, means[id(row)], [means[id(other)][1] for other in rows if _steps(other) == _steps(row)])
    axes.set_ylabel("Test accuracy (%)")
    axes.set_xlim(0, ROOM * max(measure(point.spent) for row in rows for point in _of(row, points)))
    axes.margins(y=0.15)
    look.rule(axes)


def _name(axes: Axes, row: Drawn, mean: tuple[float, float], heights: list[float]) -> None:
    """Above the highest of those with as many timesteps, below the others."""
    above = mean[1] >= max(heights)
    offset, side = ((-5, 5), "right") if above else ((5, -11), "left")
    axes.annotate(f"T = {_steps(row)}", mean, offset, textcoords="offset points", ha=side, size=7)


def _steps(row: Drawn) -> int:
    return row.shown.line.row.timesteps


def _at(point: Point, measure: Callable[[Operations], float]) -> tuple[float, float]:
    return measure(point.spent), point.result.accuracy


def _mean(points: list[Point], measure: Callable[[Operations], float]) -> tuple[float, float]:
    x, y = zip(*(_at(point, measure) for point in points), strict=True)
    return statistics.fmean(x), statistics.fmean(y)
