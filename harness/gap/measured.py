"""What our own runs say of single settings: by how much each moved accuracy, and how a training looks with it."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.gap.log import Log
from harness.plan import Context, Line, Plan, plan, state, stored_data
from harness.spec import Row
from harness.stats import Sample, paired
from harness.store import Store
from harness.store.result import Result
from harness.tables import load_preset, load_protocol, load_table, method_label
from harness.verbs.session import context_of
from harness.verbs.systems import slots_of

ONE_AT_A_TIME = "ambiguities"
"""The table whose rows differ from their base in a single thing."""
PRESET, PROTOCOL = "cpu", "paper"
"""As which it was measured."""
NEARER = 0.5
"""A curve is that of another setting where it is no more than this share as far from it as from the expected one."""


@dataclass(frozen=True, kw_only=True)
class Effect:
    """Of one change on the accuracy that a row reports, in percentage points."""

    change: str
    settings: frozenset[str]
    """That it changes, as `show protocol own` calls them."""
    difference: Sample
    where: str


@dataclass(frozen=True, kw_only=True)
class Alike:
    """A row of ours whose runs can be laid beside a log."""

    row: Row
    number: int
    results: tuple[Result, ...]

    @property
    def name(self) -> str:
        return f"{ONE_AT_A_TIME}:{self.number} ({method_label(self.row)})"

    def distance(self, log: Log) -> float | None:
        """Root of the mean square over the epochs, of test and, where both have it, training accuracy; None where the
        epochs are not as many."""
        if not self.results or any(len(r.curve.test_accuracy) != log.epochs for r in self.results):
            return None
        pairs = [*zip(log.accuracy, self._mean("test_accuracy"), strict=True)]
        if len(log.train_accuracy) == log.epochs:
            pairs += zip(log.train_accuracy, self._mean("train_accuracy"), strict=True)
        return statistics.fmean((a - b) ** 2 for a, b in pairs) ** 0.5

    def _mean(self, name: str) -> list[float]:
        return [
            statistics.fmean(values) for values in zip(*(getattr(r.curve, name) for r in self.results), strict=True)
        ]


@dataclass(frozen=True, kw_only=True)
class Measured:
    effects: tuple[Effect, ...]
    rows: tuple[Alike, ...]

    def beside(self, row: Row) -> tuple[Alike | None, tuple[Alike, ...]]:
        """The row of ours that is trained as `row`, and those that differ from it in a single thing."""
        same = next((each for each in self.rows if _place(each.row) == _place(row)), None)
        if same is None:
            return None, ()
        base = same.row.base or same.number
        family = [each for each in self.rows if base in (each.number, each.row.base) and each is not same]
        return same, tuple(family)


def _place(row: Row) -> tuple[object, ...]:
    return row.method, row.architecture, row.dataset, row.timesteps, row.change.text


def measured(folder: Path) -> Measured:
    """What the store at `folder` has of the table of single changes; nothing where it is not there."""
    store = Store(folder)
    context = context_of(load_protocol(PROTOCOL), load_preset(PRESET), (0, 1, 2), ())
    made = plan(load_table(ONE_AT_A_TIME), context, identify=stored_data(store))
    outcomes = state(made, store).outcomes
    rows = tuple(_alike(line, outcomes) for line in made.lines)
    return Measured(effects=tuple(_effects(made, context, outcomes)), rows=tuple(row for row in rows if row.results))


def _alike(line: Line, outcomes: Mapping[str, object]) -> Alike:
    found = (outcomes.get(cell.key) for cell in line.cells)
    return Alike(row=line.row, number=line.number, results=tuple(each for each in found if isinstance(each, Result)))


def _effects(made: Plan, context: Context, outcomes: Mapping[str, object]) -> list[Effect]:
    lines = {line.number: line for line in made.lines}
    found = []
    for line in made.lines:
        if line.row.base is None:
            continue
        sides: list[Sequence[object]] = [
            [outcomes.get(c.key) for c in each.cells] for each in (line, lines[line.row.base])
        ]
        difference = paired(*sides)  # type: ignore[arg-type]
        if difference.mean is not None:
            where = f"{ONE_AT_A_TIME}:{line.number}, preset {PRESET}, n = {difference.n}"
            settings = _settings(line.row, lines[line.row.base].row)
            found.append(Effect(change=method_label(line.row), settings=settings, difference=difference, where=where))
    return found


def _settings(row: Row, base: Row) -> frozenset[str]:
    """What one row does otherwise than the other."""
    named = set(row.change.given()) | ({"augmentation"} if row.change.insert_after else set())
    return frozenset(
        named if row.method == base.method else named | (slots_of(row.method) ^ slots_of(base.method)) | {"neuron"}
    )
