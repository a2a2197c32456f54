"""The thresholds that MPBN folds into, a layer a group, a seed a bar of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.render import look
from harness.render.drawn import Group, Numbers, Sketch
from harness.store import tidy
from harness.store.probes import QUANTILES, Potentials

NAMES = tuple(f"q{round(100 * share):02d}" for share in QUANTILES)
COLUMNS = [*tidy.CELL, "layer", "thresholds", *NAMES, "negative", "infinite", "before", "key"]
READING = (
    "Of the channels (or elements) of a layer: thin, from least to greatest; thick, the middle half; dot, median; "
    "a bar a seed.",
    "The potential u at which a neuron begins to fire (Eq. 10), found to the last bit; dashed: V, as before folding.",
)
GAP = 0.62
"""Width of the bars of one layer, in distances between layers."""


@look.styled
def draw(sketch: Sketch) -> tuple[Figure, Numbers]:
    """The picture, and the quantiles of every layer of every seed."""
    blanks = [sketch.blank(group, "potentials") or _unfolded(group, sketch) for group in sketch.groups]
    subtitle = (*sketch.subtitle, *READING)
    figure, axes = look.frame(sketch.title, subtitle, blanks, sketch.footnote, across=1, size=(6.8, 3.1))
    for one, group, blank in zip(axes, sketch.groups, blanks, strict=True):
        one.set_title(group.title)
        if not blank:
            _draw_panel(one, group, sketch)
    return figure, _table(sketch)


def _draw_panel(axes: Axes, group: Group, sketch: Sketch) -> None:
    bars = [
        (name, row, probe)
        for name, row in zip(group.names, group.rows, strict=True)
        for _, probe in sketch.probed(row, "potentials")
        if probe.thresholds
    ]
    layers = list(dict.fromkeys(folded.layer for _, _, probe in bars for folded in probe.thresholds))
    offsets = (np.arange(len(bars)) - (len(bars) - 1) / 2) * GAP / len(bars)
    named: set[str] = set()
    for offset, (name, row, probe) in zip(offsets, bars, strict=True):
        own = look.look(*sketch.looks[name])
        folds = [folded for folded in probe.thresholds if folded.quantiles]
        places = np.array([layers.index(folded.layer) for folded in folds]) + offset
        least, _, lower, median, upper, _, greatest = np.array([folded.quantiles for folded in folds]).T
        count = row.count_of(len([None for other, _, _ in bars if other == name]))
        label = None if name in named else f"{name} ({count}); {_odd([probe for n, _, probe in bars if n == name])}"
        named.add(name)
        axes.vlines(places, least, greatest, color=own["color"], linewidth=0.7)
        axes.vlines(places, lower, upper, color=own["color"], linewidth=3)
        dot = {"marker": "o", "markersize": 2.6, "markerfacecolor": "white", "markeredgewidth": 0.6}
        axes.plot(places, median, linestyle="", **dot, color=own["color"], zorder=3)
        if label is not None:  # as a bar is drawn
            axes.plot([], [], **dot, color=own["color"], linewidth=3, label=label)
    axes.axhline(bars[0][2].threshold, color=look.GREY, linewidth=0.9, linestyle=(0, (4, 2)), zorder=1)
    bottom, top = axes.get_ylim()
    axes.set_ylim(bottom, top + 0.12 * (top - bottom))  # room for the legend
    axes.set_xticks(range(len(layers)), [str(n + 1) for n in range(len(layers))])
    axes.set_xlabel("Spiking layer, from the input")
    axes.set_ylabel("Folded threshold")
    look.rule(axes)
    axes.legend(loc="upper left")


def _unfolded(group: Group, sketch: Sketch) -> str:
    found = (probe for row in group.rows for _, probe in sketch.probed(row, "potentials"))
    return "" if any(probe.thresholds for probe in found) else "nothing of these folds into thresholds"


def _odd(probes: Sequence[Potentials]) -> str:
    """Of all thresholds, how many belong to a negative scale, and how many are infinite."""
    folded = [folded for probe in probes for folded in probe.thresholds]
    total = sum(each.count for each in folded)
    negative, infinite = (round(sum(getattr(f, name) * f.count for f in folded)) for name in ("negative", "infinite"))
    return f"λ < 0 in {negative:,} of {total:,}, always or never firing {infinite:,}"


def _table(sketch: Sketch) -> Numbers:
    rows = (
        (
            *(getattr(result.cell, name) for name in tidy.CELL),
            *(folded.layer, folded.count, *(folded.quantiles or [None] * len(NAMES))),
            *(folded.negative, folded.infinite, probe.threshold, result.cell.key),
        )
        for group in sketch.groups
        for row in group.rows
        for result, probe in sketch.probed(row, "potentials")
        for folded in probe.thresholds
    )
    return Numbers.once(COLUMNS, rows)
