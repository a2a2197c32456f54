"""Who trains a cell: at most one process, on one or many machines, without file locks.

The holder is the end of a chain of files. `claim` holds a random token; should its writer die, its successor is whoever
creates `claim-<token>`, and so on. A file is created in one step and each name can be created once, so two takers never
both win. The holder ends the chain by removing `claim` first: a late taker of an ended chain then sees that its
link hangs in the air, and gives up.

A holder on this host is dead when its process is; one in a SLURM job that has begun again since, because SLURM ends a
job before it requeues it; any other after `STALE_AFTER` seconds without a heartbeat. Those are seconds of the
file server: the age of a heartbeat is the difference of two file times, so clocks that differ do no harm.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from harness import durable, process
from harness.process import HOST, alive, born

STALE_AFTER = 600.0
"""Seconds without a heartbeat after which another host's claim is taken over; at home a death is seen at once."""
BEAT_EVERY = 30.0
CLOCK_GOOD_FOR = 60.0
"""Seconds after which the file server's clock is read again."""


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """What a claim says: which process, since when."""

    host: str
    pid: int
    born: str
    since: float
    token: str
    job: str = ""
    """The SLURM job it runs in: ``cluster:123_4``; empty elsewhere."""
    restarts: int = 0
    """How often that job had been requeued."""

    @property
    def here(self) -> bool:
        """On this host, and alive."""
        return self.host == HOST and alive(self.pid, self.born)


UNREADABLE = Holder(host="", pid=0, born="", since=0.0, token="unreadable")
"""Whoever is just writing a claim, where files cannot be created whole."""


class Lost(Exception):
    """The claim is another's now."""


class Claim:
    """The right to train one cell. Keeps its heartbeat while entered as a context; leaving it gives the right back."""

    def __init__(self, path: Path, token: str) -> None:
        self._path, self._token = path, token
        self._stop = threading.Event()

    def beat(self) -> None:
        """Say that the holder lives. Raises Lost if another has the cell now: ours was silent for too long."""
        chain = _chain(self._path.parent)
        if chain and chain[-1][1].token not in (self._token, UNREADABLE.token):
            raise Lost(f"{chain[-1][1].host} has taken the cell over")
        try:
            os.utime(self._path)  # without times: the file server's clock, not ours
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ESTALE):
                raise

    def release(self) -> None:
        """Let others have the cell. Does nothing if the claim is not ours any more."""
        folder = self._path.parent
        chain = _chain(folder)
        if not chain or chain[-1][1].token != self._token:
            return
        for path, _ in chain:  # the root first: see above
            path.unlink(missing_ok=True)
        _unlink_strays(folder)

    def __enter__(self) -> Self:
        threading.Thread(target=self._beat_on, name="heartbeat", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self.release()

    def _beat_on(self) -> None:
        while not self._stop.wait(BEAT_EVERY):
            with contextlib.suppress(OSError, Lost):  # whoever calls `beat` hears of it
                self.beat()


def acquire(folder: Path) -> Claim | None:
    """The claim on the cell of `folder`, or None while another process that lives has it."""
    mine = Holder(
        host=HOST,
        pid=os.getpid(),
        born=born(os.getpid()),
        since=time.time(),
        token=secrets.token_hex(8),
        job=process.job(),
        restarts=process.restarts(),
    )
    return _take(folder, mine, lambda path, held: _succeeds(mine, held) or not _lives(path, held))


def holder(folder: Path) -> Holder | None:
    """The process that trains the cell of `folder` now, if one does."""
    chain = _chain(folder)
    return chain[-1][1] if chain and _lives(*chain[-1]) else None


def free(folder: Path, token: str) -> bool:
    """Free the cell of the holder with `token`, whose death is known by other means; False if another has it now."""
    mine = Holder(host=HOST, pid=os.getpid(), born=born(os.getpid()), since=time.time(), token=secrets.token_hex(8))
    taken = _take(folder, mine, lambda path, held: held.token == token)
    if taken is None:
        return False
    taken.release()
    return True


def owner(folder: Path) -> int | None:
    """User id of who made the claim on `folder`; None if there is none."""
    chain = _chain(folder)
    try:
        return chain[-1][0].stat().st_uid if chain else None
    except OSError:
        return None


def _take(folder: Path, mine: Holder, dead: Callable[[Path, Holder], bool]) -> Claim | None:
    """Become the end of the chain, if there is none or its end is `dead`."""
    chain = _chain(folder)
    if chain and not dead(*chain[-1]):
        return None
    path = folder / (f"claim-{chain[-1][1].token}" if chain else "claim")
    made = durable.create(path, msgspec.json.encode(mine))
    chain = _chain(folder)
    if chain and chain[-1][1].token == mine.token:  # asked of the files: an answer of the server may have been lost
        return Claim(path, mine.token)
    if made:
        path.unlink(missing_ok=True)
    return None


def _chain(folder: Path) -> list[tuple[Path, Holder]]:
    links: list[tuple[Path, Holder]] = []
    path = folder / "claim"
    while (held := _read(path)) is not None:
        links.append((path, held))
        path = folder / f"claim-{held.token}"
    return links


def _read(path: Path) -> Holder | None:
    try:
        content = durable.read(path)  # opening asks the server: what a client remembers of the file may be old
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno != errno.ESTALE:
            raise
        return UNREADABLE
    try:
        return msgspec.json.decode(content, type=Holder)
    except (msgspec.DecodeError, UnicodeDecodeError):  # no links here, caught between create and write
        return UNREADABLE


def _succeeds(mine: Holder, held: Holder) -> bool:
    """Whether `mine` is the same SLURM job, begun again. Two processes of one beginning are rivals like others."""
    return bool(mine.job) and mine.job == held.job and mine.restarts > held.restarts


def _lives(path: Path, held: Holder) -> bool:
    if held.host == HOST:
        return alive(held.pid, held.born)
    try:
        with path.open("rb") as file:  # opened, so that its time is the server's word and not what was remembered
            beaten = os.fstat(file.fileno()).st_mtime
    except FileNotFoundError:
        return False
    except OSError as error:
        if error.errno != errno.ESTALE:
            raise
        return True  # just replaced: someone is at it
    return _server_time(path.parent) - beaten < STALE_AFTER


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
            with probe.open("wb") as file:
                ahead = os.fstat(file.fileno()).st_mtime - now
        except OSError:  # only to be read: our own clock must do
            ahead = time.time() - now
        finally:
            with contextlib.suppress(OSError):
                probe.unlink()
        _clocks[home] = (now, ahead)
    return now + ahead


def _unlink_strays(folder: Path) -> None:
    """Links of chains that have ended. Listed before the walk: a link made since may be a good one."""
    links = set(folder.glob("claim-*"))
    for path in links - {path for path, _ in _chain(folder)}:
        path.unlink(missing_ok=True)
