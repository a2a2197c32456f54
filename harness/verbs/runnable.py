"""What can be trained with the data sets that are here, as it can be typed: the end of `doctor`."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from harness import tables
from harness.identity.code import stamping
from harness.plan import plan
from harness.requests import Asked
from harness.verbs.session import PROTOCOL, context_of
from harness.verbs.standings import command


def commands(here: Collection[str], asked: Asked, *, gpu: bool) -> Iterator[tuple[str, str]]:
    """(what to type, a line about it): of each preset the first of the paper's tables, and which others."""
    presets = sorted(
        map(tables.load_preset, tables.preset_names()), key=lambda one: not one.datasets
    )  # stand-ins first
    stamp = stamping()
    for preset in (*presets, None):
        context = context_of(tables.load_protocol(PROTOCOL), preset, asked.seeds, (), stamp)
        able = []
        for table in filter(tables.NUMBERED.fullmatch, tables.table_names()):
            made = plan(tables.load_table(table), context)
            if made.cells and {cell.dataset for cell in made.cells} <= set(here):
                able.append((table, made))
        if able and (preset is not None or gpu):
            about = preset.description if preset is not None else "as the paper states it"
            more = f"; also {', '.join(table for table, _ in able[1:])}" if able[1:] else ""
            first, made = able[0]
            yield command(first, made, asked), about + more
