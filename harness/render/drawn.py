"""What a figure is drawn from: its planned rows in groups, a panel each, and what the store says of them."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from harness.plan import Line
from harness.render.view import Shown
from harness.stats import by_seed
from harness.store import tidy
from harness.store.probes import Probes
from harness.store.result import Result
from harness.tables import display, looks, method_label


class Numbers(NamedTuple):
    """What a picture shows, as it stands in the CSV beside it."""

    columns: Sequence[str]
    rows: Sequence[tuple[object, ...]]

    @classmethod
    def once(cls, columns: Sequence[str], rows: Iterable[tuple[object, ...]]) -> Numbers:
        """Of rows of which some may stand in several panels."""
        return cls(columns, list(dict.fromkeys(rows)))

    @property
    def csv(self) -> str:
        return "".join(f"{tidy.line(row)}\n" for row in (self.columns, *self.rows))


def means(series: Iterable[Sequence[float]]) -> list[float]:
    """Of the first values, of the second ones, …; of those that there are where some are shorter."""
    return [statistics.fmean(v for v in values if v is not None) for values in itertools.zip_longest(*series)]


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """One row of a figure: its place in the store's words, and the results that have a curve to draw."""

    shown: Shown
    results: tuple[Result, ...]
    broken: tuple[int, ...]
    """Seeds that finished, but without a whole curve."""

    @property
    def label(self) -> str:
        return method_label(self.shown.line.row) + (" (yours)" if self.shown.line.added else "")

    @property
    def setting(self) -> tuple[str, ...]:
        """Data set, network, timesteps, as the panel's title says them; the width where a preset changes it."""
        row, cells = self.shown.line.row, self.shown.line.cells
        width = cells[0].recipe.width if cells else 1.0
        network = display("architecture", row.architecture) + ("" if width == 1 else f" (width × {width:g})")
        return self.shown.group, network, f"T = {row.timesteps}"

    @property
    def comparable(self) -> float | None:
        """The paper's own number, where this row's data are the paper's."""
        line = self.shown.line
        if line.row.cited or line.added or self.shown.summary.variant or self.shown.trained_on != self.shown.group:
            return None
        return line.row.accuracy

    @property
    def count(self) -> str:
        return self.count_of(len(self.results))

    def count_of(self, n: int) -> str:
        """``n = 2 of 3``: so many of the seeds that were asked for are drawn."""
        asked = self.shown.summary.asked
        return self.shown.line.blank or (f"n = {n}" if n == asked else f"n = {n} of {asked}")

    @property
    def standing(self) -> str:
        """``2 of 3 seeds (1 running)``, or why there is nothing to train."""
        summary = self.shown.summary
        if self.shown.line.blank:
            return self.shown.line.blank
        counts = {"running": summary.running, "missing": summary.missing}
        details = [f"{count} {kind}" for kind, count in counts.items() if count]
        details += [*summary.troubles, *(f"seed {seed} has no whole curve" for seed in self.broken)]
        return f"{len(self.results)} of {summary.asked} seeds" + (f" ({', '.join(details)})" if details else "")


@dataclass(frozen=True, kw_only=True)
class Group:
    """The rows of one panel."""

    rows: tuple[Drawn, ...]

    @property
    def dataset(self) -> str:
        """Of its first row: a scale is shared by the panels of one."""
        return self.rows[0].shown.line.row.dataset

    @property
    def shared(self) -> list[bool]:
        """Of data set, network, timesteps: whether all rows have the same."""
        return [len(set(values)) == 1 for values in zip(*(at(row.shown.line) for row in self.rows), strict=True)]

    @property
    def title(self) -> str:
        """What all rows share, in the words of one that is trained: the others know no stand-in and no width."""
        told = next((row for row in self.rows if row.shown.line.cells), self.rows[0])
        return " · ".join(part for part, same in zip(told.setting, self.shared, strict=True) if same)

    @property
    def names(self) -> tuple[str, ...]:
        """A row's label, and its part of what they do not share."""
        shared = self.shared
        own = ([part for part, same in zip(row.setting, shared, strict=True) if not same] for row in self.rows)
        return tuple(" · ".join([row.label, *parts]) for row, parts in zip(self.rows, own, strict=True))

    @property
    def standings(self) -> list[str]:
        """A line a row; a single one where nothing is trained for one and the same reason."""
        reasons = {row.shown.line.blank for row in self.rows}
        if len(reasons) == 1 and "" not in reasons:
            return list(reasons)
        return [f"{name}: {row.standing}" for name, row in zip(self.names, self.rows, strict=True)]

    @property
    def blank(self) -> str:
        """Why there is no result to draw, in lines; empty where there is one."""
        return "" if any(row.results for row in self.rows) else "\n".join(["no results", *self.standings])


