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
import struct
import time
from array import array
from collections.abc import Iterable
from pathlib import Path
from typing import Self

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


Sign = bytes
"""By which a file is known again: its size, the times of its last writing and its last change, its number."""
NONE: Sign = b""
_SIGN = struct.Struct("=4q")


def sign(path: str) -> Sign:
    """Of the file itself, not of what a link leads to."""
    try:
        found = os.lstat(path)
        return _SIGN.pack(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
    except (OSError, struct.error):
        return NONE


def settled(seen: Sign) -> bool:
    """Of a file that there is, and that was not changed just now."""
    if seen == NONE:
        return False
    _, written, changed, _ = _SIGN.unpack(seen)
    return time.time_ns() - max(written, changed) > SETTLED


class Column:
    """A sign a row."""

    def __init__(self, content: bytes, rows: int) -> None:
        """Raises ValueError for one of other rows."""
        if len(content) != rows * _SIGN.size:
            raise ValueError("not whole")
        self._content = content

    def __getitem__(self, row: int) -> Sign:
        return self._content[_SIGN.size * row : _SIGN.size * (row + 1)]


ABSENT = bytes(_SIGN.size)
"""In a column, of no file."""


class _Written(msgspec.Struct, array_like=True):
    """A column a field, as bytes of `array`: so a hundred thousand entries are loaded in a tenth of a second."""

    head: str
    keys: bytes
    kinds: tuple[bytes, ...]
    """Cells at seed 0, as JSON, each once."""
    kind: bytes
    seed: bytes
    cells: bytes
    """A `Sign` each."""
    results: bytes
    accuracy: bytes
    seconds: bytes


class Index:
    """Of the store at `root`: asked before a file is read, told after it was, and saved where that is worth it."""

    def __init__(self, root: Path) -> None:
        self._path, self._head = place(root, "cells"), head(root)
        self._cells: dict[str, tuple[Sign, Cell]] = {}
        """Noted since."""
        self._done: dict[str, tuple[Sign, Done]] = {}
        self._old = _Old.none()
        with contextlib.suppress(OSError, ValueError, msgspec.MsgspecError, UnicodeDecodeError):
            self._old = _Old.read(self._path, self._head)

    def cell(self, key: str, seen: Sign) -> Cell | None:
        """What the file with this sign said; None if that is not known."""
        if (row := self._old.rows.get(key)) is not None and self._old.cells[row] == seen:
            return self._old.cell(key, row)
        known, cell = self._cells.get(key, (NONE, None))
        return cell if known == seen else None

    def done(self, key: str, seen: Sign) -> Done | None:
        if (row := self._old.rows.get(key)) is not None and self._old.results[row] == seen:
            return Done(self._old.accuracy[row], self._old.seconds[row])
        known, done = self._done.get(key, (NONE, None))
        return done if known == seen else None

    def note_cell(self, key: str, seen: Sign, cell: Cell) -> None:
        """`seen`: the sign of its file before it was read, and after."""
        if settled(seen) and cell.key == key and -(2**63) <= cell.seed < 2**63 and _alike(cell):
            self._cells[key] = (seen, cell)

    def note_done(self, key: str, seen: Sign, result: Result) -> Done:
        done = Done(result.accuracy, result.seconds)
        if settled(seen) and result.cell.key == key:
            self._done[key] = (seen, done)
        return done

    def save(self, here: Iterable[str]) -> None:
        """If it can be, and there is enough news; of the cells that are still `here`."""
        if worth(len(self._cells) + len(self._done), len(self._old.rows)):
            said = self._columns(here)
            keep(self._path, seal(msgspec.msgpack.encode(said)))
            self._cells, self._done, self._old = {}, {}, _Old(said)

    def _columns(self, here: Iterable[str]) -> _Written:
        old, kinds = self._old, dict[Cell, int]()
        keys, kind, seeds, signs, results = [], array("q"), array("q"), [], []
        accuracy, seconds = array("d"), array("d")
        for key in here:
            row = old.rows.get(key)
            known, cell = self._cells.get(key) or (
                (old.cells[row], old.cell(key, row)) if row is not None else (NONE, None)
            )
            if cell is None:
                continue
            before = (
                (ABSENT, Done(0.0, 0.0))
                if row is None
                else (old.results[row], Done(old.accuracy[row], old.seconds[row]))
            )
            result, done = self._done.get(key, before)
            keys.append(key)
            kind.append(kinds.setdefault(cell.seedless, len(kinds)))
            seeds.append(cell.seed)
            signs.append(known)
            results.append(result)
            accuracy.append(done.accuracy)
            seconds.append(done.seconds)
        numbers = (kind.tobytes(), seeds.tobytes(), b"".join(signs), b"".join(results))
        found = tuple(map(msgspec.json.encode, kinds))
        return _Written(self._head, "".join(keys).encode(), found, *numbers, accuracy.tobytes(), seconds.tobytes())


class _Old:
    """An index as it was read: cells are made of it as they are asked for."""

    def __init__(self, said: _Written) -> None:
        """Raises ValueError where its columns do not fit together."""
        self.rows = rows(said.keys)
        count = len(self.rows)
        self.cells, self.results = Column(said.cells, count), Column(said.results, count)
        self.accuracy, self.seconds = numbers("d", said.accuracy, count), numbers("d", said.seconds, count)
        self._kind, self._seed = numbers("q", said.kind, count), numbers("q", said.seed, count)
        self._kinds = [msgspec.json.decode(kind, type=Cell) for kind in said.kinds]

    @classmethod
    def none(cls) -> Self:
        return cls(_Written("", b"", (), b"", b"", b"", b"", b"", b""))

    @classmethod
    def read(cls, path: Path, head: str) -> Self:
        """Raises OSError, ValueError and what msgspec does."""
        said = msgspec.msgpack.decode(unseal(durable.read(path, MOST)), type=_Written)
        return cls(said) if said.head == head else cls.none()

    def cell(self, key: str, row: int) -> Cell:
        kind = self._kinds[self._kind[row]]
        made = kind.throughout(seed=self._seed[row])
        made.__dict__["key"] = key  # as it was when it was noted: computing keys is what a large store's time goes into
        made.__dict__["seedless"] = kind
        return made


def rows(keys: bytes) -> dict[str, int]:
    """Key -> its row."""
    text = keys.decode()
    return {text[at : at + KEY]: at // KEY for at in range(0, len(text), KEY)}


def numbers(form: str, content: bytes, count: int) -> array:
    """A column of them. Raises ValueError for one of other rows."""
    found = array(form)
    found.frombytes(content)
    if len(found) != count:
        raise ValueError("not whole")
    return found


def worth(news: int, known: int) -> bool:
    """Whether so much was read that it should be written down."""
    return news >= max(WORTH, known // PART)


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
