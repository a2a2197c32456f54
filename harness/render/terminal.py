"""The terminal: groups as headings, colours by verdict, and columns that do not fit told beneath the table."""

from __future__ import annotations

import io
import itertools
import os
import shutil
import stat
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from harness.columns import coloured
from harness.render.page import SUPERSCRIPTS, Line, Page

STYLES = {"good": "green", "bad": "red", "high": "blue", "open": "yellow", "quiet": "dim", "plain": ""}
GAPS = (2, 1)
"""Spaces between columns: the first that fits."""
INDENT = 2
NOWHERE = 120
"""Columns of a page that no terminal shows."""
WORD = 32
"""A longer word may be broken: no name of ours is."""
HIGH = 1000
"""Of the page, for rich: where the height is not said, it takes that of a dumb terminal, and its width with it."""


@dataclass(frozen=True)
class Layout:
    """The columns that fit a width (by index), how wide each is, and the spaces between them."""

    kept: Sequence[int]
    widths: Sequence[int]
    gap: int

    @property
    def wide(self) -> int:
        return sum(self.widths) + self.gap * (len(self.widths) - 1)

    @property
    def inset(self) -> int:
        """Where the second column begins: headings and what stands under a line begin there too."""
        return self.widths[0] + self.gap


def terminal(page: Page, *, width: int | None = None, colour: bool | None = None) -> str:
    """`width` and `colour` follow the terminal unless they are given (120 columns, none, where there is none)."""
    width = width or _width_here()
    colour = coloured() if colour is None else colour
    layout = _layout(page, width)
    text, console = _console(width, colour)
    console.print(Text.assemble((page.title, "bold"), "   ", (page.subtitle, "dim")))
    console.print()
    if page.answer:
        console.print(Padding(Text(page.answer), (0, 0, 1, INDENT)))
    if layout.wide > width:  # the terminal breaks its lines; rich would leave columns out
        rows, whole = _console(layout.wide, colour)
        _print_table(whole, page, layout)
        text.write(rows.getvalue())
    else:
        _print_table(console, page, layout)
    for items in (page.beneath(layout.kept), page.notes):
        if items:
            console.print()
            _print_list(console, items)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())


def _console(width: int, colour: bool) -> tuple[io.StringIO, Console]:
    text = io.StringIO()
    console = Console(file=text, width=width, height=HIGH, force_terminal=colour, no_color=not colour, highlight=False)
    return text, console


def _width_here() -> int:
    """Of the terminal, also of one that a pager shows the page on; COLUMNS goes before it."""
    if os.environ.get("COLUMNS", "").isdecimal() or sys.stdout.isatty():
        return shutil.get_terminal_size((NOWHERE, 24)).columns or NOWHERE
    return _width_behind_a_pipe() or NOWHERE


def _width_behind_a_pipe() -> int:
    """0 where the output is a file, which has no width, or where no terminal is."""
    try:
        if not stat.S_ISFIFO(os.fstat(sys.stdout.fileno()).st_mode):
            return 0
        return os.get_terminal_size(sys.stderr.fileno()).columns
    except (OSError, ValueError):  # ValueError: a stream without a number, or a closed one
        return 0


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
        bold = ("bold " * (i in line.strong) for i in layout.kept)
        marked = zip(layout.kept, bold, styles, strict=True)
        table.add_row(*(Text(line.cells[i], f"{strong}{style}".strip()) for i, strong, style in marked))
    return table


def _layout(page: Page, width: int) -> Layout:
    """Columns that may leave do so, as few as needed: from the right, then those that yield, from the left; then the
    widest of the rest wrap between words."""
    kept = [i for i, column in enumerate(page.columns) if column.place != "under"]
    yielding = [i for i in kept if page.columns[i].place == "yields"]
    leaving = [*yielding[::-1], *(i for i in kept if page.columns[i].place in ("beneath", "away"))]
    while True:
        widths = [_width(page, i) for i in kept]
        for gap in GAPS:
            if sum(widths) + gap * (len(kept) - 1) <= width:
                return Layout(kept, widths, gap)
        if not leaving:
            words = [_width(page, i, word=True) for i in kept]
            return Layout(kept, _wrapped(widths, words, width - GAPS[-1] * (len(kept) - 1)), GAPS[-1])
        kept.remove(leaving.pop())


def _wrapped(widths: Sequence[int], words: Sequence[int], total: int) -> list[int]:
    """The widest first, none narrower than its longest word."""
    widths = list(widths)
    while sum(widths) > total:
        able = [i for i, width in enumerate(widths) if width > words[i]]
        if not able:
            break
        widths[max(able, key=lambda i: widths[i])] -= 1
    return widths


def _width(page: Page, column: int, *, word: bool = False) -> int:
    """Of its longest text, or of the longest word in it."""
    texts = [page.columns[column].head, *(line.cells[column] for line in page.lines)]
    if word:
        return max(min(len(part), WORD) for text in texts for part in (text.split() or [""]))
    return max(map(len, texts))


def _print_list(console: Console, items: Sequence[str]) -> None:
    """Each item hangs from its first sign: a footnote's mark, or a dot."""
    for item in items:
        mark, _, text = item.partition(" ") if item[0] in SUPERSCRIPTS else ("·", "", item)
        hanging = Table.grid(padding=(0, 1, 0, 0))
        hanging.add_row(Text(mark, "dim"), Text(text, "dim"))
        console.print(Padding(hanging, (0, 0, 0, INDENT)))
