"""Files where others may have put something else: opened only if they are plain files, without following a link."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, TextIO

MOST = 2**25
"""Bytes of a file that is read whole, unless more is asked for: 32 MiB, a thousand times a usual record."""

_SAFELY = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
"""No link is followed, no FIFO waited for, no terminal taken over."""
_KINDS = {stat.S_IFLNK: "a link", stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket", stat.S_IFDIR: "a folder"}


class Unfit(OSError):
    """Something is there, and it is no plain file, or too large a one."""


def read(path: Path | str, most: int = MOST) -> bytes:
    """All of it. Raises OSError, Unfit."""
    handle = descriptor(path, os.O_RDONLY)
    try:
        size = os.fstat(handle).st_size
        if size > most:
            raise Unfit(errno.EFBIG, f"larger than {most // 2**20} MiB", str(path))
        return b"".join(iter(lambda: os.read(handle, size + 1), b""))
    finally:
        os.close(handle)


@contextlib.contextmanager
def reading(path: Path) -> Iterator[BinaryIO]:
    """To be read in parts, however large. Raises OSError, Unfit."""
    with os.fdopen(descriptor(path, os.O_RDONLY), "rb") as file:
        yield file


def appending(path: Path, buffering: int = -1) -> TextIO:
    """To add text at its end; made where it is missing. Raises OSError, Unfit."""
    handle = descriptor(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    share(handle, path.parent)
    return os.fdopen(handle, "a", buffering=buffering)


def making(path: Path) -> BinaryIO:
    """A new file, to be written. Raises OSError, FileExistsError where anything has that name."""
    handle = descriptor(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    share(handle, path.parent)
    return os.fdopen(handle, "wb")


def descriptor(path: Path | str, flags: int) -> int:
    """Of the plain file at `path`. Raises OSError, Unfit."""
    try:
        handle = os.open(path, flags | _SAFELY, 0o666)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO, errno.EISDIR) and (kind := what(path)):
            raise Unfit(error.errno, kind, str(path)) from None
        raise
    if stat.S_ISREG(mode := os.fstat(handle).st_mode):
        return handle
    os.close(handle)
    raise Unfit(errno.EINVAL, _named(mode), str(path))


def what(path: Path | str) -> str:
    """``a link``, ``a folder``, ...: what is there, if it is no plain file; empty if it is, or nothing is there."""
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return ""
    return "" if stat.S_ISREG(mode) else _named(mode)


def share(handle: int, folder: Path) -> None:
    """A file in a folder of a group (set-group-ID, so that the group comes with it) is the group's to use as well."""
    home = folder.stat().st_mode
    mode = os.fstat(handle).st_mode
    wanted = stat.S_IMODE(mode) | home & 0o060
    if home & stat.S_ISGID and wanted != stat.S_IMODE(mode):
        with contextlib.suppress(PermissionError):  # another's, who made it for the group, or did not
            os.fchmod(handle, wanted)


def share_folder(path: Path) -> None:
    """As `share`, of a folder that was just made."""
    home, mode = path.parent.stat().st_mode, path.stat().st_mode
    if home & stat.S_ISGID:
        with contextlib.suppress(PermissionError):
            path.chmod(stat.S_IMODE(mode) | home & 0o070 | stat.S_ISGID)


def _named(mode: int) -> str:
    return _KINDS.get(stat.S_IFMT(mode), "a device")