class Pair(NamedTuple):
    """A row, the one that it names as its base, and the differences of their accuracies, seed by seed."""

    row: Drawn
    base: Drawn
    differences: Sequence[float]


def pairs_of(group: Group) -> list[Pair]:
    """Of the rows that have their base in the same panel."""
    numbered = {row.shown.line.number: row for row in group.rows if not row.shown.line.added}
    found = []
    for row in group.rows:
        base = numbered.get(row.shown.line.row.base or 0)
        if base is not None and not row.shown.line.added:
            own, held = by_seed(row.results), by_seed(base.results)
            found.append(Pair(row, base, [own[seed] - held[seed] for seed in sorted(own.keys() & held.keys())]))
    return found


@dataclass(frozen=True, kw_only=True)
class Sketch:
    """All that a drawing gets: `drawings/<kind>.py` has `draw(sketch) -> (matplotlib Figure, Numbers)`."""

    title: str
    subtitle: tuple[str, ...]
    """Lines beneath the title: protocol, preset, samples. A drawing puts its own below them, how to read it."""
    groups: tuple[Group, ...]
    footnote: tuple[str, ...]
    probes: Mapping[str, Probes]
    """By the key of their cell; of no use to a drawing that needs results alone."""
    again: str = ""
    """What trains its cells in another store."""
    compared: bool = False
    """The paper's experiment, as far as recipe and network go: its numbers can be drawn beside the measured ones."""

    @property
    def results(self) -> list[Result]:
        """Each once, in the order of the rows."""
        found = {result.cell.key: result for group in self.groups for row in group.rows for result in row.results}
        return list(found.values())

    def probed(self, row: Drawn, name: str) -> list[tuple[Result, Any]]:
        """The results of a row that have the probe `name`, with it."""
        found = ((result, getattr(self.probes.get(result.cell.key), name, None)) for result in row.results)
        return [(result, probe) for result, probe in found if probe is not None]

    def blank(self, group: Group, name: str) -> str:
        """Why there is no probe `name` to draw, in lines; empty where there is one."""
        if not name or group.blank or any(self.probed(row, name) for row in group.rows):
            return group.blank
        train = f"train it in another store, and draw from there: {self.again}" if self.again else ""
        return f"no {name}, and no weights in the store to compute it from\n{train}".rstrip()

    @cached_property
    def colours(self) -> dict[str, int]:
        """Method -> its colour, the same in every figure (`tables.looks`); others take the next that is free."""
        methods = dict.fromkeys(row.shown.line.row.method for group in self.groups for row in group.rows)
        known = looks()
        free = (number for number in itertools.count() if number not in {known.get(m) for m in methods})
        return {method: known[method] if method in known else next(free) for method in methods}

    @cached_property
    def looks(self) -> dict[str, tuple[int, int]]:
        """Name of a row -> its colour, which is its method's, and which of the names of that colour it is."""
        found: dict[str, tuple[int, int]] = {}
        for name, row in ((n, r) for group in self.groups for n, r in zip(group.names, group.rows, strict=True)):
            colour = self.colours[row.shown.line.row.method]
            found.setdefault(name, (colour, sum(colour == other for other, _ in found.values())))
        return found

    def look_of(self, row: Drawn) -> tuple[int, int]:
        """Of a row that its place in the picture tells from others of its method."""
        return self.colours[row.shown.line.row.method], 0


def at(line: Line) -> tuple[str, str, int]:
    return line.row.dataset, line.row.architecture, line.row.timesteps
