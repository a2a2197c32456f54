"""Runs that are under way on this host: which cells each is to train, and which it is asked to leave.

<store>/.jobs/<host>~<pid>~<born>/cells       keys, a line each, written when a run begins
                                 /cancelled   keys that somebody has asked it to leave since
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from harness import durable, process

HOME = ".jobs"
"""Folder of the store."""


@dataclass(frozen=True)
class Front:
    """A process that has begun a run, and lives."""

    pid: int
    folder: Path
    cells: frozenset[str]
    """Keys of those that it is to train and has not been asked to leave; some may have ended."""


def folder_of(root: Path, pid: int, birth: str) -> Path:
    """Of the run of a process of this host, known by its number and birth."""
    return root / HOME / f"{process.HOST}~{pid}~{birth}"


def fronts(root: Path) -> Iterator[Front]:
    """Of this host, for the store at `root`."""
    for folder in sorted((root / HOME).glob(f"{process.HOST}~*~*")):
        _, pid, birth = folder.name.rsplit("~", 2)
        if pid.isdigit() and process.alive(int(pid), birth):
            yield Front(int(pid), folder, frozenset(_keys(folder / "cells")) - cancelled(folder))


def announce(folder: Path, keys: Collection[str]) -> None:
    """Say what a run is to train. Raises UserError."""
    durable.write(folder / "cells", "".join(f"{key}\n" for key in keys).encode(), fsync=False)


def ask_to_leave(front: Front, keys: Collection[str]) -> None:
    """Have a run leave cells that it has not begun, and not begin again those that are stopped."""
    with contextlib.suppress(OSError), (front.folder / "cancelled").open("a") as file:  # it may just be ending
        file.write("".join(f"{key}\n" for key in keys))


def cancelled(folder: Path) -> frozenset[str]:
    """What the run of `folder` is asked to leave."""
    return frozenset(_keys(folder / "cancelled"))


def _keys(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []
