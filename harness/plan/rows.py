"""Table or figure (+ protocol, preset, filters, plugins) -> the cells behind every row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import MappingProxyType

from harness.errors import UserError
from harness.plan.context import Context
from harness.plan.planned import Line, Plan
from harness.plan.samples import Identify, with_data
from harness.plan.selection import Only, check_only, selects
from harness.plan.trained import common_cell, phased_cell, why_blank
from harness.spec import Cell, Figure, Row, Table
from harness.works import Works


def plan(
    table: Table | Figure,
    context: Context,
    *,
    only: Only = MappingProxyType({}),
    identify: Identify | None = None,
) -> Plan:
    """The cells behind every row of `table` that `only` selects. Raises UserError for a selection that fits nothing."""
    rows = [*_numbered(table), *_added(table, context)]
    check_only(only, [row for _, row, _ in rows], context)
    lines = tuple(
        _line(number, row, added, context, only) for number, row, added in rows if selects(only, row, context.preset)
    )
    if not lines:
        raise UserError("no row is left", f"{table.name}: --only", "the rows ask for other combinations; ask for less")
    made = Plan(
        table=table,
        protocol=context.protocol.name,
        preset=context.preset.name if context.preset else None,
        lines=lines,
        mixed=context.mixed,
        common=context.common.name if context.common is not None else "",
    )
    return with_data(made, identify) if identify else made


def _numbered(table: Table | Figure) -> Iterator[tuple[int, Row, bool]]:
    for number, row in enumerate(table.row, start=1):
        yield number, row, False


def _added(table: Table | Figure, context: Context) -> Iterator[tuple[int, Row, bool]]:
    """A user's methods, in every setting of the table; one that the paper has a row for fills that row instead."""
    settings = dict.fromkeys((row.architecture, row.dataset, row.timesteps) for row in table.row)
    number, printed = len(table.row), {row.method for row in table.row}
    for method in context.plugins:
        for architecture, dataset, timesteps in settings if method not in printed else ():
            row = Row(method=method, architecture=architecture, dataset=dataset, timesteps=timesteps)
            if not why_blank(row, context):
                number += 1
                yield number, row, True


def _line(number: int, row: Row, added: bool, context: Context, only: Only) -> Line:
    if blank := why_blank(row, context):
        return Line(number=number, row=row, cells=(), blank=blank, added=added)
    seeds = [seed for seed in context.seeds if str(seed) in only.get("seed", (str(seed),))]

    def over_seeds(first: Cell) -> tuple[Cell, ...]:
        return tuple(first.throughout(seed=seed) for seed in seeds)  # they differ in nothing else

    if not isinstance(context.protocol, Works):
        return Line(number=number, row=row, cells=over_seeds(common_cell(row, context)), added=added)
    cells, chosen = over_seeds(phased_cell(row, context.protocol, context)), context.protocol.chosen_for(row)
    beside = replace(context, protocol=context.common) if context.common is not None else None
    alike = over_seeds(common_cell(row, beside)) if beside is not None and not why_blank(row, beside) else ()
    return Line(number=number, row=row, cells=cells, added=added, chosen=chosen, alike=alike)
