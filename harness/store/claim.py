"""Who trains a cell: at most one process, on one or many machines, without file locks.

The holder is the end of a chain of files. `claim` holds a random token; should its writer die, its successor is whoever
creates `claim-<token>`, and so on. A file is created in one step and each name can be created once, so two takers never
both win. The holder ends the chain by removing `claim` first: a late taker of an ended chain then sees that its
link hangs in the air, and gives up.

A result is committed in the same way: it is created under the name that a successor's claim would have, which fails if
there is one, and keeps others from being it; then it is renamed.

A holder in a SLURM job that has begun again since is dead, because SLURM ends a job before it requeues it; of any
other `holder.lives` tells.
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
from harness.store.holder import BEAT_EVERY, Holder, lives, read, unreadable

Chain = list[tuple[Path, Holder]]


class Lost(Exception):
    """The claim is another's now."""


class Claim:
    """The right to train one cell. Keeps its heartbeat while entered as a context; leaving it gives the right back."""

    def __init__(self, path: Path, token: str) -> None:
        self._path, self._token = path, token
        self._stop = threading.Event()

    @property
    def folder(self) -> Path:
        """Of the cell."""
        return self._path.parent

    def beat(self) -> None:
        """Say that the holder lives. Raises Lost if another has, or had, the cell: ours was silent for too long."""
        chain = _chain(self.folder)
        end = chain[-1][1] if chain else None
        if end is None or (end.readable and end.token != self._token):
            raise Lost(f"{end.host} has taken the cell over" if end is not None else "another has had the cell since")
        try:
            os.utime(self._path, follow_symlinks=False)  # without times: the file server's clock, not ours
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ESTALE):
                raise

    def commit(self, path: Path, content: bytes) -> bool:
        """Make `content` the file `path` of the cell; False if it is there. Raises Lost if another has the cell."""
        seal = _successor(self.folder, self._token)
        if not durable.create(seal, content):
            raise Lost("another has taken the cell over")
        if _chain(self.folder)[-1:] != [(seal, unreadable(seal))]:
            seal.unlink(missing_ok=True)
            raise Lost("another has had the cell since")
        return durable.promote(seal, path)

    def release(self) -> None:
        """Let others have the cell. Does nothing if the claim is not ours any more."""
        chain = _chain(self.folder)
        if not chain or chain[-1][1].token != self._token:
            return
        for path, _ in chain:  # the root first: see above
            _remove(path)
        _unlink_strays(self.folder)

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
    """The claim on the cell of `folder`, or None while another process that lives has it. Raises UserError."""
    with durable.explained(folder):
        return _take(folder, _me(), lambda path, held: _succeeds(held) or not lives(path, held))


def holder(folder: Path) -> Holder | None:
    """The process that trains the cell of `folder` now, if one does, and we may know."""
    try:
        chain = _chain(folder)
        return chain[-1][1] if chain and lives(*chain[-1]) else None
    except OSError:
        return None


def free(folder: Path, token: str) -> bool:
    """Free the cell of the holder with `token`, whose death is known by other means; False if another has it now."""
    taken = _take(folder, _me(), lambda path, held: held.token == token)
    if taken is None:
        return False
    taken.release()
    return True


def owner(folder: Path) -> int | None:
    """User id of who made the claim on `folder`; None if there is none."""
    try:
        chain = _chain(folder)
        return chain[-1][0].lstat().st_uid if chain else None
    except OSError:
        return None


def _me() -> Holder:
    pid = os.getpid()
    return Holder(
        host=process.HOST[:255],
        pid=pid,
        born=process.born(pid),
        since=time.time(),
        token=secrets.token_hex(8),
        place=process.PLACE,
        job=process.job(),
        restarts=process.restarts(),
    )


def _take(folder: Path, mine: Holder, dead: Callable[[Path, Holder], bool]) -> Claim | None:
    """Become the end of the chain, if there is none or its end is `dead`."""
    chain = _chain(folder)
    if chain and not dead(*chain[-1]):
        return None
    path = _successor(folder, chain[-1][1].token) if chain else folder / "claim"
    made = durable.create(path, msgspec.json.encode(mine))
    chain = _chain(folder)
    if chain and chain[-1][1].token == mine.token:  # asked of the files: an answer of the server may have been lost
        return Claim(path, mine.token)
    if made:
        path.unlink(missing_ok=True)
    return None


def _chain(folder: Path) -> Chain:
    """From the root to its end. A link whose successor came before it says nothing: every file is in it once."""
    links: Chain = []
    known, path = set[Path](), folder / "claim"
    while (held := read(path)) is not None:
        known.add(path)
        while (after := _successor(folder, held.token)) in known:
            held = unreadable(path if held.readable else path.with_name(held.token))
        links.append((path, held))
        path = after
    return links


def _successor(folder: Path, token: str) -> Path:
    return folder / f"claim-{token}"


def _succeeds(held: Holder) -> bool:
    """Whether we are the same SLURM job, begun again. Two processes of one beginning are rivals like others."""
    job = process.job()
    return bool(job) and job == held.job and process.restarts() > held.restarts


def _unlink_strays(folder: Path) -> None:
    """Links of chains that have ended. Listed before the walk: a link made since may be a good one."""
    links = set(folder.glob("claim-*"))
    for path in links - {path for path, _ in _chain(folder)}:
        _remove(path)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except (IsADirectoryError, PermissionError):  # nothing of ours
        with contextlib.suppress(OSError):
            path.rmdir()
