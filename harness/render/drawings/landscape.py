"""The loss along random directions: every seed thin, the mean of each row bold; a panel for each kind of statistics."""

from __future__ import annotations

import math
import statistics as of_numbers
from collections.abc import Mapping, Sequence
from typing import get_args

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.render import look
from harness.render.drawn import Drawn, Group, Numbers, Sketch
from harness.store import tidy
from harness.store.probes import Landscape, Statistics, area

COLUMNS = [*tidy.CELL, "statistics", "direction", "alpha", "loss", "accuracy", "samples", "key"]
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
def draw(sketch: Sketch) -> tuple[Figure, Numbers]:
    """The picture, and every point of every direction."""
    data = _points(sketch)
    panels: list[tuple[Group, Statistics | None, str]] = []
    for group in sketch.groups:
        blank = sketch.blank(group, "landscape")
        panels += [(group, None, blank)] if blank else [(group, kind, "") for kind in get_args(Statistics)]
    blanks = [blank for _, _, blank in panels]
    across = len(panels) if len(panels) <= look.IN_A_ROW else 2
    reading = (*READING[:-1], _samples(sketch) + READING[-1])
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
            axes.plot([*line], [*line.values()], color=own["color"], linewidth=0.7, alpha=0.6)
        mean = _mean(lines)
        axes.plot([*mean], [*mean.values()], **own, linewidth=1.8, markersize=4, label=label, zorder=3)
    axes.set_xlabel("α (in filter norms)")
    axes.set_ylabel("Training loss (nats)")
    look.rule(axes)
    axes.legend(loc="upper center")


def _mean_of_directions(landscape: Landscape, kind: Statistics) -> dict[float, float]:
    curves = landscape.of(kind)
    return _mean([dict(zip(landscape.alphas, map(_number, curve.loss), strict=True)) for curve in curves])


def _mean(curves: Sequence[Mapping[float, float]]) -> dict[float, float]:
    """By α; not a number where one of them has none."""
    alphas = sorted({alpha for curve in curves for alpha in curve})
    return {alpha: of_numbers.fmean(curve.get(alpha, math.nan) for curve in curves) for alpha in alphas}


def _area(landscapes: list[Landscape], kind: Statistics) -> str:
    """``, A = 1.21±0.05``; the deviation over seeds, where there are two."""
    areas = [value for landscape in landscapes if math.isfinite(value := area(landscape, kind))]
    if not areas or len(areas) < len(landscapes):
        return ""
    spread = f"±{of_numbers.stdev(areas):.2f}" if len(areas) > 1 else ""
    return f", A = {of_numbers.fmean(areas):.2f}{spread}"


def _points(sketch: Sketch) -> Numbers:
    rows = (
        (
            *(getattr(result.cell, name) for name in tidy.CELL),
            *(curve.statistics, curve.direction, alpha, loss, accuracy, landscape.samples, result.cell.key),
        )
        for row in _rows(sketch)
        for result, landscape in sketch.probed(row, "landscape")
        for curve in landscape.curves
        for alpha, loss, accuracy in zip(landscape.alphas, curve.loss, curve.accuracy, strict=True)
    )
    return Numbers.once(COLUMNS, rows)


def _rows(sketch: Sketch) -> list[Drawn]:
    return [row for group in sketch.groups for row in group.rows]


def _samples(sketch: Sketch) -> str:
    found = [landscape for row in _rows(sketch) for _, landscape in sketch.probed(row, "landscape")]
    counts = sorted({landscape.samples for landscape in found})
    directions = {curve.direction for landscape in found for curve in landscape.curves}
    if not counts:
        return ""
    return f"Loss on {', '.join(f'{n:,}' for n in counts)} training samples, {len(directions)} directions. "


def _number(value: float | None) -> float:
    return math.nan if value is None else value
