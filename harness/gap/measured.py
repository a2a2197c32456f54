"""What our own runs say of single settings: by how much each moved accuracy, and how a training looks with it."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from harness.gap.log import Log
from harness.identity.vouched import numerics
from harness.plan import Line, Plan, plan, state, stored_data
from harness.spec import Cell, Row
from harness.stats import Sample, paired
from harness.store import Store
from harness.store.result import Curve, Result
from harness.tables import load_preset, load_protocol, load_table, method_label
from harness.verbs.session import context_of
from harness.verbs.systems import slots_of

ONE_AT_A_TIME = "ambiguities"
"""The table whose rows differ from their base in a single thing."""
PRESET, PROTOCOL = "cpu", "paper"
"""As which it was measured."""
NEARER = 0.5
"""A curve is that of another setting where it is no more than this share as far from it as from the expected one."""
WIDER = 1.25
"""Of the largest distance among a few runs of one row: what one more of them may be at."""


@dataclass(frozen=True, kw_only=True)
class Effect:
    """Of one change on the accuracy that a row reports, in percentage points."""

    change: str
    settings: frozenset[str]
    """That it changes, as `show protocol own` calls them."""
    difference: Sample
    where: str
    method: str
    """Of the row that it was measured from."""


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
        theirs = Curve(test_accuracy=log.accuracy, train_accuracy=log.train_accuracy)
        return _apart(theirs, [result.curve for result in self.results])

    @property
    def spread(self) -> float:
        """The largest distance of a run of this row from the others: what is nothing."""
        curves = [result.curve for result in self.results]
        found = (_apart(curve, [other for other in curves if other is not curve]) for curve in curves)
        return max((distance for distance in found if distance is not None), default=0.0)


def _apart(curve: Curve, others: Sequence[Curve]) -> float | None:
    """Of a curve from the mean of others."""
    epochs = len(curve.test_accuracy)
    if not others or any(len(other.test_accuracy) != epochs for other in others):
        return None
    pairs = []
    for name in ("test_accuracy", "train_accuracy"):
        if all(len(getattr(each, name)) == epochs for each in (curve, *others)):
            means = (
                statistics.fmean(values) for values in zip(*(getattr(other, name) for other in others), strict=True)
            )
            pairs += zip(getattr(curve, name), means, strict=True)
    return statistics.fmean((a - b) ** 2 for a, b in pairs) ** 0.5


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
    context = context_of(load_protocol(PROTOCOL), load_preset(PRESET), (0, 1, 2), (), _as_vouched)
    made = plan(load_table(ONE_AT_A_TIME), context, identify=stored_data(store))
    outcomes = state(made, store).outcomes
    rows = tuple(_alike(line, outcomes) for line in made.lines)
    return Measured(effects=tuple(_effects(made, outcomes)), rows=tuple(row for row in rows if row.results))


def _as_vouched(cell: Cell) -> Cell:
    """What was measured is of the code as it was vouched for, whatever is edited here."""
    return msgspec.structs.replace(cell, numerics=numerics([cell.method, cell.architecture, cell.dataset]))


def _alike(line: Line, outcomes: Mapping[str, object]) -> Alike:
    found = (outcomes.get(cell.key) for cell in line.cells)
    return Alike(row=line.row, number=line.number, results=tuple(each for each in found if isinstance(each, Result)))


def _effects(made: Plan, outcomes: Mapping[str, object]) -> Iterator[Effect]:
    lines = {line.number: line for line in made.lines}
    for line in made.lines:
        base = lines.get(line.row.base or 0)
        if base is None:
            continue
        sides: list[Any] = [[outcomes.get(cell.key) for cell in side.cells] for side in (line, base)]
        difference = paired(*sides)
        if difference.mean is not None:
            yield Effect(
                change=method_label(line.row),
                settings=_settings(line.row, base.row),
                difference=difference,
                where=f"{ONE_AT_A_TIME}:{line.number}, preset {PRESET}, n = {difference.n}",
                method=base.row.method,
            )


def _settings(row: Row, base: Row) -> frozenset[str]:
    """What one row does otherwise than the other."""
    named = set(row.change.given()) | ({"augmentation"} if row.change.insert_after else set())
    return frozenset(
        named if row.method == base.method else named | (slots_of(row.method) ^ slots_of(base.method)) | {"neuron"}
    )
