"""A row -> the cell that it is trained as, at seed 0, or why there is none."""

from __future__ import annotations

import msgspec

from harness.plan.context import Context
from harness.plan.selection import selects, trained_on
from harness.spec import Cell, Change, Overlay, Recipe, Row
from harness.works import Step, Works, steps


def common_cell(row: Row, context: Context) -> Cell:
    """At seed 0, by the recipe that all rows share."""
    return _beginning(row, _recipe(row, context), context)


def phased_cell(row: Row, works: Works, context: Context) -> Cell:
    """The cell of the last phase at seed 0, which begins from the one before, and so on."""
    cell, dataset = None, trained_on(row, context.preset)
    for step in _steps(row, works, context):
        cell = context.stamp(Cell(**step._asdict(), dataset=dataset, seed=0, origin=cell))
    assert cell is not None
    return cell


def _beginning(row: Row, recipe: Recipe, context: Context) -> Cell:
    """The cell of `row` at seed 0, and before it the one that its method begins from."""
    begins, origin = context.origins.get(row.method), None
    if begins is not None and begins.method:
        other = msgspec.structs.replace(row, method=begins.method, timesteps=begins.timesteps or row.timesteps)
        origin = _beginning(other, begins.recipe.onto(recipe), context)
    recipe = recipe if begins is None else begins.after(recipe)
    smaller = context.preset.method.get(row.method) if context.preset is not None else None
    recipe = recipe if smaller is None else smaller.onto(recipe)
    return context.stamp(
        Cell(
            method=row.method,
            architecture=row.architecture,
            dataset=trained_on(row, context.preset),
            timesteps=row.timesteps,
            seed=0,
            recipe=recipe,
            origin=origin,
        )
    )


def _recipe(row: Row, context: Context) -> Recipe:
    """The protocol's, under the preset's overlays (for all, the architecture, the table's data set), then the row's."""
    recipe, preset = context.protocol.recipe[row.dataset], context.preset
    overlays: list[Overlay | None] = []
    if preset is not None:
        overlays = [preset.recipe, preset.architecture.get(row.architecture), preset.dataset.get(row.dataset)]
    for overlay in (*overlays, row.change):
        recipe = overlay.onto(recipe) if overlay is not None else recipe
    return recipe


def why_blank(row: Row, context: Context) -> str:
    """Why nothing is trained of `row`; empty where something is."""
    if row.method not in context.methods:
        return row.blank or "no method yet"
    if row.architecture not in context.architectures:
        return "no architecture yet"
    preset = context.preset
    if preset is not None and not selects(preset.only, row, preset):
        return f"not in preset {preset.name}"
    if trained_on(row, preset) not in context.datasets:
        return "no data set yet"
    if isinstance(context.protocol, Works):
        return _without_system(row, context.protocol, context)
    if row.dataset not in context.protocol.recipe:
        return f"no recipe in protocol {context.protocol.name}"
    if row.change != Change() and _recipe(row, context) == _recipe(_unchanged(row), context):
        return f"as {context.protocol.name} has it"
    return ""


def _without_system(row: Row, works: Works, context: Context) -> str:
    if blank := works.blank(row):
        return blank
    found = _steps(row, works, context)
    for step in found:
        if step.method not in context.methods:
            return f"no method {step.method} yet"
        if step.architecture not in context.architectures:
            return f"no architecture {step.architecture} yet"
    if row.change != Change() and found == _steps(_unchanged(row), works, context):
        return f"as {works.name} has it"
    return ""


def _steps(row: Row, works: Works, context: Context) -> tuple[Step, ...]:
    return steps(row, works, context.preset, trained_on(row, context.preset) != row.dataset)


def _unchanged(row: Row) -> Row:
    return msgspec.structs.replace(row, change=Change())
