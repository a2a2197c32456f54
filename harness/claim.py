"""Who trains a cell: at most one process, on one or many machines, without file locks.

The holder is the end of a chain of files. `claim` holds a random token; should its writer die, its successor is whoever
creates `claim-<token>`, and so on. A file is created in one step and each name can be created once, so two takers never
both win. The holder ends the chain by removing `claim` first: a late taker of an ended chain then sees that its
link hangs in the air, and gives up.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from harness import durable
from harness.process import HOST, alive, born

STALE_AFTER = 600.0
"""Seconds without a heartbeat after which another host's claim is taken over; at home a death is seen at once."""
BEAT_EVERY = 30.0


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """What a claim says: which process, since when."""

    host: str
    pid: int
    born: str
    since: float
    token: str


class Claim:
    """The right to train one cell. Keeps its heartbeat while entered as a context; leaving it gives the right back."""

    def __init__(self, path: Path, token: str) -> None:
        self._path, self._token = path, token
        self._stop = threading.Event()

    def beat(self) -> None:
        """Say that the holder lives. A claim that is gone (taken over after a long silence) is let go."""
        with contextlib.suppress(FileNotFoundError):
            os.utime(self._path)

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
            with contextlib.suppress(OSError):
                self.beat()


def acquire(folder: Path) -> Claim | None:
    """The claim on the cell of `folder`, or None while another process that lives has it."""
    chain = _chain(folder)
    if chain and _lives(*chain[-1]):
        return None
    mine = Holder(host=HOST, pid=os.getpid(), born=born(os.getpid()), since=time.time(), token=secrets.token_hex(8))
    path = folder / (f"claim-{chain[-1][1].token}" if chain else "claim")
    if not durable.create(path, msgspec.json.encode(mine)):
        return None
    chain = _chain(folder)
    if not chain or chain[-1][1].token != mine.token:
        path.unlink(missing_ok=True)
        return None
    return Claim(path, mine.token)


def holder(folder: Path) -> Holder | None:
    """The process that trains the cell of `folder` now, if one does."""
    chain = _chain(folder)
    return chain[-1][1] if chain and _lives(*chain[-1]) else None


def _chain(folder: Path) -> list[tuple[Path, Holder]]:
    links: list[tuple[Path, Holder]] = []
    path = folder / "claim"
    while (held := _read(path)) is not None:
        links.append((path, held))
        path = folder / f"claim-{held.token}"
    return links


def _read(path: Path) -> Holder | None:
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        return msgspec.json.decode(content, type=Holder)
    except (msgspec.DecodeError, UnicodeDecodeError):  # a file system without links, caught between create and write
        return Holder(host="", pid=0, born="", since=0.0, token="unreadable")


def _lives(path: Path, held: Holder) -> bool:
    if held.host == HOST:
        return alive(held.pid, held.born)
    try:
        return time.time() - path.stat().st_mtime < STALE_AFTER
    except FileNotFoundError:
        return False


def _unlink_strays(folder: Path) -> None:
    """Links of chains that have ended. Listed before the walk: a link made since may be a good one."""
    links = set(folder.glob("claim-*"))
    for path in links - {path for path, _ in _chain(folder)}:
        path.unlink(missing_ok=True)
