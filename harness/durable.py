"""Files that are there whole or not at all: written under a temporary name, flushed to the disk, then renamed."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from harness import opened, process
from harness.errors import UserError

TRIES = 3
LEFTOVER_AFTER = 3600.0
"""Seconds after which the temporary file of another place (see `process.PLACE`) counts as left over."""

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)


def temporary(path: Path) -> Path:
    """A name beside `path` that nobody can foresee, and that says who writes it: `sweep` finds a dead writer's file."""
    return path.with_name(f".{path.name}~{process.PLACE}~{os.getpid()}~{secrets.token_hex(4)}.tmp")


def write(path: Path, content: bytes, *, fsync: bool = True) -> None:
    """Replace `path` by `content` in one step. Raises UserError if the disk is full or not ours to write."""
    with replacing(path, fsync=fsync) as file:
        file.write(content)


@contextlib.contextmanager
def replacing(path: Path, *, fsync: bool = True) -> Iterator[BinaryIO]:
    """A file to write, which takes the place of `path` in one step when the block ends well. Raises UserError."""
    if kind := opened.what(path):
        raise UserError(f"is {kind}, and is not replaced", str(path), "type the name of a file")
    scratch = temporary(path)  # what has no name, as `.`, is a folder
    with explained(path):
        try:
            with opened.making(scratch) as file:
                yield file
                _flush(file, fsync)
            scratch.replace(path)
            if fsync:
                sync_folder(path.parent)
        finally:
            with contextlib.suppress(OSError):  # gone already, unless something went wrong above
                scratch.unlink()


def read(path: Path | str, most: int = opened.MOST) -> bytes:
    """All of `path`. Raises OSError; a handle that went stale (NFS: the file was replaced meanwhile) is opened anew."""
    for _ in range(TRIES - 1):
        try:
            return opened.read(path, most)
        except OSError as error:
            if error.errno != errno.ESTALE:
                raise
    return opened.read(path, most)


def create(path: Path, content: bytes) -> bool:
    """Create `path` with `content` in one step; False if it exists. At most one of any number of callers gets True."""
    scratch = temporary(path)
    with explained(path):
        try:
            with opened.making(scratch) as file:
                file.write(content)
                _flush(file, fsync=True)
            made = _link(scratch, path)
            return _create_without_links(path, content) if made is None else made
        finally:
            with contextlib.suppress(OSError):
                scratch.unlink()


def promote(made: Path, path: Path) -> bool:
    """Rename `made`, whole and flushed, to `path`; False if that exists. `made` is gone then, one way or the other."""
    with explained(path):
        try:
            first = _link(made, path)
        except OSError:
            made.unlink()
            raise
        if first is None and (first := not os.path.lexists(path)):
            made.replace(path)
        else:
            made.unlink()
        sync_folder(path.parent)
        return first


def make_folder(path: Path, within: Path | None = None) -> None:
    """Create `path` and its parents; in a folder of a group, for the group.

    Raises UserError; also where a part of `path` below `within` is a link, which may lead anywhere.
    """
    for part in (path, *path.parents) if within is not None else ():
        if part == within:
            break
        if part.is_symlink():
            raise UserError("is a link, which is not followed", str(part), "put the folder itself there")
    with explained(path):
        _make_folder(path)


def _make_folder(path: Path) -> None:
    try:
        path.mkdir()
    except FileNotFoundError:
        _make_folder(path.parent)
        path.mkdir(exist_ok=True)
    except FileExistsError:
        if path.is_dir():
            return
        astray = path.is_symlink() and not path.exists()
        what = f"is a link to {path.readlink()}, which is not there" if astray else "is no folder"
        raise UserError(what, str(path), "give another folder (--store, --out)") from None
    opened.share_folder(path)


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
            _, place, pid, _ = path.name.rsplit("~", 3)
            here = place == process.PLACE
            if not process.alive(int(pid)) if here else time.time() - path.lstat().st_mtime > LEFTOVER_AFTER:
                path.unlink()
                removed += 1
    return removed


def _flush(file: BinaryIO, fsync: bool) -> None:
    file.flush()
    if fsync:
        os.fsync(file.fileno())


def _link(scratch: Path, path: Path) -> bool | None:
    """Whether `path` was made another name of `scratch`; None where files have one name."""
    try:
        path.hardlink_to(scratch)  # unlike O_EXCL, never seen empty
    except FileExistsError:
        return scratch.stat().st_nlink == 2  # NFS may repeat a request that had succeeded
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        return None
    return True


def _create_without_links(path: Path, content: bytes) -> bool:
    try:
        with opened.making(path) as file:
            file.write(content)
    except FileExistsError:
        return False
    return True


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turns an OSError into what the user is told of `path`, which was to be written."""
    try:
        yield
    except OSError as error:
        raise unwritable(path, error) from error


def blamed(error: OSError, near: Path) -> UserError:
    """What the user is told of an error from work on the folder `near`, wherever it came from."""
    if error.errno in _FULL:
        return unwritable(near, error)
    return UserError((error.strerror or str(error)).lower(), str(error.filename or near))


def unwritable(path: Path, error: OSError) -> UserError:
    """What the user is told when `path` cannot be written."""
    if error.errno in _FULL:
        advice = "free some space and type the same again: finished cells and epochs are kept"
    else:
        advice = "make it writable, or give another folder (--store, --out)"
    return UserError(f"cannot be written ({(error.strerror or str(error)).lower()})", str(path), advice)
