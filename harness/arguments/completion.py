"""What a shell needs to complete a line that begins with ``harness``: a script, by shtab, of what there is now."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping
from typing import Any


def script(shell: str, parser: argparse.ArgumentParser, verbs: Mapping[str, argparse.ArgumentParser]) -> str:
    """To be sourced. Tables, presets, methods and others are completed by the names that are known today."""
    import shtab

    names = _names()
    for verb in verbs.values():
        for action in verb._actions:
            if action.metavar in names:
                action.choices = list(names[action.metavar]())  # type: ignore[index]
                action.type = None
            elif place := PLACES.get(str(action.metavar)):
                action.complete = getattr(shtab, place)  # type: ignore[attr-defined]
    parser.prog = "harness"
    return shtab.complete(parser, shell=shell)


PLACES = {
    "DIR": "DIRECTORY",
    "OTHER_STORE": "DIRECTORY",
    "FILE": "FILE",
    "METHOD.py": "FILE",
    "FILE.py|PACKAGE": "FILE",
    "FILE.toml|FILE.py": "FILE",
}
"""Metavar -> what shtab calls it."""


def _names() -> dict[Any, Callable[[], Iterable[str]]]:
    """Metavar -> what may stand there."""
    from harness import clusters, tables
    from harness.arguments.groups import RECOMPUTE
    from harness.arguments.verbs import KINDS, PROGRAMS, SHELLS, VERBS

    def both() -> list[str]:
        return [*tables.table_names(), *tables.figure_names()]

    return {
        "TABLE": tables.table_names,
        "FIGURE": tables.figure_names,
        "TABLE|FIGURE": both,
        "TABLE|FIGURE|CELL": both,
        "PRESET": tables.preset_names,
        "PROTOCOL": tables.protocol_names,
        "PLACE": lambda: clusters.HERE,
        "PROGRAM": lambda: PROGRAMS,
        "VERB": lambda: VERBS,
        "SHELL": lambda: SHELLS,
        "|".join(KINDS): lambda: KINDS,
        "|".join(RECOMPUTE): lambda: RECOMPUTE,
    }
