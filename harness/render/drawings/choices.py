"""What every three of more seeds would have said alone: a panel a pair of methods, beside what all of them say."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.amounts import signed
from harness.render import look
from harness.render.drawn import Group, Numbers, Pair, Sketch, pairs_of
from harness.stats import Sample, choices, sample, tells
from harness.store import tidy

READING = (
    "Each place along the axis: one choice of three of the n seeds; line: mean of their differences, seed by seed;",
    "shade: its 95 % t interval, which cannot tell it from nothing where it covers 0. Dashed, band: those of all n.",
)
COLUMNS = (*(name for name in tidy.CELL if name != "seed"), "name", "base", "seeds", "mean", "low", "high", "tells")
SIZE = (3.4, 2.6)
"""Of a panel, in inches."""


@look.styled
def draw(sketch: Sketch) -> tuple[Figure, Numbers]:
    """The picture; a line of numbers a choice, and one of all seeds. All panels have the same scale."""
    shown = [(group, pair) for group in sketch.groups for pair in pairs_of(group) if choices(pair.differences)]
    left = [group for group in sketch.groups if group not in [drawn for drawn, _ in shown]]
    footnote = (*sketch.footnote, *([f"Not drawn: {_too_few(left)}"] if left else []))
    subtitle, across = (*sketch.subtitle, *(READING if shown else ())), 3 if len(shown) > 1 else 1
    figure, axes = look.frame(sketch.title, subtitle, [""] * len(shown), footnote, across=across, size=SIZE)
    rows: list[tuple[object, ...]] = []
    for one, (group, pair) in zip(axes, shown, strict=True):
        made = choices(pair.differences)
        one.set_title(group.title)
        _draw_panel(one, pair, made, sketch)
        rows += [_numbers(pair, each) for each in (sample(pair.differences), *made)]
    if axes:
        look.share(axes)
    return figure, Numbers(COLUMNS, rows)


def _too_few(groups: Sequence[Group]) -> str:
    """Why nothing is drawn of them."""
    most = (max((len(pair.differences) for pair in pairs_of(group)), default=0) for group in groups)
    told = "; ".join(f"{group.title}: {n}" for group, n in zip(groups, most, strict=True))
    return f"choices of three want four pairs of seeds or more, and there are fewer ({told})."


def _draw_panel(axes: Axes, pair: Pair, made: Sequence[Sample], sketch: Sketch) -> None:
    colour = look.look(*sketch.look_of(pair.row))["color"]
    whole, places = sample(pair.differences), [100 * (rank + 0.5) / len(made) for rank in range(len(made))]
    assert whole.interval is not None and whole.mean is not None
    low, high = zip(*(each.interval or (0.0, 0.0) for each in made), strict=True)
    axes.fill_between(places, low, high, color=colour, alpha=0.2, linewidth=0, step="mid")
    axes.axhspan(*whole.interval, color=look.GREY, alpha=0.35, linewidth=0)
    axes.axhline(whole.mean, color=look.GREY, linewidth=1, linestyle="--")
    axes.axhline(0, color="black", linewidth=0.8)
    axes.plot(places, [each.mean or 0.0 for each in made], color=colour, linewidth=1.4)
    axes.set_xlim(0, 100)
    axes.set_xlabel(f"Choices of three, % of {len(made)}\n{_told(whole, made)}", size=7)
    axes.set_ylabel(f"{pair.row.label} minus {pair.base.label} (points)", size=7)
    look.rule(axes)


def _told(whole: Sample, made: Sequence[Sample]) -> str:
    """How the choices fare beside all seeds."""
    assert whole.interval is not None and whole.mean is not None
    ahead, unknown, behind = (sum(tells(each) == sign for each in made) for sign in (1, 0, -1))
    other = sum((each.mean or 0.0) * whole.mean < 0 for each in made)
    ends = [each.interval or (0.0, 0.0) for each in made]
    held = sum(low <= whole.mean <= high for low, high in ends)
    half, (low, high) = statistics.median((high - low) / 2 for low, high in ends), whole.interval
    return "\n".join((
        f"all {whole.n}: {signed(whole.mean)} [{signed(low)}, {signed(high)}]",
        f"told ahead in {ahead}, behind in {behind}, not told in {unknown}",
        f"mean of the other sign in {other}; interval holds that of all in {held}",
        f"half an interval: {half:.2f} in the median, {(high - low) / 2:.2f} of all",
    ))  # fmt: skip


def _numbers(pair: Pair, each: Sample) -> tuple[object, ...]:
    cell = pair.row.results[0].cell
    own = (getattr(cell, name) for name in tidy.CELL if name != "seed")
    low, high = each.interval or ("", "")
    return (*own, pair.row.label, pair.base.label, each.n, each.mean, low, high, tells(each))
