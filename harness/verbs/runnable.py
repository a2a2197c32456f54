"""What can be trained with the data sets that are here, as it can be typed: the end of `doctor`."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator

from harness import tables
from harness.identity.code import stamping
from harness.plan import plan
from harness.requests import Asked
from harness.verbs.session import PROTOCOL, context_of
from harness.verbs.standings import command


def commands(here: Collection[str], asked: Asked, *, gpu: bool) -> Iterator[tuple[str, str]]:
    """(what to type, a line about it): of each preset the first of the paper's tables, or what of it the data sets that
    are here allow, and which others as a whole."""
    presets = sorted(
        map(tables.load_preset, tables.preset_names()), key=lambda one: not one.datasets
    )  # stand-ins first
    stamp = stamping()
    for preset in (*presets, None):
        context = context_of(tables.load_protocol(PROTOCOL), preset, asked.seeds, (), stamp)
        able = []
        for table in filter(tables.NUMBERED.fullmatch, tables.table_names()):
            made = plan(tables.load_table(table), context)
            wanted = {cell.dataset for cell in made.cells}
            if there := wanted & set(here):
                able.append((table, made, "" if there == wanted else _only(there)))
        if able and (preset is not None or gpu):
            about = preset.description if preset is not None else "as the paper states it"
            whole = [table for table, _, part in able[1:] if not part]
            first, made, part = able[0]
            yield command(first, made, asked) + part, about + (f"; also {', '.join(whole)}" if whole else "")


def _only(datasets: Collection[str]) -> str:
    wanted = f"dataset={'|'.join(sorted(datasets))}"
    return f" --only {shlex.quote(wanted)}"
