"""Test accuracy after 1, 2, 4, … timesteps of one pass, and against the operations of an image up to then.

Every result thin, the mean of each row bold.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.render import look
from harness.render.drawn import Drawn, Group, Numbers, Sketch
from harness.store import tidy
from harness.store.probes import Probes
from harness.store.result import Result

READING = (
    "Left: test accuracy of the last epoch after so many timesteps of one pass. Right: against the operations of an"
    " image up to then. AC: a spike reaches a synapse. MAC: a pixel does, once where every step sees the same.",
    "Thin: one seed, bold: mean over the n seeds that told it. A network without time is a level line, and a point.",
)
COLUMNS = (*tidy.CELL, "after", "accuracy", "macs", "acs", "key")
"""`after`: timesteps that were shown; `accuracy` in percent; operations of an image up to then, NaN where unknown."""
NOT_YET = "operations are not counted yet;\ntype: python -m harness figure"


@look.styled
def draw(sketch: Sketch) -> tuple[Figure, Numbers]:
    """The picture, and the numbers in it."""
    told = {result.cell.key: _points(result, sketch.probes) for result in sketch.results}
    blanks = [blank for group in sketch.groups for blank in _blanks(group, told)]
    figure, axes = look.frame(sketch.title, (*sketch.subtitle, *READING), blanks, sketch.footnote, across=2)
    for place, group in enumerate(sketch.groups):
        left, right = axes[2 * place : 2 * place + 2]
        left.set_title(group.title)
        if not blanks[2 * place]:
            _draw_panel(left, group, told, sketch, "after")
            left.set_xscale("log", base=2)
            left.xaxis.set_major_formatter("{x:.0f}")
            left.set_xlabel("Timesteps shown")
            left.legend(loc="upper left", bbox_to_anchor=(0, 0.92), fontsize=6, handlelength=2.2)
        if not blanks[2 * place + 1]:
            _draw_panel(right, group, told, sketch, "operations")
            right.set_xscale("log")
            right.xaxis.set_major_formatter("{x:g}")
            right.set_xlabel("Operations of an image (million)")
        look.share([left, right])
    return figure, Numbers(COLUMNS, [row for result in sketch.results for row in _rows(result, told)])


class Point(NamedTuple):
    after: int
    accuracy: float
    spent: tuple[float, float] | None

    @property
    def operations(self) -> float:
        """In millions."""
        return math.nan if self.spent is None else sum(self.spent) / 1e6


def _points(result: Result, probes: Mapping[str, Probes]) -> list[Point]:
    """Of the last epoch; nothing of a result that is older than this record."""
    told = result.curve.by_timesteps[-1] if result.curve.by_timesteps else ()
    counted = probes.get(result.cell.key, Probes()).operations
    spent = counted.after if counted is not None else ()
    spent = spent if len(spent) == len(told) else [None] * len(told)
    after = [min(2**i, result.cell.timesteps) for i in range(len(told))]
    return [*map(Point, after, told, spent)]


def _rows(result: Result, told: Mapping[str, list[Point]]) -> list[tuple[object, ...]]:
    cell = [getattr(result.cell, name) for name in tidy.CELL]
    mine = told[result.cell.key]
    return [(*cell, one.after, one.accuracy, *(one.spent or (None, None)), result.cell.key) for one in mine]


def _blanks(group: Group, told: Mapping[str, list[Point]]) -> tuple[str, str]:
    """Why there is nothing to draw of its accuracies, and of its operations."""
    mine = [point for row in group.rows for points in _of(row, told) for point in points]
    untold = group.blank or ("" if mine else "no result tells its accuracy step by step")
    return untold, " " if untold else "" if any(point.spent for point in mine) else NOT_YET


def _of(row: Drawn, told: Mapping[str, list[Point]]) -> list[list[Point]]:
    """Of each of its results that tells them."""
    return [points for result in row.results if (points := told[result.cell.key])]


def _draw_panel(axes: Axes, group: Group, told: Mapping[str, list[Point]], sketch: Sketch, across: str) -> None:
    for name, row in zip(group.names, group.rows, strict=True):
        _draw_row(axes, name, row, _of(row, told), sketch, across)
    axes.set_ylabel("Test accuracy (%)")
    axes.set_ylim(bottom=0)
    look.rule(axes)


def _draw_row(axes: Axes, name: str, row: Drawn, found: list[list[Point]], sketch: Sketch, across: str) -> None:
    own = look.look(*sketch.looks[name])
    label = f"{name} ({row.count_of(len(found))})"
    after = sorted({point.after for points in found for point in points})
    at = [[point for points in found for point in points if point.after == here] for here in after]
    heights = [_mean(here, "accuracy") for here in at]
    if across == "after" and after == [1]:
        axes.axhline(*heights, color=own["color"], linestyle=own["linestyle"], linewidth=1.0, label=label)
        return
    for points in found:
        x, y = ([getattr(point, name) for point in points] for name in (across, "accuracy"))
        axes.plot(x, y, color=own["color"], linewidth=0.7, alpha=0.6)
    x = [_mean(here, across) for here in at]
    axes.plot(x, heights, **own, linewidth=1.6, markersize=4, label=label, zorder=3)


def _mean(points: list[Point], name: str) -> float:
    """Of those that tell it."""
    told = [value for point in points if not math.isnan(value := getattr(point, name))]
    return statistics.fmean(told) if told else math.nan
