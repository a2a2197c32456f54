"""Best minus last epoch: a line a row of the table, a point a seed, a bar their mean."""

from __future__ import annotations

import math
import statistics

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from harness.render import look
from harness.render.drawn import Drawn, Group, Numbers, Sketch
from harness.store import tidy
from harness.store.result import Result

READING = (
    "Test accuracy of the best epoch minus that of the last, in percentage points; dot: one seed, bar: their mean.",
    "The best epoch is chosen on the test set: the difference is what that adds. 0: the last epoch was the best.",
)
COLUMNS = (*tidy.CELL, "best_accuracy", "best_epoch", "last_accuracy", "epochs", "inflation", "key")
LINE = 0.27
"""Height of a row, in inches."""
AROUND = 0.85
"""Height of a panel beside its rows."""
WIDTH = 5.1
NARROW = 0.2
"""The axis shows so many points at least, so that nothing looks large for want of anything larger."""
SPREAD = 0.34
"""Of a row's height that its seeds are spread over."""


@look.styled
def draw(sketch: Sketch) -> tuple[Figure, Numbers]:
    """The picture, and the differences that it shows."""
    shown = [result for result in sketch.results if _finite(result)]
    data, gaps = Numbers(COLUMNS, [*map(_numbers, shown)]), [*map(_gap, shown)]
    high = AROUND + LINE * max((len(group.rows) for group in sketch.groups if not group.blank), default=3)
    if gaps and max(gaps) == 0.0:  # the title says it
        notes = (*sketch.footnote, *_counted(sketch))
        return look.frame(sketch.title, (*sketch.subtitle, *READING), [], notes, across=1)[0], data
    blanks = [group.blank for group in sketch.groups]
    subtitle = (*sketch.subtitle, *READING)
    figure, axes = look.frame(sketch.title, subtitle, blanks, sketch.footnote, across=1, size=(WIDTH + 1.7, high))
    most = max([NARROW, *gaps]) * 1.05
    for one, group in zip(axes, sketch.groups, strict=True):
        one.set_title(group.title)
        if not group.blank:
            _draw_panel(one, group, sketch)
            one.set_xlim(-0.02 * most, most)
    return figure, data


def _counted(sketch: Sketch) -> list[str]:
    """Rows of which seeds are lacking; where a line is drawn for each, it says so itself."""
    rows = [(name, row) for group in sketch.groups for name, row in zip(group.names, group.rows, strict=True)]
    found = [(name, row, sum(map(_finite, row.results))) for name, row in rows]
    return [f"{name}: {row.count_of(n)}" for name, row, n in found if n != row.shown.summary.asked]


def _finite(result: Result) -> bool:
    return math.isfinite(result.best_accuracy) and math.isfinite(result.last_accuracy)


def _numbers(result: Result) -> tuple[object, ...]:
    cell = result.cell
    best = (result.best_accuracy, result.best_epoch, result.last_accuracy)
    return (*(getattr(cell, name) for name in tidy.CELL), *best, cell.recipe.epochs, _gap(result), cell.key)


def _gap(result: Result) -> float:
    return result.best_accuracy - result.last_accuracy


def _draw_panel(axes: Axes, group: Group, sketch: Sketch) -> None:
    """From the top down in the order of the rows; what is known of each stands at the right."""
    for place, row in enumerate(group.rows):
        results = [result for result in row.results if _finite(result)]
        if results:
            _draw_row(axes, place, [_gap(result) for result in results], sketch.look_of(row))
        told = _told(row, results)
        at = {"xycoords": ("axes fraction", "data"), "annotation_clip": False}
        axes.annotate(told, (1.02, place), **at, va="center", size=7, color="black" if results else look.GREY)
    axes.set_yticks(range(len(group.rows)), group.names)
    axes.set_ylim(len(group.rows) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("Best − last epoch (percentage points)")
    axes.grid(axis="x", color=look.RULE, linewidth=0.5)
    axes.set_axisbelow(True)


def _told(row: Drawn, results: list[Result]) -> str:
    if not results:
        return row.count_of(0)
    return f"{statistics.fmean(map(_gap, results)):.2f} ({row.count_of(len(results))})"


def _draw_row(axes: Axes, place: int, gaps: list[float], colour: tuple[int, int]) -> None:
    own = look.look(*colour)
    step = SPREAD / max(1, len(gaps) - 1)
    heights = [place + step * (seed - (len(gaps) - 1) / 2) for seed in range(len(gaps))]
    dots = {**own, "linestyle": "none", "markersize": 4.5, "alpha": 0.9}
    axes.plot(gaps, heights, **dots, zorder=3, clip_on=False)
    mean = statistics.fmean(gaps)
    axes.plot([mean, mean], [place - 0.36, place + 0.36], color=own["color"], linewidth=2, zorder=2, clip_on=False)
