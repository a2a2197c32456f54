"""The loss along random directions: every seed thin, the mean of each row bold; a panel for each kind of statistics."""

from __future__ import annotations

import math
import statistics as of_numbers
from typing import get_args

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.render import look
from harness.render.drawn import Drawn, Group, Sketch
from harness.store import frame
from harness.store.probes import Landscape, Statistics, area

COLUMNS = [*frame.CELL, "statistics", "direction", "alpha", "loss", "accuracy", "samples", "key"]
TITLES: dict[str, str] = {"running": "statistics as trained", "re-estimated": "statistics re-estimated"}
HEADROOM = 1.3
"""Above the highest line, for the legend."""
READING = (
    "Random directions, each filter as long as the network's own (Li et al. 2018), drawn alike for both networks;",
    "biases and the parameters of normalisations stay. Their statistics, MPBN's included: as they were trained,",
    "or re-estimated from the same samples at every α. Thin: a seed, mean over its directions; bold: mean over seeds.",
    "A: mean of loss(α) − loss(0), mean±std over seeds; smaller is flatter.",
)


@look.styled
def draw(sketch: Sketch) -> tuple[Figure, pd.DataFrame]:
    """The picture, and every point of every direction."""
    data = _points(sketch)
    panels: list[tuple[Group, Statistics | None, str]] = []
    for group in sketch.groups:
        blank = sketch.blank(group, "landscape")
        panels += [(group, None, blank)] if blank else [(group, kind, "") for kind in get_args(Statistics)]
    blanks = [blank for _, _, blank in panels]
    across = len(panels) if len(panels) <= look.IN_A_ROW else 2
    reading = (*READING[:-1], _samples(data) + READING[-1])
    figure, axes = look.frame(sketch.title, (*sketch.subtitle, *reading), blanks, sketch.footnote, across=across)
    for one, (group, kind, _) in zip(axes, panels, strict=True):
        one.set_title(f"{group.title}\n{TITLES[kind]}" if kind else group.title)
        if kind is not None:
            _draw_panel(one, group, kind, sketch)
    look.share(axes)
    for one in (one for one in axes if one.axison):
        one.set_ylim(0, HEADROOM * one.get_ylim()[1])
    return figure, data


def _draw_panel(axes: Axes, group: Group, kind: Statistics, sketch: Sketch) -> None:
    for name, row in zip(group.names, group.rows, strict=True):
        found = sketch.probed(row, "landscape")
        own = look.look(*sketch.looks[name])
        lines = [_mean_of_directions(landscape, kind) for _, landscape in found]
        label = f"{name} ({row.count_of(len(found))}{_area([landscape for _, landscape in found], kind)})"
        for line in lines:
            axes.plot(line.index, line, color=own["color"], linewidth=0.7, alpha=0.6)
        mean = pd.concat(lines, axis=1).mean(axis=1, skipna=False) if lines else pd.Series(dtype=float)
        axes.plot(mean.index, mean, **own, linewidth=1.8, markersize=4, label=label, zorder=3)
    axes.set_xlabel("α (in filter norms)")
    axes.set_ylabel("Training loss (nats)")
    look.rule(axes)
    axes.legend(loc="upper center")


def _mean_of_directions(landscape: Landscape, kind: Statistics) -> pd.Series:
    curves = {curve.direction: [_number(value) for value in curve.loss] for curve in landscape.of(kind)}
    return pd.DataFrame(curves, index=list(landscape.alphas)).mean(axis=1, skipna=False)


def _area(landscapes: list[Landscape], kind: Statistics) -> str:
    """``, A = 1.21±0.05``; the deviation over seeds, where there are two."""
    areas = [value for landscape in landscapes if math.isfinite(value := area(landscape, kind))]
    if not areas or len(areas) < len(landscapes):
        return ""
    spread = f"±{of_numbers.stdev(areas):.2f}" if len(areas) > 1 else ""
    return f", A = {of_numbers.fmean(areas):.2f}{spread}"


def _points(sketch: Sketch) -> pd.DataFrame:
    rows = [
        {name: getattr(result.cell, name) for name in frame.CELL}
        | {"statistics": curve.statistics, "direction": curve.direction, "alpha": alpha}
        | {"loss": _number(loss), "accuracy": accuracy, "samples": landscape.samples, "key": result.cell.key}
        for row in _rows(sketch)
        for result, landscape in sketch.probed(row, "landscape")
        for curve in landscape.curves
        for alpha, loss, accuracy in zip(landscape.alphas, curve.loss, curve.accuracy, strict=True)
    ]
    return pd.DataFrame(rows, columns=COLUMNS).drop_duplicates(ignore_index=True)


def _rows(sketch: Sketch) -> list[Drawn]:
    return [row for group in sketch.groups for row in group.rows]


def _samples(data: pd.DataFrame) -> str:
    counts = sorted(set(data["samples"]))
    directions = data["direction"].nunique()
    if not counts:
        return ""
    return f"Loss on {', '.join(f'{n:,}' for n in counts)} training samples, {directions} directions. "


def _number(value: float | None) -> float:
    return math.nan if value is None else value
