"""Every name that a recipe holds, and every amount, before anything is trained by it: not in each job, hours later."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness import checks, data
from harness.errors import UserError, UserErrors, did_you_mean
from harness.plan import Plan
from harness.spec import Recipe, Row


def check(plans: Sequence[Plan]) -> None:
    """Raises UserErrors that name table and row. Imports torch: the parts that are named need it."""
    if found := [problem for plan in plans for problem in _problems(plan)]:
        raise UserErrors(found)


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
