"""Pictures as they were drawn before, by the same code from the same results: drawing is most of a report's time.

They lie where compiled kernels lie, in a cache of the user's own, by the hash of all that they show and of all that
draws them. Safe to delete at any time.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
from pathlib import Path
from typing import NamedTuple

import msgspec

from baselines import caches
from harness import durable, environment, tables
from harness.errors import UserError
from harness.report.gather import Sight

MOST = 128
"""Pictures; the oldest go."""
HERE = Path(__file__).parents[1]
DRAWING = ("matplotlib", "numpy")


class Picture(NamedTuple):
    svg: str
    told: list[str]
    """A line a panel."""
    numbers: str
    """CSV."""


def drawn(sight: Sight) -> Picture:
    """Of a figure that has something to show."""
    path = caches.folder() / "snn-pictures" / f"{_key(sight)}.json"
    if (found := _read(path)) is not None:
        return found
    from harness.render import figures  # late: it brings matplotlib

    made = Picture(*figures.inline(sight.plan, sight.outcomes, sight.probes))
    _keep(path, made)
    return made


def _read(path: Path) -> Picture | None:
    try:
        return msgspec.json.decode(durable.read(path), type=Picture)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def _keep(path: Path, made: Picture) -> None:
    """If it can be."""
    with contextlib.suppress(UserError, OSError):
        durable.make_folder(path.parent)
        durable.write(path, msgspec.json.encode(made), fsync=False)
        others = sorted(path.parent.glob("*.json"), key=lambda other: other.stat().st_mtime)
        for other in others[:-MOST]:
            other.unlink()


def _key(sight: Sight) -> str:
    plan = sight.plan
    lines = [(line.number, line.row, line.added, line.blank, [cell.key for cell in line.cells]) for line in plan.lines]
    outcomes = sorted((key, outcome) for key, outcome in sight.outcomes.items())
    shown = (plan.table, plan.protocol, plan.preset, plan.mixed, lines, outcomes, sorted(sight.probes.items()))
    return hashlib.sha256(msgspec.json.encode((shown, _drawing()))).hexdigest()


@functools.cache
def _drawing() -> str:
    """Of the code and the names by which it draws."""
    found = hashlib.sha256(repr(environment.versions(DRAWING)).encode())
    for path in (*sorted(HERE.rglob("*.py")), tables.folder() / "names.toml"):
        found.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()
