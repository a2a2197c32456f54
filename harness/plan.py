"""Table (+ protocol, preset, filters, plugins) -> cells -> done / running / failed / missing."""

from __future__ import annotations

from dataclasses import dataclass

from harness.spec import Cell, Row, Table


@dataclass(frozen=True, kw_only=True)
class Line:
    """One row of a planned table: the cells behind it, one a seed, or why there are none."""

    number: int
    """Place in the table, from 1."""
    row: Row
    cells: tuple[Cell, ...]
    blank: str = ""
    """Why nothing is trained: `no method yet`, `not in preset cpu`, ...; empty when there are cells."""
    added: bool = False
    """A user's method: a row the paper does not have."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    table: Table
    protocol: str
    preset: str | None
    lines: tuple[Line, ...]

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Every distinct cell, in table order (two rows may share one)."""
        return tuple(dict.fromkeys(cell for line in self.lines for cell in line.cells))
