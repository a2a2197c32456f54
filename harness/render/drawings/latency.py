"""Test accuracy after 1, 2, 4, … timesteps of one pass, and against the operations of an image up to then.

Every result thin, the mean of each row bold.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.render import look
from harness.render.drawn import Drawn, Group, Sketch
from harness.store import frame
from harness.store.probes import Probes
from harness.store.result import Result

READING = (
    "Left: test accuracy of the last epoch after so many timesteps of one pass. Right: against the operations of an"
    " image up to then. AC: a spike reaches a synapse. MAC: a pixel does, once where every step sees the same.",
    "Thin: one seed, bold: mean over the n seeds that told it. A network without time is a level line, and a point.",
)
COLUMNS = (*frame.CELL, "after", "accuracy", "macs", "acs", "key")
"""`after`: timesteps that were shown; `accuracy` in percent; operations of an image up to then, NaN where unknown."""
NOT_YET = "operations are not counted yet;\ntype: python -m harness figure"


@look.styled
def draw(sketch: Sketch) -> tuple[Figure, pd.DataFrame]:
    """The picture, and the numbers in it."""
    rows = [row for result in sketch.results for row in _rows(result, sketch.probes)]
    data = pd.DataFrame(rows, columns=list(COLUMNS))
    data["operations"] = (data["macs"] + data["acs"]) / 1e6
    blanks = [blank for group in sketch.groups for blank in _blanks(group, data)]
    figure, axes = look.frame(sketch.title, (*sketch.subtitle, *READING), blanks, sketch.footnote, across=2)
    for place, group in enumerate(sketch.groups):
        left, right = axes[2 * place : 2 * place + 2]
        left.set_title(group.title)
        if not blanks[2 * place]:
            _draw_panel(left, group, data, sketch, "after")
            left.set_xscale("log", base=2)
            left.xaxis.set_major_formatter("{x:.0f}")
            left.set_xlabel("Timesteps shown")
            left.legend(loc="upper left", bbox_to_anchor=(0, 0.92), fontsize=6, handlelength=2.2)
        if not blanks[2 * place + 1]:
            _draw_panel(right, group, data, sketch, "operations")
            right.set_xscale("log")
            right.xaxis.set_major_formatter("{x:g}")
            right.set_xlabel("Operations of an image (million)")
        look.share([left, right])
    return figure, data.drop(columns="operations")


def _rows(result: Result, probes: Mapping[str, Probes]) -> list[tuple[object, ...]]:
    """Of the last epoch; nothing of a result that is older than this record."""
    cell = tuple(getattr(result.cell, name) for name in frame.CELL)
    told = result.curve.by_timesteps[-1] if result.curve.by_timesteps else ()
    counted = probes.get(result.cell.key, Probes()).operations
    spent = counted.after if counted is not None else ()
    spent = spent if len(spent) == len(told) else [(math.nan, math.nan)] * len(told)
    after = [min(2**i, result.cell.timesteps) for i in range(len(told))]
    return [(*cell, t, y, *of, result.cell.key) for t, y, of in zip(after, told, spent, strict=True)]


def _blanks(group: Group, data: pd.DataFrame) -> tuple[str, str]:
    """Why there is nothing to draw of its accuracies, and of its operations."""
    mine = frame.of(data, [result.cell.key for row in group.rows for result in row.results])
    untold = group.blank or ("no result tells its accuracy step by step" if mine.empty else "")
    return untold, " " if untold else NOT_YET if mine.dropna(subset=["operations"]).empty else ""


def _draw_panel(axes: Axes, group: Group, data: pd.DataFrame, sketch: Sketch, across: str) -> None:
    for name, row in zip(group.names, group.rows, strict=True):
        _draw_row(axes, name, row, data, sketch, across)
    axes.set_ylabel("Test accuracy (%)")
    axes.set_ylim(bottom=0)
    look.rule(axes)


def _draw_row(axes: Axes, name: str, row: Drawn, data: pd.DataFrame, sketch: Sketch, across: str) -> None:
    own = look.look(*sketch.looks[name])
    shown = frame.of(data, [result.cell.key for result in row.results])
    mean = pd.DataFrame(shown.groupby("after")[["accuracy", "operations"]].mean()).reset_index()
    label = f"{name} ({row.count_of(len(set(shown['key'])))})"
    if across == "after" and list(mean["after"]) == [1]:
        level = float(mean["accuracy"].iloc[0])
        axes.axhline(level, color=own["color"], linestyle=own["linestyle"], linewidth=1.0, label=label)
        return
    for _, one in shown.groupby("key", sort=False):
        axes.plot(one[across], one["accuracy"], color=own["color"], linewidth=0.7, alpha=0.6)
    axes.plot(mean[across], mean["accuracy"], **own, linewidth=1.6, markersize=4, label=label, zorder=3)
