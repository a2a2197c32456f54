"""How every figure looks: colours, dashes, sizes, the frame with its title and notes, the files. Imports matplotlib.

Colours are those of Okabe and Ito, told apart by colour-blind readers; dashes and markers tell them apart in grey.
The same numbers give the same bytes.
"""

from __future__ import annotations

import contextlib
import io
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG, RendererSVG
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
    "axes.titley": 1.0,
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
DOTS = 72
"""An inch, in SVG."""
DPI = 300
"""Of what is no line, in any file."""
GREY, RULE = "#595959", "#E5E5E5"
IN_A_ROW = 3
WIDTH, HEIGHT = 3.4, 2.7
"""Of a panel, in inches: two make the text width of a paper."""
LEAST = 4.6
"""Width of a picture, in inches: its words want it."""
TITLE, SMALL = 9, 7
"""Points of the title, of what stands beneath it and below all."""
LINE = 0.17
"""Of text, in inches."""
BLANK = 0.55
"""Width of a panel that has nothing to draw, as a part of one that has."""
LOW = 0.35
"""Height of a line of such panels."""


def look(number: int, variant: int = 0) -> dict[str, Any]:
    """Colour, dashes and marker of the series of this number; `variant`: another one of the same colour."""
    own = LOOKS[number % len(LOOKS)]
    return own if not variant else {**LOOKS[(number + variant) % len(LOOKS)], "color": own["color"]}


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
    across = max(1, min(len(blanks), across))
    down = -(-len(blanks) // across)
    width, high = size
    wide = max(across * width, LEAST)
    titles = _lines([title], wide, TITLE)
    subtitle, footnote = _lines(subtitle, wide, SMALL), _lines(footnote, wide, SMALL)
    above, below = (1.15 * len(titles) + len(subtitle) + 0.85) * LINE, len(footnote) * LINE
    lines = [blanks[first : first + across] for first in range(0, len(blanks), across)]
    heights = [LOW if all(line) and not all(blanks) else 1.0 for line in lines]
    height = sum(heights) * high + above + below
    layout = ConstrainedLayoutEngine(rect=(0, below / height, 1, 1 - (above + below) / height), wspace=0.05)
    figure = Figure(figsize=(wide, height), layout=layout)
    left = 0.08 / wide
    for number, line in enumerate(titles):
        figure.text(left, 1 - (1.15 * number + 0.5) * LINE / height, line, va="top", size=TITLE, weight="bold")
    for number, line in enumerate(subtitle):
        place = 1.15 * len(titles) + number + 0.45
        figure.text(left, 1 - place * LINE / height, line, va="top", size=SMALL, color=GREY)
    for number, line in enumerate(reversed(footnote)):
        figure.text(left, (number + 0.3) * LINE / height, line, size=SMALL, color=GREY)
    if not blanks:
        return figure, []
    widths = [BLANK if blank else 1.0 for blank in blanks] if down == 1 else [1.0] * across
    grid = figure.add_gridspec(down, across, width_ratios=widths, height_ratios=heights)
    axes = [figure.add_subplot(grid[divmod(place, across)]) for place in range(len(blanks))]
    for one, blank in zip(axes, blanks, strict=True):
        if blank:
            _leave_empty(one, blank)
    return figure, axes


def _lines(texts: Sequence[str], width: float, size: float) -> list[str]:
    """Broken where `width` inches are full of letters of `size` points, about 0.6 as wide as high."""
    letters = max(20, int(72 * width / ((0.68 if size == TITLE else 0.58) * size)))
    return [line for text in texts for line in textwrap.wrap(text, letters, break_on_hyphens=False) or [text]]


def share(axes: Sequence[Axes]) -> None:
    """One scale upwards, so that heights can be compared."""
    drawn = [one for one in axes if one.axison]
    ends = [one.get_ylim() for one in drawn]
    for one in drawn:
        one.set_ylim(min(low for low, _ in ends), max(high for _, high in ends))


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
    """As `savefig` writes it, which draws all of it twice before that, for nothing."""
    content = io.StringIO()
    figure.dpi = DOTS
    written = RendererSVG(*figure.bbox.size, content, image_dpi=DPI, metadata={"Date": None, "Title": title})
    _Canvas(figure, written)
    with _glyphs():
        figure.draw(written)
    written.finalize()
    return content.getvalue()


class _Canvas(FigureCanvasSVG):
    """Measures for the layout with what draws: then no text is measured twice."""

    def __init__(self, figure: Figure, renderer: RendererSVG) -> None:
        super().__init__(figure)
        self._renderer = renderer

    def get_renderer(self) -> RendererSVG:
        return self._renderer


def _leave_empty(axes: Axes, why: str) -> None:
    axes.set_axis_off()
    lines = (textwrap.fill(line, 28, subsequent_indent="  ") for line in why.splitlines())
    axes.text(0, 0.5, "\n".join(lines), transform=axes.transAxes, va="center", color=GREY)


def _bytes(figure: Figure, form: str, metadata: dict[str, str | None]) -> bytes:
    content = io.BytesIO()
    with _glyphs():
        figure.savefig(content, format=form, dpi=DPI, metadata=metadata)
    return content.getvalue()


@contextlib.contextmanager
def _glyphs() -> Iterator[None]:
    """Those that the font lacks: an SVG has them as text, others draw a box."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        yield
