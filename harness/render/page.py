"""What every format prints: a page of plain text cells for people, and the records behind it for machines."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

Tone = Literal["plain", "good", "bad", "high", "open", "quiet"]
"""How a line ended; a format with colours gives each its own."""

SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹"
"""A note that begins with one, and a space, is the footnote of the cells that end with it."""


@dataclass(frozen=True, kw_only=True)
class Column:
    head: str
    align: Literal["left", "right"] = "left"
    place: Literal["column", "yields", "beneath", "away", "under"] = "column"
    """On a terminal: always a column; where the page is too narrow, listed beneath the table (`yields`: the last to go,
    and a column in every other format) or left to the other formats; always under its line."""
    lead: str = ""
    """What goes before its text where that stands under its line, without the head of the column."""
    toned: bool = False
    """Takes the tone of its line."""


@dataclass(frozen=True, kw_only=True)
class Line:
    cells: tuple[str, ...]
    group: str = ""
    """A heading over consecutive lines that share it."""
    tone: Tone = "plain"
    strong: frozenset[int] = frozenset()
    """Cells, by their column, that are set in bold."""


@dataclass(frozen=True, kw_only=True)
class Page:
    """A table to be printed. No renderer knows more than this."""

    title: str
    subtitle: str = ""
    answer: str = ""
    """What it found, in a sentence or two: said before the table."""
    group: str = ""
    """What the groups are (``Dataset``), where a format prints them as a column; empty: there are none."""
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    notes: tuple[str, ...] = ()
    records: tuple[Mapping[str, object], ...] = ()
    """One for each line, the same keys in all: what CSV and JSON carry. Accuracies in percent, None where unknown."""

    @property
    def heads(self) -> tuple[str, ...]:
        """Column heads of a format that prints the group as a column."""
        heads = tuple(column.head for column in self.columns)
        return (heads[0], self.group, *heads[1:]) if self.group else heads

    @property
    def aligns(self) -> tuple[str, ...]:
        aligns = tuple(column.align for column in self.columns)
        return (aligns[0], "left", *aligns[1:]) if self.group else aligns

    def without_empty_columns(self) -> Page:
        kept = [i for i in range(len(self.columns)) if any(line.cells[i] for line in self.lines)]
        lines = (replace(line, cells=tuple(line.cells[i] for i in kept)) for line in self.lines)
        return replace(self, columns=tuple(self.columns[i] for i in kept), lines=tuple(lines))

    def beneath(self, kept: Collection[int]) -> list[str]:
        """``Evidence, rows 1–4: 3/3 seeds, ...`` for each text of columns that `kept` lacks, equal ones together."""
        told: list[str] = []
        for i, column in enumerate(self.columns):
            if i in kept or column.place not in ("beneath", "yields"):
                continue
            rows: dict[str, list[int]] = {}
            for number, line in enumerate(self.lines, start=1):
                if line.cells[i]:
                    rows.setdefault(line.cells[i], []).append(int(line.cells[0]) if line.cells[0].isdigit() else number)
            told += (f"{column.head}, {rows_text(numbers)}: {text}" for text, numbers in rows.items())
        return told

    def flat(self) -> Iterator[tuple[str, ...]]:
        """The cells of every line, its group among them, as `heads` names them."""
        for line in self.lines:
            yield (line.cells[0], line.group, *line.cells[1:]) if self.group else line.cells


def rows_text(numbers: Sequence[int]) -> str:
    """``rows 1–3, 5`` for 1, 2, 3, 5."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    told = ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}–{run[-1]}" for run in runs)
    return f"row{'s' * (len(numbers) > 1)} {told}"
