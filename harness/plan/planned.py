"""What is planned: a table of lines, each with the cells behind it; and what a store knows of them."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.spec import Cell, Figure, Row, Table

if TYPE_CHECKING:
    from harness.store import Store
    from harness.store.result import Failure, Progress, Result


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
    chosen: tuple[str, ...] = ()
    """Settings of its own paper's recipe that no public source has, and that were chosen."""
    alike: tuple[Cell, ...] = ()
    """Where the row is trained as its own paper does it: its method by the recipe of all rows. Looked up only."""

    @property
    def network(self) -> str:
        """The architecture behind the printed name, where it is trained as another."""
        return self.cells[0].architecture if self.cells else self.row.architecture


@dataclass(frozen=True, kw_only=True)
class Plan:
    table: Table | Figure
    protocol: str
    preset: str | None
    lines: tuple[Line, ...]
    mixed: bool = False
    """Runs that were not computed alike are judged all the same: it was asked for."""
    common: str = ""
    """Where each row is trained as its own paper does it: the protocol whose recipe all rows share, to set beside."""

    @property
    def own(self) -> bool:
        return bool(self.common)

    @functools.cached_property
    def cells(self) -> tuple[Cell, ...]:
        """Every distinct cell, in table order (two rows may share one), each behind what it begins from."""
        return tuple(dict.fromkeys(each for line in self.lines for cell in line.cells for each in cell.lineage))

    @property
    def shown(self) -> tuple[Cell, ...]:
        """Those, and what is only looked up beside them."""
        return tuple(dict.fromkeys((*self.cells, *(cell for line in self.lines for cell in line.alike))))


def plan_cells(cells: Sequence[Cell]) -> Plan:
    """Cells that were asked for one by one, as a table of their own: a row for those that differ by seed only."""
    groups = by_row(cells)
    rows = [
        Row(method=c.method, architecture=c.architecture, dataset=c.dataset, timesteps=c.timesteps) for c, *_ in groups
    ]
    lines = [
        Line(number=number, row=row, cells=tuple(seeds), added=True)
        for number, (row, seeds) in enumerate(zip(rows, groups, strict=True), start=1)
    ]
    table = Table(name="cells", title="cells asked for by their keys", row=tuple(rows))
    return Plan(table=table, protocol="as recorded", preset=None, lines=tuple(lines))


@dataclass(frozen=True, kw_only=True)
class State:
    """What the store knows of a plan's cells, each in table order."""

    outcomes: Mapping[str, Result | Failure | Progress]
    """By cell key, also of what a plan only looks up; a missing cell is absent."""
    done: tuple[Cell, ...]
    running: tuple[Cell, ...]
    failed: tuple[Cell, ...]
    missing: tuple[Cell, ...]


def state(plan: Plan, store: Store) -> State:
    """Read what `store` knows of every cell of `plan`."""
    from harness.store.result import Failure, Result

    found = store.outcomes(plan.shown)
    groups: dict[str, list[Cell]] = defaultdict(list)
    for cell, outcome in ((cell, found[cell]) for cell in plan.cells):
        kind = "missing" if outcome is None else "running"
        kind = "done" if isinstance(outcome, Result) else "failed" if isinstance(outcome, Failure) else kind
        groups[kind].append(cell)
    lists = {kind: tuple(groups[kind]) for kind in ("done", "running", "failed", "missing")}
    return State(outcomes={cell.key: o for cell, o in found.items() if o is not None}, **lists)


def by_row(cells: Iterable[Cell]) -> list[list[Cell]]:
    """Those that differ by seed only beside each other."""
    groups: dict[Cell, list[Cell]] = defaultdict(list)
    known: dict[int, list[Cell]] = {}  # most cells of a store share the very object, which is found faster by itself
    for cell in cells:
        if (mine := known.get(id(cell.seedless))) is None:
            mine = known[id(cell.seedless)] = groups[cell.seedless]
        mine.append(cell)
    return list(groups.values())


def in_order(cells: Iterable[Cell]) -> tuple[Cell, ...]:
    """Each once, behind what it begins from."""
    return tuple({each.key: each for cell in cells for each in cell.lineage}.values())
