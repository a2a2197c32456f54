"""What each change does: a line a changed row, its difference from the row it names as its base, seed by seed."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.amounts import signed
from harness.render import look
from harness.render.drawn import Drawn, Group, Numbers, Sketch
from harness.stats import Sample, by_seed, paired
from harness.store import tidy

READING = (
    "Test accuracy minus that of the base with the same seed, in percentage points; dot: one seed, diamond: mean,",
    "line: 95 % t interval of the mean over n pairs. An interval that crosses 0 cannot tell the change from nothing.",
)
COLUMNS = (*tidy.CELL, "change", "base", "accuracy", "base_accuracy", "difference", "key")
LINE = 0.34
"""Height of a row, in inches."""
AROUND = 0.85
"""Height of a panel beside its rows."""
WIDTH = 6.8


@look.styled
def draw(sketch: Sketch) -> tuple[Figure, Numbers]:
    """The picture, and the differences that it shows; every panel has the same scale."""
    rows = [row for group in sketch.groups for row in _numbers(group)]
    data = Numbers(COLUMNS, rows)
    blanks = [group.blank for group in sketch.groups]
    most = max((len(_changed(group)) for group in sketch.groups), default=1)
    size = (WIDTH, AROUND + LINE * most)
    figure, axes = look.frame(sketch.title, (*sketch.subtitle, *READING), blanks, sketch.footnote, across=1, size=size)
    drawn = [one for one, blank in zip(axes, blanks, strict=True) if not blank]
    for one in drawn[1:]:
        one.sharex(drawn[0])
    for one, group in zip(axes, sketch.groups, strict=True):
        if group.blank:
            one.set_title(group.title)
        else:
            _draw_panel(one, group, sketch)
    return figure, data


def _changed(group: Group) -> list[tuple[str, Drawn, Drawn]]:
    """Name, row and base of every row that has its base in this panel."""
    numbered = {row.shown.line.number: row for row in group.rows if not row.shown.line.added}
    return [
        (name, row, numbered[base])
        for name, row in zip(group.names, group.rows, strict=True)
        if (base := row.shown.line.row.base) in numbered and not row.shown.line.added
    ]


def _numbers(group: Group) -> list[tuple[object, ...]]:
    found = []
    for name, row, base in _changed(group):
        held = by_seed(base.results)
        for result in row.results:
            cell = result.cell
            if cell.seed in held:
                numbers = (result.accuracy, held[cell.seed], result.accuracy - held[cell.seed])
                own = (getattr(cell, field) for field in tidy.CELL)
                found.append((*own, name, base.label, *numbers, cell.key))
    return found


def _draw_panel(axes: Axes, group: Group, sketch: Sketch) -> None:
    """From the top down in the order of the rows; the numbers stand at the right."""
    changed = _changed(group)
    axes.set_title(f"{group.title} · against {', '.join(dict.fromkeys(base.label for _, _, base in changed))}")
    axes.axvline(0, color=look.GREY, linewidth=0.8)
    for place, (_, row, base) in enumerate(changed):
        difference = paired(row.results, base.results)
        if difference.mean is not None:
            _draw_row(axes, place, difference, row, base, sketch.look_of(row))
        told = _told(difference, row, base)
        axes.annotate(
            told, (1.02, place), xycoords=("axes fraction", "data"), va="center", size=7, annotation_clip=False
        )
    axes.set_yticks(range(len(changed)), [name for name, _, _ in changed])
    axes.set_ylim(len(changed) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("Difference (percentage points)")
    axes.grid(axis="x", color=look.RULE, linewidth=0.5)
    axes.set_axisbelow(True)


def _draw_row(axes: Axes, place: int, difference: Sample, row: Drawn, base: Drawn, colour: tuple[int, int]) -> None:
    ink = look.look(*colour)["color"]
    assert difference.mean is not None
    if difference.interval is not None:
        axes.plot(difference.interval, (place, place), color=ink, linewidth=1.4, zorder=2)
    own, held = by_seed(row.results), by_seed(base.results)
    for seed in sorted(own.keys() & held.keys()):
        axes.plot(own[seed] - held[seed], place + 0.22, "o", color=ink, markersize=3, alpha=0.6, zorder=3)
    axes.plot(difference.mean, place, "D", color=ink, markersize=4.5, markeredgecolor="white", zorder=4)


def _told(difference: Sample, row: Drawn, base: Drawn) -> str:
    if difference.mean is None:
        return f"no pair: {row.count_of(len(row.results))}, base {base.count_of(len(base.results))}"
    if difference.interval is None:
        return signed(difference.mean) + f" (n = {difference.n})"
    low, high = map(signed, difference.interval)
    return f"{signed(difference.mean)} [{low}, {high}] (n = {difference.n})"
