"""Test accuracy after 1, 2, 4, … timesteps of one pass: every result thin, the mean of each row bold."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.render import look
from harness.render.drawn import Drawn, Group, Sketch
from harness.store import frame
from harness.store.result import Result

READING = (
    "Test accuracy of the last epoch after so many timesteps of one pass, which are as many times the operations;",
    "thin: one seed, bold: mean over the n seeds that told it. A level line is a network without time.",
)
COLUMNS = (*frame.CELL, "after", "accuracy", "key")
"""`after`: timesteps that were shown; `accuracy` in percent."""


@look.styled
def draw(sketch: Sketch) -> tuple[Figure, pd.DataFrame]:
    """The picture, and the numbers in it."""
    rows = [row for result in sketch.results for row in _rows(result)]
    data = pd.DataFrame(rows, columns=list(COLUMNS))
    blanks = [group.blank or _untold(group) for group in sketch.groups]
    figure, axes = look.frame(sketch.title, (*sketch.subtitle, *READING), blanks, sketch.footnote)
    for one, group, blank in zip(axes, sketch.groups, blanks, strict=True):
        one.set_title(group.title)
        if not blank:
            _draw_panel(one, group, data, sketch)
    return figure, data


def _rows(result: Result) -> list[tuple[object, ...]]:
    cell = tuple(getattr(result.cell, name) for name in frame.CELL)
    return [(*cell, after, accuracy, result.cell.key) for after, accuracy in _told(result)]


def _told(result: Result) -> list[tuple[int, float]]:
    """(timesteps, accuracy) of the last epoch; nothing of a result that is older than this record."""
    if not result.curve.by_timesteps:
        return []
    told = result.curve.by_timesteps[-1]
    return [(min(2**i, result.cell.timesteps), accuracy) for i, accuracy in enumerate(told)]


def _untold(group: Group) -> str:
    return "" if any(_keys(row) for row in group.rows) else "no result tells its accuracy step by step"


def _keys(row: Drawn) -> list[str]:
    return [result.cell.key for result in row.results if _told(result)]


def _draw_panel(axes: Axes, group: Group, data: pd.DataFrame, sketch: Sketch) -> None:
    for name, row in zip(group.names, group.rows, strict=True):
        keys, own = _keys(row), look.look(*sketch.looks[name])
        shown = frame.of(data, keys)
        mean = pd.Series(shown.groupby("after")["accuracy"].mean())
        label = f"{name} ({row.count_of(len(keys))})"
        if list(mean.index) == [1]:
            axes.axhline(
                float(mean.iloc[0]), color=own["color"], linestyle=own["linestyle"], linewidth=1.0, label=label
            )
            continue
        for _, one in shown.groupby("key", sort=False):
            axes.plot(one["after"], one["accuracy"], color=own["color"], linewidth=0.7, alpha=0.6)
        axes.plot(mean.index, mean, **own, linewidth=1.6, markersize=4, label=label, zorder=3)
    axes.set_xscale("log", base=2)
    axes.set_xlabel("Timesteps shown")
    axes.set_ylabel("Test accuracy (%)")
    axes.set_ylim(bottom=0)
    look.rule(axes)
    axes.legend(loc="best")
