"""A user's method against the rows of a table: what is compared with what, and what n seeds let one say of it.

A comparison is one setting (data set, architecture, T) and one row of it: the differences of the seeds that both have
finished, with a paired t interval at 95 %. Its p value is corrected over the family of all comparisons that are judged
(Holm), and only a corrected p below 5 % is called better or worse.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import msgspec

from harness.errors import UserError
from harness.identity.alike import unlike
from harness.plan import Context, Identify, Line, Only, Plan, plan
from harness.spec import Row, Table
from harness.stats import CONFIDENCE, Outcome, Sample, holm, p_value, paired, sample, seeds_to_decide, summarise
from harness.store.result import Result


class Finding(StrEnum):
    BETTER = "better"
    WORSE = "worse"
    IDENTICAL = "identical"
    """Every epoch of every pair, to the bit: another name for the same method."""
    NO_DIFFERENCE = "no difference shown"
    UNLIKE = "unlike runs"
    """Something that changes bits is not the same in all runs of both sides."""
    INCOMPLETE = "incomplete"
    """A seed of either side is missing, runs, failed or diverged."""


@dataclass(frozen=True, kw_only=True)
class Pairing:
    """The two plans of a comparison: the user's method in every setting of the table, and the table's own rows."""

    mine: Plan
    rows: Plan

    def pairs(self) -> Iterator[tuple[Line, Line]]:
        """(the user's line, one it is held against), the same cells only once: stand-ins may merge settings."""
        seen: set[object] = set()
        for own in self.mine.lines:
            for row in self.rows.lines:
                key = (own.cells, row.cells)
                if row.cells and own.cells and setting(own.row) == setting(row.row) and key not in seen:
                    seen.add(key)
                    yield own, row


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One comparison. Accuracies in percent, differences in percentage points, the user's minus the row's."""

    own: Line
    row: Line
    mine: Sample
    theirs: Sample
    difference: Sample
    p: float | None
    """Two-sided, not corrected; None without a spread."""
    corrected: float | None
    """By Holm, over the family of those that are judged."""
    family: int
    finding: Finding
    unlike: tuple[str, ...]
    """What changes bits and is not the same in all runs of both sides."""
    more: int | None
    """Seeds still to be trained until the difference is decided, should mean and spread stay; None: no number helps,
    or there is nothing to decide."""

    @property
    def asked(self) -> int:
        return len(self.own.cells)


def setting(row: Row) -> tuple[object, ...]:
    """What two rows must share to be compared: with it come recipe, seeds and samples."""
    return row.architecture, row.dataset, row.timesteps, row.change.text


def pairing(
    table: Table, methods: Collection[str], context: Context, only: Only, identify: Identify | None = None
) -> Pairing:
    """The rows of `table` that can be trained, and `methods` in each of their settings.

    `only` selects rows; its methods are those of the rows. Raises UserError if there is nothing to compare with.
    """
    others = replace(context, plugins=tuple(m for m in context.plugins if m not in methods))
    rows = plan(table, others, only=only, identify=identify)
    lines = tuple(line for line in rows.lines if line.cells and line.row.method not in methods)
    if not lines:
        raise UserError("no row to compare with", table.name, "ask for others: --only, --preset, --protocol")
    settings = dict.fromkeys(setting(line.row) for line in lines)
    first = {setting(line.row): line.row for line in reversed(lines)}
    own = tuple(_own_row(method, first[each]) for each in settings for method in methods)
    mine = tuple(m for m in context.plugins if m in methods)
    made = plan(
        Table(name=table.name, title=table.title, row=own),
        replace(context, plugins=mine),
        only={key: values for key, values in only.items() if key == "seed"},
        identify=identify,
    )
    return Pairing(mine=made, rows=replace(rows, lines=lines))


def _own_row(method: str, like: Row) -> Row:
    return Row(
        method=method,
        architecture=like.architecture,
        dataset=like.dataset,
        timesteps=like.timesteps,
        change=like.change,
    )


def compare(pairing: Pairing, outcomes: Mapping[str, Outcome]) -> tuple[Compared, ...]:
    """Every comparison, from what the store holds (`outcomes` by cell key)."""
    found = [_one(pairing, own, row, outcomes) for own, row in pairing.pairs()]
    judged = [c.p for c in found if c.finding == Finding.NO_DIFFERENCE and c.p is not None]
    corrected = iter(holm(judged))
    return tuple(
        _judged(c, next(corrected), len(judged))
        if c.finding == Finding.NO_DIFFERENCE and c.p is not None
        else replace(c, family=len(judged))
        for c in found
    )


def _one(pairing: Pairing, own: Line, row: Line, outcomes: Mapping[str, Outcome]) -> Compared:
    """Before the family is known."""
    sides = [[outcomes.get(cell.key) for cell in line.cells] for line in (own, row)]
    difference = paired(*sides)
    finding, differences = Finding.NO_DIFFERENCE, unlike([*sides[0], *sides[1]])
    if difference.n < len(own.cells):
        finding = Finding.INCOMPLETE
    elif differences and not pairing.mine.mixed:
        finding = Finding.UNLIKE
    elif identical(*sides):
        finding = Finding.IDENTICAL
    return Compared(
        own=own,
        row=row,
        mine=summarise(own, pairing.mine, outcomes).sample,
        theirs=summarise(row, pairing.rows, outcomes).sample,
        difference=difference,
        p=p_value(difference),
        corrected=None,
        family=0,
        finding=finding,
        unlike=differences,
        more=None,
    )


def _judged(compared: Compared, corrected: float, family: int) -> Compared:
    difference, finding, more = compared.difference, Finding.NO_DIFFERENCE, None
    assert difference.mean is not None and difference.std is not None
    if corrected < 1 - CONFIDENCE:
        finding = Finding.BETTER if difference.mean > 0 else Finding.WORSE
    else:  # at the level of the smallest p of the family: with a larger one, fewer seeds may do
        seeds = seeds_to_decide(difference.mean, difference.std, confidence=1 - (1 - CONFIDENCE) / family)
        more = None if seeds is None else max(1, seeds - difference.n)
    return replace(compared, corrected=corrected, family=family, finding=finding, more=more)


def identical(left: Sequence[Outcome], right: Sequence[Outcome]) -> bool:
    """Whether both sides learned the same, epoch by epoch, to the bit."""
    curves = [[_repeatable(o) for o in side if isinstance(o, Result)] for side in (left, right)]
    return bool(curves[0]) and curves[0] == curves[1]


def _repeatable(result: Result) -> object:
    return (
        msgspec.structs.replace(result.curve, seconds=(), by_timesteps=()),
        result.best_accuracy,
        result.last_accuracy,
    )


def spread(found: Sequence[Compared]) -> float | None:
    """Root mean square of the deviations of the differences: what the power of the next comparison depends on."""
    squares = [c.difference.std**2 for c in found if c.difference.std]
    mean = sample(squares).mean
    return None if mean is None else mean**0.5
