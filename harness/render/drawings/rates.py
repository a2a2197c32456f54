"""Firing rates from the input to the output of a network: every result thin, the mean of each row bold."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from harness.render import look
from harness.render.drawn import Drawn, Group, Numbers, Sketch, means
from harness.store import tidy
from harness.store.result import Result

READING = (
    "Spikes an element and step in percent, layer by layer, on the test samples of the fold proofs;",
    "thin: one seed, bold: mean over the n seeds that finished and were proved.",
)
COLUMNS = (*tidy.CELL, "layer", "name", "rate", "spikes", "chances", "key")
"""`layer` counts from the input, from 1; `rate` in percent: `spikes` of `chances`, samples × steps × elements."""
HEADROOM = 1.3
"""Above the highest line, for the legend."""


@look.styled
def draw(sketch: Sketch) -> tuple[Figure, Numbers]:
    """The picture, and the rates that it shows; every panel has the same scale."""
    data = Numbers(COLUMNS, [layer for result in sketch.results for layer in _layers(result)])
    blanks = [group.blank or _unproved(group) for group in sketch.groups]
    figure, axes = look.frame(sketch.title, (*sketch.subtitle, *READING), blanks, sketch.footnote)
    top = HEADROOM * max((rate for result in sketch.results for rate in _rates(result)), default=1.0) or 1.0
    for one, group, blank in zip(axes, sketch.groups, blanks, strict=True):
        one.set_title(group.title)
        if not blank:
            _draw_panel(one, group, sketch)
            one.set_ylim(0, top)
    return figure, data


def _layers(result: Result) -> list[tuple[object, ...]]:
    cell = tuple(getattr(result.cell, name) for name in tidy.CELL)
    return [
        (*cell, number, layer.name, 100 * layer.rate, layer.spikes, layer.neurons, result.cell.key)
        for number, layer in enumerate(result.spiking_layers, start=1)
    ]


def _rates(result: Result) -> list[float]:
    """In percent, from the input on."""
    return [100 * layer.rate for layer in result.spiking_layers]


def _unproved(group: Group) -> str:
    return "" if any(_proved(row) for row in group.rows) else "no result has a fold proof, which says the rates"


def _proved(row: Drawn) -> list[list[float]]:
    """The rates of each result that has them."""
    return [rates for result in row.results if (rates := _rates(result))]


def _draw_panel(axes: Axes, group: Group, sketch: Sketch) -> None:
    for name, row in zip(group.names, group.rows, strict=True):
        found, own = _proved(row), look.look(*sketch.looks[name])
        for rates in found:
            axes.plot(range(1, len(rates) + 1), rates, color=own["color"], linewidth=0.7, alpha=0.6)
        mean = means(found)
        label = f"{name} ({row.count_of(len(found))})"
        axes.plot(range(1, len(mean) + 1), mean, **own, linewidth=1.6, markersize=4, label=label, zorder=3)
    axes.set_xlabel("Spiking layer, from the input")
    axes.set_ylabel("Firing rate (%)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    look.rule(axes)
    axes.legend(loc="upper left")
