"""Files that are there whole or not at all: written under a temporary name, flushed to the disk, then renamed."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import time
from collections.abc import Iterator
from pathlib import Path

from harness.errors import UserError
from harness.process import HOST, alive

TRIES = 3
LEFTOVER_AFTER = 3600.0
"""Seconds after which another host's temporary file counts as left over."""

_numbers = itertools.count()
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)


def temporary(path: Path) -> Path:
    """A name beside `path` that says who writes it, so that `sweep` can tell a dead writer's file."""
    return path.with_name(f".{path.name}~{HOST}~{os.getpid()}~{next(_numbers)}.tmp")


def write(path: Path, content: bytes, *, fsync: bool = True) -> None:
    """Replace `path` by `content` in one step. Raises UserError if the disk is full or not ours to write."""
    scratch = temporary(path)
    with _explained(path):
        try:
            _put(scratch, content, fsync)
            scratch.replace(path)
            if fsync:
                sync_folder(path.parent)
        finally:
            with contextlib.suppress(OSError):  # gone already, unless something went wrong above
                scratch.unlink()


def read(path: Path | str) -> bytes:
    """All of `path`. Raises OSError; a handle that went stale (NFS: the file was replaced meanwhile) is opened anew."""
    for _ in range(TRIES - 1):
        try:
            return _whole(path)
        except OSError as error:
            if error.errno != errno.ESTALE:
                raise
    return _whole(path)


def create(path: Path, content: bytes) -> bool:
    """Create `path` with `content` in one step; False if it exists. At most one of any number of callers gets True."""
    scratch = temporary(path)
    with _explained(path):
        try:
            _put(scratch, content, fsync=False)
            return _link(scratch, path, content)
        finally:
            scratch.unlink(missing_ok=True)


def make_folder(path: Path) -> None:
    """Create `path` and its parents. Raises UserError."""
    with _explained(path):
        path.mkdir(parents=True, exist_ok=True)


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sweep(folder: Path) -> int:
    """Remove what dead writers left half-written in `folder`; returns how many files."""
    removed = 0
    for path in folder.glob(".*~*~*~*.tmp"):
        with contextlib.suppress(OSError, ValueError):
            _, host, pid, _ = path.name.rsplit("~", 3)
            if not alive(int(pid)) if host == HOST else time.time() - path.stat().st_mtime > LEFTOVER_AFTER:
                path.unlink()
                removed += 1
    return removed


def _whole(path: Path | str) -> bytes:
    with open(path, "rb") as file:  # noqa: PTH123 - twice as fast as Path.read_bytes over ten thousand files
        return file.read()


def _put(path: Path, content: bytes, fsync: bool) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        if fsync:
            os.fsync(file.fileno())


def _link(scratch: Path, path: Path, content: bytes) -> bool:
    try:
        path.hardlink_to(scratch)  # unlike O_EXCL, never seen empty
    except FileExistsError:
        return scratch.stat().st_nlink == 2  # NFS may repeat a request that had succeeded
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        return _create_without_links(path, content)
    return True


def _create_without_links(path: Path, content: bytes) -> bool:
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
    except FileExistsError:
        return False
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    return True


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise unwritable(path, error) from error


def unwritable(path: Path, error: OSError) -> UserError:
    """What the user is told when `path` cannot be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        advice = "free some space and type the same again: finished cells and epochs are kept"
    else:
        advice = "make it writable, or give another folder (--store, --out)"
    return UserError(f"cannot be written ({(error.strerror or str(error)).lower()})", str(path), advice)
