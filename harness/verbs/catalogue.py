"""What there is to choose from: name and a line about it, without importing torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import baselines
from harness import tables
from harness.amounts import MINUS

FEW = 4
"""Names of a kind that are shown beside it."""


def _methods() -> Iterator[tuple[str, str]]:
    known = tables.load_inventory()
    return ((name, _beside(baselines.METHODS.describe(name), known.get(name))) for name in baselines.METHODS)


def _beside(told: str, known: tables.Registered | None) -> str:
    """And whether it folds, unless its line says so, and its parameters; of a user's own its line alone."""
    if known is None:
        return told
    folds = "" if "fold" in told.lower() else f"folds: {known.folds}; "
    count = f"{known.parameters:+,}".replace("-", MINUS)
    return f"{told} [{folds}ResNet20 {count} parameters]"


def _architectures() -> Iterator[tuple[str, str]]:
    return ((name, baselines.ARCHITECTURES.describe(name)) for name in baselines.ARCHITECTURES)


def _datasets() -> Iterator[tuple[str, str]]:
    from harness import data

    return ((name, data.describe(name)) for name in data.names())


def _places() -> Iterator[tuple[str, str]]:
    from harness import clusters

    yield from clusters.HERE.items()
    yield from clusters.entries()


def _tables() -> Iterator[tuple[str, str]]:
    for name in tables.table_names():
        table = tables.load_table(name)
        yield name, f"{table.title} ({len(table.row)} rows)"


def _figures() -> Iterator[tuple[str, str]]:
    return ((name, tables.load_figure(name).title) for name in tables.figure_names())


def _presets() -> Iterator[tuple[str, str]]:
    return ((name, tables.load_preset(name).description) for name in tables.preset_names())


def _protocols() -> Iterator[tuple[str, str]]:
    return ((name, tables.load_protocol(name).description) for name in tables.protocol_names())


KINDS: dict[str, Callable[[], Iterator[tuple[str, str]]]] = {
    "methods": _methods,
    "architectures": _architectures,
    "datasets": _datasets,
    "tables": _tables,
    "figures": _figures,
    "presets": _presets,
    "protocols": _protocols,
    "clusters": _places,
}


def kinds() -> list[tuple[str, str]]:
    """(kind, how many there are and the first of them) of every kind."""
    found = {kind: [name for name, _ in entries(kind)] for kind in KINDS}
    return [
        (kind, f"{len(names)}: {', '.join(names[:FEW])}{', ...' * (len(names) > FEW)}") for kind, names in found.items()
    ]


def entries(kind: str) -> list[tuple[str, str]]:
    """(name, description) of every entry of a kind."""
    return list(KINDS[kind]())
