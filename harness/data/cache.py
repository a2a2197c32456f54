"""Arrays that are slow to make, kept once on disk. A cache that cannot be read or written costs time, never a run.

An entry is named by what its numbers are made of: the content of files, and what was made of it. That files are the
same ones as before (place, device, inode, size, times) only ever spares reading them again.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import stat
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from harness import durable, opened
from harness.data.mounts import is_image
from harness.errors import UserError

VERSION = 2
"""Part of every key: raise it when what is stored changes meaning."""
TICK = 20_000_000
"""ns within which a kernel may give two changes of a file the same time."""

_log = logging.getLogger(__name__)


def folder() -> Path:
    """$HARNESS_CACHE, else ``snn-harness`` in $XDG_CACHE_HOME or ~/.cache. Safe to delete at any time."""
    if chosen := os.environ.get("HARNESS_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "snn-harness"


def signed(files: Iterable[Path], base: Path, *made: object) -> Callable[[], str]:
    """The key of what is made of `files`: of their content, their names below `base`, and `made` (shape, classes, …).

    All files are looked at now, so that one that is missing is said early, and read when the key is asked for.
    """
    files = list(files)
    sign = signature(files)
    return lambda: key(content(files, base, sign), *made)


def content(files: Sequence[Path], base: Path, sign: str) -> str:
    """16 hex over what `files` hold, and their names below `base`; files of a `signature` known are not read again.

    Raises UserError where they change while they are read.
    """

    def read() -> dict[str, np.ndarray]:
        wait = TICK - (time.time_ns() - max(file.stat().st_ctime_ns for file in files))
        if 0 < wait <= TICK:  # else a change after reading could have the time of one before
            time.sleep(wait / 1e9)
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:  # hashing releases the interpreter's lock
            digests = pool.map(_sha256, files)
            lines = (
                f"{file.relative_to(base).as_posix()}\0{digest}" for file, digest in zip(files, digests, strict=True)
            )
            found = key(*sorted(lines))
        if signature(files) != sign:
            raise changing(base)
        return {"content": np.array(found)}

    if is_image(base):
        return str(read()["content"])
    return str(arrays(f"content-{sign}", ("content",), read)["content"])


def changing(folder: Path) -> UserError:
    """That what was read is not what a key was taken of."""
    return UserError("changes while it is read", str(folder), "wait until it is all there, and type the same again")


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def signature(files: Iterable[Path]) -> str:
    """16 hex over place, device, inode, size and times of `files`: that they are the same ones, unchanged."""
    lines = []
    for file in files:
        status = file.stat()
        if not stat.S_ISREG(status.st_mode):
            raise UserError("no regular file", str(file), "a sample is a file of its own")
        times = f"{status.st_mtime_ns}\0{status.st_ctime_ns}"
        place = os.path.abspath(file)  # noqa: PTH100 - resolving each link of each file would take longer than all else
        lines.append(f"{place}\0{status.st_dev}\0{status.st_ino}\0{status.st_size}\0{times}")
    return key(*sorted(lines))


def key(*parts: object) -> str:
    """16 hex over `parts` and the cache's version."""
    told = "\n".join(map(str, (VERSION, *parts)))
    return hashlib.sha256(told.encode(errors="surrogateescape")).hexdigest()[:16]


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
