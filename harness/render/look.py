"""How every figure looks: colours, dashes, sizes, the frame with its title and notes, the files. Imports matplotlib.

Colours are those of Okabe and Ito, told apart by colour-blind readers; dashes and markers tell them apart in grey.
The same numbers give the same bytes.
"""

from __future__ import annotations

import io
import textwrap
import warnings
from collections.abc import Sequence
from typing import Any

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from harness.printable import printable

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
    "text.parse_math": False,  # a label is what its author wrote: a lone $ is a dollar
    "svg.fonttype": "none",  # text stays text: to be searched, read aloud, restyled
    "svg.hashsalt": "harness",
    "pdf.fonttype": 42,  # TrueType, which journals ask for
}
styled = style.context(["default", STYLE])
"""Decorator of what draws or writes."""
GREY, RULE = "#595959", "#E5E5E5"
IN_A_ROW = 3
WIDTH, HEIGHT = 3.4, 2.7
"""Of a panel, in inches: two make the text width of a paper."""
LINE = 0.17
"""Of text, in inches."""
BLANK = 0.55
"""Width of a panel that has nothing to draw, as a part of one that has."""
LOW = 0.35
"""Height of a line of such panels."""


def look(number: int) -> dict[str, Any]:
    """Colour, dashes and marker of the series of this number."""
    return LOOKS[number % len(LOOKS)]


@styled
def frame(
    title: str,
    subtitle: Sequence[str],
    blanks: Sequence[str],
    footnote: Sequence[str] = (),
    *,
    across: int = IN_A_ROW,
    size: tuple[float, float] = (WIDTH, HEIGHT),
) -> tuple[Figure, list[Axes]]:
    """A figure with a pair of axes for each of `blanks`: why it stays empty, or nothing where something is drawn."""
    title, subtitle, footnote = printable(title), [*map(printable, subtitle)], [*map(printable, footnote)]
    across = min(len(blanks), across)
    down = -(-len(blanks) // across)
    width, high = size
    above, below = (len(subtitle) + 2) * LINE, len(footnote) * LINE
    lines = [blanks[first : first + across] for first in range(0, len(blanks), across)]
    heights = [LOW if all(line) and not all(blanks) else 1.0 for line in lines]
    height = sum(heights) * high + above + below
    layout = ConstrainedLayoutEngine(rect=(0, below / height, 1, 1 - (above + below) / height), wspace=0.05)
    figure = Figure(figsize=(across * width, height), layout=layout)
    left = 0.08 / (across * width)
    figure.text(left, 1 - 0.5 * LINE / height, title, va="top", size=9, weight="bold")
    for number, line in enumerate(subtitle):
        figure.text(left, 1 - (number + 1.6) * LINE / height, line, va="top", size=7, color=GREY)
    for number, line in enumerate(reversed(footnote)):
        figure.text(left, (number + 0.3) * LINE / height, line, size=7, color=GREY)
    widths = [BLANK if blank else 1.0 for blank in blanks] if down == 1 else [1.0] * across
    grid = figure.add_gridspec(down, across, width_ratios=widths, height_ratios=heights)
    axes = [figure.add_subplot(grid[divmod(place, across)]) for place in range(len(blanks))]
    for one, blank in zip(axes, blanks, strict=True):
        if blank:
            _leave_empty(one, blank)
    return figure, axes


def rule(axes: Axes) -> None:
    """Faint lines across, behind what is drawn."""
    axes.grid(axis="y", color=RULE, linewidth=0.5)
    axes.set_axisbelow(True)


@styled
def files(figure: Figure, title: str) -> dict[str, bytes]:
    """Suffix -> content; no file says when it was made."""
    metadata = {"svg": {"Date": None, "Title": title}, "pdf": {"CreationDate": None, "Title": title}}
    return {form: _bytes(figure, form, metadata.get(form, {"Title": title})) for form in ("svg", "pdf", "png")}


@styled
def svg(figure: Figure, title: str) -> str:
    return _bytes(figure, "svg", {"Date": None, "Title": title}).decode()


def _leave_empty(axes: Axes, why: str) -> None:
    axes.set_axis_off()
    lines = (textwrap.fill(line, 28, subsequent_indent="  ") for line in why.splitlines())
    axes.text(0, 0.5, "\n".join(lines), transform=axes.transAxes, va="center", color=GREY)


def _bytes(figure: Figure, form: str, metadata: dict[str, str | None]) -> bytes:
    content = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # an SVG has it as text, others draw a box
        figure.savefig(content, format=form, dpi=300, metadata=metadata)
    return content.getvalue()
