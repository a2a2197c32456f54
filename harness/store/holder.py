"""What a claim says, and whether who wrote it still lives.

A holder of this place (see `process.PLACE`) is dead when its process is. Any other is after `STALE_AFTER` seconds
without a heartbeat: a kernel, or a PID name space, cannot tell whether a process of another runs. Those are seconds of
the file server: the age of a heartbeat is the difference of two file times, so clocks that differ do no harm.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import time
from pathlib import Path
from typing import Annotated

import msgspec

from harness import durable, opened, process

STALE_AFTER = 600.0
"""Seconds without a heartbeat after which another place's claim is taken over; at home a death is seen at once."""
BEAT_EVERY = 30.0
CLOCK_GOOD_FOR = 60.0
"""Seconds after which the file server's clock is read again; a heartbeat is never further ahead of it."""
MOST = 2**16
"""Bytes of a claim."""

Name = Annotated[str, msgspec.Meta(max_length=255)]


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """What a claim says: which process, since when."""

    host: Name
    pid: Annotated[int, msgspec.Meta(ge=1, le=process.LARGEST)]
    born: Name
    since: float
    token: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{16}\Z")]
    """Part of the name of its successor's file."""
    place: Name = ""
    """`process.PLACE`; empty in claims of earlier versions."""
    job: Name = ""
    """The SLURM job it runs in: ``cluster:123_4``; empty elsewhere."""
    restarts: int = 0
    """How often that job had been requeued."""

    @property
    def here(self) -> bool:
        """Of this place, and alive."""
        return self.place == process.PLACE and process.alive(self.pid, self.born)

    @property
    def readable(self) -> bool:
        return self.pid > 0


def unreadable(path: Path) -> Holder:
    """For a claim that says nothing: being written where files cannot be created whole, or damaged.

    Its token is that of its name, so that it can be succeeded like any other, and each only once.
    """
    token = hashlib.sha256(path.name.encode()).hexdigest()[:16]
    return Holder(host="", pid=0, born="", since=0.0, token=token)


def read(path: Path) -> Holder | None:
    """Who wrote the claim at `path`; None if there is none. Raises OSError for a folder that may not be looked into."""
    try:
        content = durable.read(path, MOST)  # opening asks the server: what a client remembers of the file may be old
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if not isinstance(error, opened.Unfit) and error.errno not in (errno.ESTALE, errno.EIO):
            path.lstat()
        return unreadable(path)
    try:
        return msgspec.json.decode(content, type=Holder)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return unreadable(path)


def lives(path: Path, held: Holder) -> bool:
    """Whether the writer `held` of the claim at `path` is still at it, as far as can be told from here."""
    if held.place == process.PLACE:
        return process.alive(held.pid, held.born)
    patience = STALE_AFTER
    if held.host == process.HOST:  # before this machine was last started; or a namesake, which would beat by now
        patience = min(STALE_AFTER, max(process.uptime(), 2 * BEAT_EVERY))
    try:
        return _silence(path) < patience
    except FileNotFoundError:
        return False
    except OSError as error:
        if error.errno != errno.ESTALE:
            raise
        return True  # just replaced: someone is at it


def _silence(path: Path) -> float:
    """Seconds since the last heartbeat."""
    try:
        handle = opened.descriptor(path, os.O_RDONLY)  # so that its times are the server's, not what was remembered
    except (PermissionError, opened.Unfit):
        status = path.lstat()
    else:
        status = os.fstat(handle)
        os.close(handle)
    now, beaten = _server_time(path.parent), status.st_mtime
    if beaten > now + CLOCK_GOOD_FOR:  # a time to come can be given to a file; when it was given cannot
        beaten = status.st_ctime
    return now - beaten


_clocks: dict[Path, tuple[float, float]] = {}
"""Folder of cells -> when its file server's clock was read, by our monotonic one, and how far that was ahead of it."""


def _server_time(folder: Path) -> float:
    """What the clock of the file server shows: the time it gives to a file made there now."""
    home = folder.parent
    read, ahead = _clocks.get(home, (float("-inf"), 0.0))
    now = time.monotonic()
    if now - read > CLOCK_GOOD_FOR:
        probe = durable.temporary(home / "clock")
        try:
            with opened.making(probe) as file:
                ahead = os.fstat(file.fileno()).st_mtime - now
        except OSError:  # only to be read: our own clock must do
            ahead = time.time() - now
        finally:
            with contextlib.suppress(OSError):
                probe.unlink()
        _clocks[home] = (now, ahead)
    return now + ahead
