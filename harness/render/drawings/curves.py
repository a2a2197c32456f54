"""Learning curves: every result thin, the mean of each row bold."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from harness.render import look
from harness.render.drawn import Group, Numbers, Sketch, means
from harness.store import tidy

READING = "Test accuracy of every epoch; thin: one seed, bold: mean over the n seeds that finished."
MARKERS = 10
"""About so many on a curve."""
LONG = 50
"""Epochs from which on lines are drawn finer: they are noisy and lie close."""


@look.styled
def draw(sketch: Sketch) -> tuple[Figure, Numbers]:
    """The picture, and the epochs that it shows."""
    data = Numbers(tidy.EPOCHS, [epoch for result in sketch.results for epoch in tidy.epochs(result)])
    blanks = [group.blank for group in sketch.groups]
    figure, axes = look.frame(sketch.title, (*sketch.subtitle, READING), blanks, sketch.footnote)
    for one, group in zip(axes, sketch.groups, strict=True):
        one.set_title(group.title)
        if not group.blank:
            _draw_panel(one, group, sketch)
    for dataset in dict.fromkeys(group.dataset for group in sketch.groups):
        look.share([one for one, group in zip(axes, sketch.groups, strict=True) if group.dataset == dataset])
    return figure, data


def _draw_panel(axes: Axes, group: Group, sketch: Sketch) -> None:
    for name, row in zip(group.names, group.rows, strict=True):
        shown = [result.curve.test_accuracy for result in row.results]
        _draw_series(axes, f"{name} ({row.count})", sketch.looks[name], shown)
        if sketch.compared and (printed := row.comparable) is not None:
            colour = look.look(*sketch.looks[name])["color"]
            axes.axhline(printed, color=colour, linewidth=0.8, linestyle=":", label=f"the paper's {printed:.2f}")
    axes.set_xlabel("Epoch")
    axes.set_ylabel("Test accuracy (%)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    look.rule(axes)
    axes.legend(loc="lower right")


def _draw_series(axes: Axes, label: str, looks: tuple[int, int], shown: Sequence[Sequence[float]]) -> None:
    """Markers of the series stand at different epochs where there are more epochs than markers."""
    own, mean = look.look(*looks), means(shown)
    epochs = range(1, len(mean) + 1)
    bold, thin = (1.2, 0.4) if len(mean) > LONG else (1.8, 0.7)
    for one in shown:
        axes.plot(epochs, one, color=own["color"], linewidth=thin, alpha=0.6)
    every = max(1, len(mean) // MARKERS)
    places = (sum(looks) * every // 2 % every, every)
    axes.plot(epochs, mean, **own, linewidth=bold, markersize=4, markevery=places, label=label, zorder=3)
