"""The terminal: groups as headings, colours by verdict, and columns that do not fit told beneath the table."""

from __future__ import annotations

import io
import itertools
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from harness.render.page import SUPERSCRIPTS, Line, Page

STYLES = {"good": "green", "bad": "red", "high": "blue", "open": "yellow", "quiet": "dim", "plain": ""}
GAPS = (2, 1)
"""Spaces between columns: the first that fits."""
INDENT = 2
NARROWEST = 12
"""A column that must stay is wrapped down to this before the page overflows."""


@dataclass(frozen=True)
class Layout:
    """The columns that fit a width (by index), how wide each is, and the spaces between them."""

    kept: Sequence[int]
    widths: Sequence[int]
    gap: int

    @property
    def inset(self) -> int:
        """Where the second column begins: headings and what stands under a line begin there too."""
        return self.widths[0] + self.gap


def terminal(page: Page, *, width: int | None = None, colour: bool | None = None) -> str:
    """`width` and `colour` follow the terminal unless they are given (120 columns, none, where there is none)."""
    width = width or shutil.get_terminal_size((120, 24)).columns
    colour = sys.stdout.isatty() if colour is None else colour
    text = io.StringIO()
    console = Console(file=text, width=width, force_terminal=colour, no_color=not colour, highlight=False)
    console.print(Text.assemble((page.title, "bold"), "   ", (page.subtitle, "dim")))
    console.print()
    if page.answer:
        console.print(Padding(Text(page.answer), (0, 0, 1, INDENT)))
    layout = _layout(page, width)
    _print_table(console, page, layout)
    for items in (page.beneath(layout.kept), page.notes):
        if items:
            console.print()
            _print_list(console, items)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())


def _print_table(console: Console, page: Page, layout: Layout) -> None:
    """One table a group, all with the same widths: rich has no cell that spans columns."""
    console.print(_table(page, layout, (), header=True))
    under = [i for i, column in enumerate(page.columns) if column.place == "under"]
    for group, lines in itertools.groupby(page.lines, key=lambda line: line.group):
        if group:
            console.print()
            console.print(Padding(Text(group, "bold"), (0, 0, 0, layout.inset)))
        if not under:
            console.print(_table(page, layout, tuple(lines)))
        for line in lines if under else ():
            console.print()
            console.print(_table(page, layout, (line,)))
            told = [
                Text(page.columns[i].lead + line.cells[i], "" if i == under[0] and not page.columns[i].lead else "dim")
                for i in under
                if line.cells[i]
            ]
            console.print(*(Padding(text, (0, 0, 0, layout.inset)) for text in told), sep="", end="")


def _table(page: Page, layout: Layout, lines: Sequence[Line], *, header: bool = False) -> Table:
    padding = (0, layout.gap, 0, 0)
    table = Table(box=None, padding=padding, pad_edge=False, header_style="bold underline", show_header=header)
    for i, width in zip(layout.kept, layout.widths, strict=True):
        table.add_column(page.columns[i].head, justify=page.columns[i].align, width=width, overflow="fold")
    for line in lines:
        styles = (STYLES[line.tone] if page.columns[i].toned or line.tone == "quiet" else "" for i in layout.kept)
        table.add_row(*(Text(line.cells[i], style) for i, style in zip(layout.kept, styles, strict=True)))
    return table


def _layout(page: Page, width: int) -> Layout:
    """Columns that may leave do so from the right, as few as needed; then the widest of the rest wrap."""
    kept = [i for i, column in enumerate(page.columns) if column.place != "under"]
    leaving = [i for i in kept if page.columns[i].place != "column"]
    while True:
        widths = [_width(page, i) for i in kept]
        for gap in GAPS:
            if sum(widths) + gap * (len(kept) - 1) <= width:
                return Layout(kept, widths, gap)
        if not leaving:
            return Layout(kept, _wrapped(widths, width - GAPS[-1] * (len(kept) - 1)), GAPS[-1])
        kept.remove(leaving.pop())


def _wrapped(widths: Sequence[int], total: int) -> list[int]:
    widths = list(widths)
    while sum(widths) > total and max(widths) > NARROWEST:
        widths[widths.index(max(widths))] -= 1
    return widths


def _width(page: Page, column: int) -> int:
    return max([len(page.columns[column].head), *(len(line.cells[column]) for line in page.lines)])


def _print_list(console: Console, items: Sequence[str]) -> None:
    """Each item hangs from its first sign: a footnote's mark, or a dot."""
    for item in items:
        mark, _, text = item.partition(" ") if item[0] in SUPERSCRIPTS else ("·", "", item)
        hanging = Table.grid(padding=(0, 1, 0, 0))
        hanging.add_row(Text(mark, "dim"), Text(text, "dim"))
        console.print(Padding(hanging, (0, 0, 0, INDENT)))
