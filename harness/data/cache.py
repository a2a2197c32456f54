"""Arrays that are slow to make, kept once on disk. A cache that cannot be read or written costs time, never a run."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from harness import durable, opened
from harness.errors import UserError

VERSION = 1
"""Part of every key: raise it when what is stored changes meaning."""

_log = logging.getLogger(__name__)


def folder() -> Path:
    """$HARNESS_CACHE, else ``snn-harness`` in $XDG_CACHE_HOME or ~/.cache. Safe to delete at any time."""
    if chosen := os.environ.get("HARNESS_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "snn-harness"


def signature(files: Iterable[Path], base: Path) -> str:
    """16 hex over names (relative to `base`), sizes and modification times: changes when a file does."""
    lines = []
    for file in files:
        status = file.stat()
        lines.append(f"{file.relative_to(base).as_posix()}\0{status.st_size}\0{status.st_mtime_ns}")
    return key(*sorted(lines))


def key(*parts: object) -> str:
    """16 hex over `parts` and the cache's version."""
    return hashlib.sha256("\n".join(map(str, (VERSION, *parts))).encode()).hexdigest()[:16]


def arrays(name: str, wanted: Iterable[str], make: Callable[[], Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The `wanted` arrays of entry `name`, else of what `make` returns, which is then kept for the next time."""
    wanted, path = list(wanted), folder() / f"{name}.npz"
    if kept := _kept(path, wanted):
        return kept
    with _alone(path):
        if kept := _kept(path, wanted):  # another process made it meanwhile
            return kept
        made = make()
        _keep(path, made)
    return {each: made[each] for each in wanted}


def _kept(path: Path, wanted: list[str]) -> dict[str, np.ndarray] | None:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:  # reads only what is wanted
            return {each: stored[each] for each in wanted}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as problem:
        _log.warning("cache entry %s is unreadable (%s); made anew", path, problem)
        return None


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One process makes an entry while the others wait; where files cannot be locked, each makes it for itself."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(ImportError, OSError, UserError):
            import fcntl

            durable.make_folder(path.parent)
            name = path.with_suffix(".lock")
            lock = stack.enter_context(opened.appending(name))
            stack.callback(name.unlink, missing_ok=True)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                _log.warning("another process prepares %s; waiting for it", path.stem)
                fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _keep(path: Path, made: Mapping[str, np.ndarray]) -> None:
    """Write under a temporary name and rename: a reader sees the old entry or the whole new one."""
    try:
        durable.make_folder(path.parent)
        with durable.replacing(path, fsync=False) as file:
            np.savez(file, allow_pickle=False, **made)
    except UserError as problem:
        _log.warning("cannot cache %s (%s); it will be made again next time", path, problem.what)
