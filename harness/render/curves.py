"""Learning curves as a picture: every result thin, the mean of each series bold. Imports matplotlib and pandas.

Colours are those of Okabe and Ito, told apart by colour-blind readers; dashes and markers tell them apart in grey.
The same results give the same bytes.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator

from harness import frame

LOOKS: tuple[dict[str, Any], ...] = (
    {"color": "#0072B2", "linestyle": (0, (4, 1.5)), "marker": "o", "markerfacecolor": "white"},
    {"color": "#D55E00", "linestyle": "-", "marker": "s", "markeredgecolor": "white", "markeredgewidth": 0.5},
    {"color": "#009E73", "linestyle": "-.", "marker": "^", "markeredgecolor": "white", "markeredgewidth": 0.5},
    {"color": "#CC79A7", "linestyle": (0, (1, 1)), "marker": "D"},
    {"color": "#56B4E9", "linestyle": (0, (5, 1, 1, 1, 1, 1)), "marker": "v", "markerfacecolor": "white"},
    {"color": "#E69F00", "linestyle": "-", "marker": "P"},
    {"color": "#000000", "linestyle": ":", "marker": "x"},
)
STYLE = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that no machine draws another picture
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.frameon": False,
    "legend.handlelength": 3.4,
    "svg.fonttype": "none",  # text stays text: to be searched, read aloud, restyled
    "svg.hashsalt": "harness",
    "pdf.fonttype": 42,  # TrueType, which journals ask for
}
GREY = "#595959"
IN_A_ROW = 3
WIDTH, HEIGHT = 3.4, 2.7
"""Of a panel, in inches: two make the text width of a paper."""
LINE = 0.17
"""Of text, in inches."""
BLANK = 0.55
"""Width of a panel that has no curves, as a part of one that has."""
MARKERS = 10
"""About so many on a curve."""
LONG = 50
"""Epochs from which on lines are drawn finer: they are noisy and lie close."""


@dataclass(frozen=True, kw_only=True)
class Series:
    label: str
    keys: tuple[str, ...]
    """Of the results it is the mean of; none: it is named in the legend and has no curve."""
    look: int
    """Series of one look are the same thing in different panels."""


@dataclass(frozen=True, kw_only=True)
class Panel:
    title: str
    series: tuple[Series, ...]
    blank: str = ""
    """What stands there instead of axes."""


@style.context(["default", STYLE])
def draw(
    title: str, subtitle: Sequence[str], panels: Sequence[Panel], data: pd.DataFrame, footnote: Sequence[str] = ()
) -> Figure:
    """`data`: the epochs of the results (`frame.epochs`) that the series speak of by key."""
    across = min(len(panels), IN_A_ROW)
    down = -(-len(panels) // across)
    above, below = (len(subtitle) + 2) * LINE, len(footnote) * LINE
    height = down * HEIGHT + above + below
    layout = ConstrainedLayoutEngine(rect=(0, below / height, 1, 1 - (above + below) / height), wspace=0.05)
    figure = Figure(figsize=(across * WIDTH, height), layout=layout)
    left = 0.08 / (across * WIDTH)
    figure.text(left, 1 - 0.5 * LINE / height, title, va="top", size=9, weight="bold")
    for number, line in enumerate(subtitle):
        figure.text(left, 1 - (number + 1.6) * LINE / height, line, va="top", size=7, color=GREY)
    for number, line in enumerate(reversed(footnote)):
        figure.text(left, (number + 0.3) * LINE / height, line, size=7, color=GREY)
    widths = [BLANK if panel.blank else 1.0 for panel in panels] if down == 1 else [1.0] * across
    grid = figure.add_gridspec(down, across, width_ratios=widths)
    for place, panel in enumerate(panels):
        _draw_panel(figure.add_subplot(grid[divmod(place, across)]), panel, data)
    return figure


@style.context(["default", STYLE])
def files(figure: Figure, title: str) -> dict[str, bytes]:
    """Suffix -> content; no file says when it was made."""
    metadata = {"svg": {"Date": None, "Title": title}, "pdf": {"CreationDate": None, "Title": title}}
    return {form: _bytes(figure, form, metadata.get(form, {"Title": title})) for form in ("svg", "pdf", "png")}


@style.context(["default", STYLE])
def svg(figure: Figure, title: str) -> str:
    return _bytes(figure, "svg", {"Date": None, "Title": title}).decode()


def _draw_panel(axes: Axes, panel: Panel, data: pd.DataFrame) -> None:
    axes.set_title(panel.title)
    if panel.blank:
        axes.set_axis_off()
        lines = (textwrap.fill(line, 28, subsequent_indent="  ") for line in panel.blank.splitlines())
        axes.text(0, 0.5, "\n".join(lines), transform=axes.transAxes, va="center", color=GREY)
        return
    for series in panel.series:
        _draw_series(axes, series, frame.of(data, series.keys))
    axes.set_xlabel("Epoch")
    axes.set_ylabel("Test accuracy (%)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="y", color="#E5E5E5", linewidth=0.5)
    axes.set_axisbelow(True)
    axes.legend(loc="lower right")


def _draw_series(axes: Axes, series: Series, data: pd.DataFrame) -> None:
    """Markers of the series stand at different epochs where there are more epochs than markers."""
    look, mean = LOOKS[series.look % len(LOOKS)], frame.mean(data)
    bold, thin = (1.2, 0.4) if len(mean) > LONG else (1.8, 0.7)
    for _, one in data.groupby("key", sort=False):
        axes.plot(one["epoch"], one["test_accuracy"], color=look["color"], linewidth=thin, alpha=0.6)
    every = max(1, len(mean) // MARKERS)
    places = (series.look * every // 2 % every, every)
    axes.plot(mean.index, mean, **look, linewidth=bold, markersize=4, markevery=places, label=series.label, zorder=3)


def _bytes(figure: Figure, form: str, metadata: dict[str, str | None]) -> bytes:
    content = io.BytesIO()
    figure.savefig(content, format=form, dpi=300, metadata=metadata)
    return content.getvalue()
