"""Every name that a table of a user's own or a recipe holds, and every amount, before anything is trained by it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import baselines
from harness import checks, data, tables
from harness.errors import UserError, UserErrors, did_you_mean
from harness.plan import Context, Plan
from harness.spec import Figure, Recipe, Row, Table
from harness.works import Works


def check(plans: Sequence[Plan]) -> None:
    """Raises UserErrors that name table and row. Imports torch: the parts that are named need it."""
    if found := [problem for plan in plans for problem in _problems(plan)]:
        raise UserErrors(found)


def rows(table: Table | Figure, context: Context) -> None:
    """Raises UserErrors for names that nothing has: no registry, nor the paper, whose rows may wait for theirs."""
    numbered = enumerate(table.row, start=1)
    if found := [problem for number, row in numbered for problem in _unknown(number, row, table, context)]:
        raise UserErrors(found)


def _unknown(number: int, row: Row, table: Table | Figure, context: Context) -> Iterator[UserError]:
    where = f"{table.name}: row {number}"
    kinds = {"method": baselines.METHODS, "architecture": baselines.ARCHITECTURES, "dataset": data.names()}
    for kind, known in kinds.items():
        name = getattr(row, kind)
        if name not in known and name not in tables.printed(kind):
            written = "; or write it: new method, then --plugin FILE.py" if kind == "method" else ""
            yield UserError(f"unknown {NAMED.get(kind, kind)} `{name}`", where, did_you_mean(name, known) + written)
    if isinstance(context.protocol, Works):
        return
    if row.dataset in data.names() and row.dataset not in context.protocol.recipe:
        advice = f"add a block [recipe.{row.dataset}] (epochs, batch, ...) to a copy of it, and give --protocol FILE"
        yield UserError(f"protocol {context.protocol.name} has no recipe for `{row.dataset}`", where, advice)


NAMED = {"dataset": "data set"}


def _problems(plan: Plan) -> Iterator[UserError]:
    for line in plan.lines:
        for cell in line.cells[:1]:  # seeds share it
            where = f"{plan.table.name}: row {line.number}"
            yield from checks.amounts(cell.recipe, where)
            yield from _names(cell.recipe, cell.dataset, line.row, where)


def _names(recipe: Recipe, dataset: str, row: Row, where: str) -> Iterator[UserError]:
    from baselines.parts.surrogates import SURROGATES
    from harness.data import decoders, splits
    from harness.data.augment import AUGMENTATIONS, FOR_COLOUR

    usable = set(AUGMENTATIONS) if data.still(dataset) else AUGMENTATIONS.keys() - FOR_COLOUR
    named = [("augmentation", name, usable) for name in (*recipe.augmentation, *row.change.insert_after)]
    named.append(("surrogate", recipe.surrogate, set(SURROGATES)))
    named += [("decoder", recipe.decoder, set(decoders.NAMES))] if recipe.decoder is not None else []
    for kind, name, known in named:
        if name not in known:
            yield UserError(f"unknown {kind} `{name}`", where, did_you_mean(name, known))
    try:
        if recipe.split is not None:
            splits.rule(recipe.split.partition(":")[0])
    except UserError as error:
        yield UserError(error.what, where, error.to_type)
