"""Pictures as they were drawn before, by the same code from the same results: drawing is most of a report's time.

They lie where compiled kernels lie, in a cache of the user's own, by the hash of all that they show and of all that
draws them. Safe to delete at any time.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from baselines import caches
from harness import durable, environment, tables
from harness.errors import UserError
from harness.report.gather import Sight

FOLDER = "snn-pictures"
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


@contextlib.contextmanager
def side_by_side(sights: Sequence[Sight]) -> Iterator[Callable[[Sight], Picture]]:
    """`drawn` of any of `sights`; meanwhile processes, one a core, draw those that are not kept, and keep them."""
    new = [sight for sight in sights if not _path(sight).exists()]
    workers = min(len(new), environment.cores())
    if workers < 2 or not (_may_fork() and _may_keep()):
        yield drawn
        return
    shares = [new[first::workers] for first in range(workers)]
    helpers = [
        multiprocessing.get_context("fork").Process(target=_help, args=(share,), daemon=True) for share in shares
    ]

    def take(sight: Sight) -> Picture:
        """Drawn here after all where a helper could not: then whoever waits hears why."""
        for share, helper in zip(shares, helpers, strict=True):
            if any(other is sight for other in share):
                helper.join()
        return drawn(sight)

    for helper in helpers:
        helper.start()
    try:
        yield take
    finally:
        for helper in helpers:
            helper.terminate()
            helper.join()


def _may_fork() -> bool:
    """With one thread alone: a lock that another holds would stay locked."""
    try:
        return "fork" in multiprocessing.get_all_start_methods() and len(list(Path("/proc/self/task").iterdir())) == 1
    except OSError:  # no Linux
        return False


def _may_keep() -> bool:
    folder = caches.folder() / FOLDER
    with contextlib.suppress(UserError, OSError):
        durable.make_folder(folder)
        return os.access(folder, os.W_OK)
    return False


def _help(share: Sequence[Sight]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever waits for this hears it, and ends this
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for sight in share:
        with contextlib.suppress(Exception):
            drawn(sight)


def drawn(sight: Sight) -> Picture:
    """Of a figure that has something to show."""
    path = _path(sight)
    if (found := _read(path)) is not None:
        return found
    from harness.render import figures  # late: it brings matplotlib

    made = Picture(*figures.inline(sight.plan, sight.outcomes, sight.probes))
    _keep(path, made)
    return made


def _path(sight: Sight) -> Path:
    return caches.folder() / FOLDER / f"{_key(sight)}.json"


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
