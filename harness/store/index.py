"""What the records of a large store said when they were last read, so that a hundred thousand files are not read again.

Never believed over a file: what it says of one counts only while that has the size, the number and the times of its
last writing and last change that it had when it was read, and no link has come before it. It lies in a cache of the
user's own, so no store that somebody sent can bring one; whatever is wrong with it - cut off, of another store, of
other code - it is as if there were none. Safe to delete at any time.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import time
from array import array
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import msgspec

from baselines import caches
from harness import durable
from harness.errors import UserError
from harness.spec import Cell
from harness.store.result import Done, Result

WORTH = 256
"""Files that had to be read, from which on it is worth to write down what they said; small stores have no index."""
PART = 50
"""And one in so many of those that are known."""
SETTLED = 2_000_000_000
"""Nanoseconds: a file that was changed so lately may be changed again without its times showing it (as Git has it)."""
MOST = 2**30
"""Bytes of an index."""
KEY = 16
"""Letters of a key."""
TALLY = 16
"""Bytes of the sum over all of it."""
CODE = ("spec.py", "printable.py", "store", "export/lines.py")
"""What decides what is written: an index of other code is none."""


class Sign(NamedTuple):
    """By which a file is known again."""

    size: int
    written: int
    changed: int
    number: int

    @property
    def fit(self) -> bool:
        """To be relied on: of a file that there is, and that was not changed just now."""
        settled = time.time_ns() - max(self.written, self.changed) > SETTLED
        return self != NONE and settled and all(-(2**63) <= part < 2**63 for part in self)


NONE = Sign(-1, 0, 0, 0)
"""Of no file."""


def sign(path: str) -> Sign:
    """Of the file itself, not of what a link leads to; `NONE` where none can be seen."""
    try:
        found = os.lstat(path)
    except OSError:
        return NONE
    return Sign(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


class _Written(msgspec.Struct, array_like=True):
    """A column a field, as bytes of `array`: so a hundred thousand entries are loaded in a tenth of a second."""

    head: str
    keys: bytes
    kinds: tuple[bytes, ...]
    """Cells at seed 0, as JSON, each once."""
    kind: bytes
    seed: bytes
    cells: bytes
    """Four numbers of `Sign` each."""
    results: bytes
    accuracy: bytes
    seconds: bytes


class Index:
    """Of the store at `root`: asked before a file is read, told after it was, and saved where that is worth it."""

    def __init__(self, root: Path) -> None:
        self._path, self._head = place(root, "cells"), head(root)
        self._cells: dict[str, tuple[Sign, Cell]] = {}
        self._done: dict[str, tuple[Sign, Done]] = {}
        self._news = 0
        with contextlib.suppress(OSError, ValueError, msgspec.MsgspecError, UnicodeDecodeError, IndexError):
            self._load()

    def cell(self, key: str, seen: Sign) -> Cell | None:
        """What the file with this sign said; None if that is not known."""
        known, cell = self._cells.get(key, (NONE, None))
        return cell if known == seen else None

    def done(self, key: str, seen: Sign) -> Done | None:
        known, done = self._done.get(key, (NONE, None))
        return done if known == seen else None

    def note_cell(self, key: str, seen: Sign, cell: Cell) -> None:
        """`seen`: the sign of its file before it was read, and after."""
        if seen.fit and cell.key == key and -(2**63) <= cell.seed < 2**63 and _alike(cell):
            self._cells[key] = (seen, cell)
            self._news += 1

    def note_done(self, key: str, seen: Sign, result: Result) -> Done:
        done = Done(result.accuracy, result.seconds)
        if seen.fit and result.cell.key == key:
            self._done[key] = (seen, done)
            self._news += 1
        return done

    def save(self, here: Iterable[str]) -> None:
        """If it can be, and there is enough news; of the cells that are still `here`."""
        if self._news < max(WORTH, len(self._cells) // PART):
            return
        keys = [key for key in here if key in self._cells]
        keep(self._path, seal(msgspec.msgpack.encode(self._columns(keys))))
        self._news = 0

    def _columns(self, keys: list[str]) -> _Written:
        kinds: dict[Cell, int] = {}
        kind = array("q", [kinds.setdefault(self._cells[key][1].throughout(seed=0), len(kinds)) for key in keys])
        done = [self._done.get(key, (NONE, Done(0.0, 0.0))) for key in keys]
        return _Written(
            head=self._head,
            keys="".join(keys).encode(),
            kinds=tuple(map(msgspec.json.encode, kinds)),
            kind=kind.tobytes(),
            seed=array("q", [self._cells[key][1].seed for key in keys]).tobytes(),
            cells=array("q", [part for key in keys for part in self._cells[key][0]]).tobytes(),
            results=array("q", [part for sign, _ in done for part in sign]).tobytes(),
            accuracy=array("d", [one.accuracy for _, one in done]).tobytes(),
            seconds=array("d", [one.seconds for _, one in done]).tobytes(),
        )

    def _load(self) -> None:
        """Raises OSError, ValueError, IndexError and what msgspec does."""
        said = msgspec.msgpack.decode(unseal(durable.read(self._path, MOST)), type=_Written)
        if said.head != self._head:
            return
        text = said.keys.decode()
        keys = [text[at : at + KEY] for at in range(0, len(text), KEY)]
        kinds = [msgspec.json.decode(kind, type=Cell) for kind in said.kinds]
        cells, done = {}, {}
        columns = (_whole("q", said.kind), _whole("q", said.seed), _signs(said.cells), _signs(said.results))
        more = (_whole("d", said.accuracy), _whole("d", said.seconds))
        for key, kind, seed, cell, result, accuracy, seconds in zip(keys, *columns, *more, strict=True):
            made = kinds[kind].throughout(seed=seed)
            made.__dict__["key"] = (
                key  # as it was when it was noted: computing it is what a large store's time goes into
            )
            cells[key] = (cell, made)
            if result != NONE:
                done[key] = (result, Done(accuracy, seconds))
        self._cells, self._done = cells, done


def place(root: Path, name: str) -> Path:
    """Where the index of the store at `root` lies, whether or not it is there."""
    own = hashlib.sha256(os.path.realpath(root).encode(errors="surrogateescape")).hexdigest()[:16]
    return caches.folder() / "snn-index" / f"{own}.{name}"


def head(root: Path) -> str:
    """What an index begins with: whose it is, and by which code."""
    return f"{os.path.realpath(root)!a} {_code()}"


def seal(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=TALLY).digest() + content


def unseal(content: bytes) -> bytes:
    """Raises ValueError for what was cut off, or written over."""
    whole = content[TALLY:]
    if content[:TALLY] != hashlib.blake2b(whole, digest_size=TALLY).digest():
        raise ValueError("not whole")
    return whole


def keep(path: Path, content: bytes) -> None:
    """In one step, if it can be kept: of two who write at once the last one's stays, and both are right."""
    with contextlib.suppress(UserError, OSError):
        durable.make_folder(path.parent)
        durable.sweep(path.parent)
        durable.write(path, content, fsync=False)


@functools.cache
def _code() -> str:
    found, here = hashlib.sha256(), Path(__file__).parents[1]
    for path in (part for name in CODE for part in sorted((here / name).glob("*.py")) or [here / name]):
        found.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()[:32]


def _alike(cell: Cell) -> bool:
    """Whether all that it begins from has its seed: then that tells it from others of its kind."""
    return all(one.seed == cell.seed for one in cell.lineage)


def _whole(form: str, column: bytes) -> array:
    found = array(form)
    found.frombytes(column)
    return found


def _signs(column: bytes) -> list[Sign]:
    numbers = iter(_whole("q", column))
    return list(map(Sign, numbers, numbers, numbers, numbers))
