"""As printed: what the paper's own numbers say of a claim, computed from the table files and never typed in."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from harness.amounts import MINUS, signed
from harness.spec import Table
from harness.statements.spec import Check, Cites, Claim, Compare, Contains, Place, Spread, pairs, select
from harness.tables import display, table_label


class PrintedVerdict(StrEnum):
    SUPPORTED = "supported"
    NOT_SUPPORTED = "not supported"
    NOT_CHECKABLE = "not checkable"


@dataclass(frozen=True, kw_only=True)
class Printed:
    verdict: PrintedVerdict
    arithmetic: tuple[str, ...]


def as_printed(claim: Claim, tables: Mapping[str, Table]) -> Printed:
    """What the numbers of the paper say of `claim`, with the arithmetic."""
    answers = [
        _printed(check, tables) for check in claim.check if isinstance(check, Compare | Spread | Contains | Cites)
    ]
    if not answers:
        return Printed(verdict=PrintedVerdict.NOT_CHECKABLE, arithmetic=())
    verdict = PrintedVerdict.SUPPORTED if all(ok for ok, _ in answers) else PrintedVerdict.NOT_SUPPORTED
    return Printed(verdict=verdict, arithmetic=tuple(line for _, lines in answers for line in lines))


def _printed(check: Check, tables: Mapping[str, Table]) -> tuple[bool, list[str]]:
    match check:
        case Compare():
            return _printed_compare(check, pairs(check, tables))
        case Spread():
            return _printed_spread(check, pairs(check, tables))
        case Contains(table=table, methods=methods):
            there = {row.method for row in tables[table].row}
            lines = [
                f"{'a' if m in there else 'no'} row of {display('method', m)} in {table_label(table)}" for m in methods
            ]
            return all(m in there for m in methods), lines
        case Cites(rows=rows, reference=reference):
            printed = {place.row.reference for place in select(rows, tables)}
            told = ", ".join(f"[{r}]" for r in sorted(printed, key=str))
            return printed == {reference}, [f"{table_label(rows.table)} cites it as {told}, the text as [{reference}]"]
        case _:
            raise TypeError(check)


def _printed_compare(check: Compare, pairs: Sequence[tuple[Place, Place]]) -> tuple[bool, list[str]]:
    holds: dict[str, Callable[[float], bool]] = {
        "above": lambda d: d > check.by,
        "equal": lambda d: d == 0,
        "different": lambda d: d != 0,
    }
    wrong = [pair for pair in pairs if not holds[check.relation](_gap(*pair))]
    if wrong:
        told = [_equation(*pair, relative=check.by > 0) for pair in sorted(wrong, key=lambda p: _gap(*p))]
        return False, [f"not in {len(wrong)} of {len(pairs)}: {'; '.join(told)}"] if len(pairs) > 1 else told
    nearest = min(pairs, key=lambda pair: _gap(*pair))
    lead = f"smallest of {len(pairs)}: " if len(pairs) > 1 and check.relation == "above" else ""
    if check.relation == "equal" and len(pairs) > 1:
        return True, [f"{len(pairs)} numbers agree"]
    return True, [lead + _equation(*nearest, relative=check.by > 0)]


def _printed_spread(check: Spread, pairs: Sequence[tuple[Place, Place]]) -> tuple[bool, list[str]]:
    gaps = [_gap(*pair) for pair in pairs]
    outside = [pair for pair, gap in zip(pairs, gaps, strict=True) if not check.low <= gap <= check.high]
    told = [f"{signed(min(gaps))} to {signed(max(gaps))}, said: {signed(check.low)} to {signed(check.high)}"]
    return (min(gaps), max(gaps)) == (check.low, check.high), told + [_equation(*pair) for pair in outside]


def _gap(left: Place, right: Place) -> float:
    """Difference of two printed numbers; rounded, since both have two decimals and floats do not."""
    return round((left.row.accuracy or math.nan) - (right.row.accuracy or math.nan), 6)


def _equation(left: Place, right: Place, *, relative: bool = False) -> str:
    a, b, gap = left.row.accuracy or math.nan, right.row.accuracy or math.nan, _gap(left, right)
    part = f" (relative: {signed(100 * gap / b)} %)" if relative else ""
    datasets = dict.fromkeys(display("dataset", place.row.dataset) for place in (left, right))
    return f"{' / '.join(datasets)}: {a:.2f} ({left.name}) {MINUS} {b:.2f} ({right.name}) = {signed(gap)}{part}"
