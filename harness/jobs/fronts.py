"""Runs that are under way on this host: which cells each is to train, and which it is asked to leave.

<store>/.jobs/<host>~<place>~<pid>~<born>/cells       keys, a line each, written when a run begins
                                         /cancelled   keys that somebody has asked it to leave since
                                         /...         submitit's pickles and logs

`place` is `process.PLACE`.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from harness import durable, opened, process

HOME = ".jobs"
"""Folder of the store."""
FORGOTTEN = 7 * 24 * 3600.0
"""Seconds after its last job began or ended, after which a run of another place counts as gone."""


@dataclass(frozen=True)
class Front:
    """A process that has begun a run, and lives."""

    pid: int
    folder: Path
    cells: frozenset[str]
    """Keys of those that it is to train and has not been asked to leave; some may have ended."""


def folder_of(root: Path, pid: int, birth: str) -> Path:
    """Of the run of a process of this place, known by its number and birth."""
    return root / HOME / f"{process.HOST}~{process.PLACE}~{pid}~{birth}"


def fronts(root: Path) -> Iterator[Front]:
    """Of this place, for the store at `root`."""
    for folder, place, pid, birth in _folders(root):
        if place == process.PLACE and process.alive(pid, birth):
            yield Front(pid, folder, frozenset(_keys(folder / "cells")) - cancelled(folder))


def dead(root: Path) -> Iterator[Path]:
    """Folders of runs whose process is gone, as far as can be told from here."""
    for folder, place, pid, birth in _folders(root):
        if not process.alive(pid, birth) if place == process.PLACE else _forgotten(folder):
            yield folder


def remove_dead(root: Path) -> None:
    """What runs that were killed left behind, unless a job of theirs still runs."""
    for folder in dead(root):
        starting = [path.name.partition("_")[0] for path in folder.glob("*_submitted.pkl")]
        if not jobs(folder) and not any(process.alive(int(pid)) for pid in starting if pid.isdecimal()):
            shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):
        (root / HOME).rmdir()


def jobs(folder: Path) -> list[tuple[int, str]]:
    """Number and birth of a run's jobs that are alive."""
    known = (path.stem.partition("~") for path in folder.glob("*~*.job"))
    return [(int(pid), birth) for pid, _, birth in known if pid.isdecimal() and process.alive(int(pid), birth)]


def _folders(root: Path) -> Iterator[tuple[Path, str, int, str]]:
    """(folder, place, number, birth) of every run."""
    home = root / HOME
    for folder in sorted(home.glob("*~*~*~*")) if not home.is_symlink() else ():
        _, place, pid, birth = folder.name.rsplit("~", 3)
        if pid.isdecimal():
            yield folder, place, int(pid), birth


def _forgotten(folder: Path) -> bool:
    """Of another place: this machine before it was last started, or a machine that has been silent for long."""
    patience = min(FORGOTTEN, process.uptime()) if folder.name.startswith(f"{process.HOST}~") else FORGOTTEN
    try:
        return time.time() - folder.lstat().st_mtime > patience
    except OSError:
        return False


def announce(folder: Path, keys: Collection[str]) -> None:
    """Say what a run is to train. Raises UserError."""
    durable.write(folder / "cells", "".join(f"{key}\n" for key in keys).encode(), fsync=False)


def ask_to_leave(front: Front, keys: Collection[str]) -> None:
    """Have a run leave cells that it has not begun, and not begin again those that are stopped."""
    with contextlib.suppress(OSError), opened.appending(front.folder / "cancelled") as file:  # it may just be ending
        file.write("".join(f"{key}\n" for key in keys))


def cancelled(folder: Path) -> frozenset[str]:
    """What the run of `folder` is asked to leave."""
    return frozenset(_keys(folder / "cancelled"))


def _keys(path: Path) -> list[str]:
    try:
        return durable.read(path).decode().split()
    except (OSError, UnicodeDecodeError):
        return []
