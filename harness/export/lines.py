"""What a result comes to in CSV, as it was written last time: of a large store most of an export is not new.

Held to each result's file like all that an index says (`harness/store/index.py`), and kept beside that one.
"""

from __future__ import annotations

import contextlib
import os
import struct
import zlib
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, NamedTuple, Self

import msgspec

from harness import durable, opened
from harness.errors import UserError
from harness.spec import Cell
from harness.stats import Outcome
from harness.store import index, tidy
from harness.store.index import Sign
from harness.store.result import Result

MOST = 2**28
"""Bytes of lines that are kept: 256 MiB, of a hundred thousand results of twenty epochs."""
TAIL = 8
"""Bytes at the end of the file: how long that is which says where the lines of each result lie, before them."""


class Lines(NamedTuple):
    cell: bytes
    """The line of its cell up to the recipe."""
    summary: bytes
    """Its end: what came out."""
    epochs: bytes
    """A line each."""


def of(cell: Cell, outcome: Outcome) -> Lines:
    epochs = tidy.epochs(outcome) if isinstance(outcome, Result) else ()
    parts = (
        tidy.line(tidy.of_cell(cell)),
        tidy.line(tidy.summary(outcome)),
        "".join(f"{tidy.line(e)}\n" for e in epochs),
    )
    return Lines(*(part.encode() for part in parts))


class _Place(NamedTuple):
    """Where the lines of one result lie, where its summary and its epochs begin, how long all is, and its sum."""

    at: int
    summary: int
    epochs: int
    whole: int
    tally: int


_PLACE = struct.Struct("=5q")


class _Written(msgspec.Struct, array_like=True):
    head: str
    keys: bytes
    signs: bytes
    places: bytes


class _Directory:
    """Of a file of lines, at its end."""

    def __init__(self, said: _Written) -> None:
        """Raises ValueError where its columns do not fit together."""
        self.rows = index.rows(said.keys)
        self.signs, self._places = index.Column(said.signs, len(self.rows)), said.places
        if len(self._places) != _PLACE.size * len(self.rows):
            raise ValueError("not whole")

    def place(self, row: int) -> _Place:
        return _Place(*_PLACE.unpack_from(self._places, _PLACE.size * row))


class Kept:
    """A context; what was noted within it is kept at its end, where that is worth it."""

    _old: BinaryIO | None = None
    _new: BinaryIO | None = None

    def __init__(self, root: Path) -> None:
        self._path, self._head = index.place(root, "lines"), index.head(root)
        self._scratch = durable.temporary(self._path)
        self._known = _Directory(_Written("", b"", b"", b""))
        self._noted: dict[str, tuple[Sign, _Place]] = {}
        self._used: list[str] = []
        self._files = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.suppress(OSError, ValueError, msgspec.MsgspecError, UnicodeDecodeError):
            old = self._files.enter_context(opened.reading(self._path))
            self._known, self._old = _directory(old, self._head), old
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._files, contextlib.suppress(OSError, UserError):
            if kind is None and index.worth(len(self._noted), len(self._used)):
                self._finish()
        with contextlib.suppress(OSError):  # gone already, where it took the place of the old one, or was never made
            self._scratch.unlink()

    def lines(self, key: str, seen: Sign) -> Lines | None:
        """Of the result whose file has this sign; None if they are not known."""
        row = self._known.rows.get(key)
        if row is None or self._known.signs[row] != seen or (found := self._read(self._known.place(row))) is None:
            return None
        self._used.append(key)
        return found

    def note(self, key: str, seen: Sign, lines: Lines) -> None:
        """`seen`: the sign of its file before it was read, and after."""
        if index.settled(seen):
            with contextlib.suppress(OSError, UserError):
                self._add(key, seen, lines)

    def _read(self, place: _Place) -> Lines | None:
        found = os.pread(self._old.fileno(), place.whole, place.at) if self._old is not None else b""
        good = len(found) == place.whole and zlib.crc32(found) == place.tally
        summary, epochs = place.summary, place.epochs
        return Lines(found[:summary], found[summary:epochs], found[epochs:]) if good else None

    def _add(self, key: str, seen: Sign, lines: Lines) -> None:
        """Raises OSError, UserError."""
        if self._new is None:
            durable.make_folder(self._path.parent)
            durable.sweep(self._path.parent)
            self._new = self._files.enter_context(opened.making(self._scratch))
        whole, at = b"".join(lines), self._new.tell()
        if at + len(whole) <= MOST:
            self._new.write(whole)
            head = len(lines.cell)
            self._noted[key] = (seen, _Place(at, head, head + len(lines.summary), len(whole), zlib.crc32(whole)))

    def _finish(self) -> None:
        """With those of the old one that were good. Raises OSError, UserError."""
        assert self._new is not None
        for key in self._used:
            row = self._known.rows[key]
            if (found := self._read(self._known.place(row))) is not None:
                self._add(key, self._known.signs[row], found)
        signs = b"".join(seen for seen, _ in self._noted.values())
        places = b"".join(_PLACE.pack(*place) for _, place in self._noted.values())
        said = _Written(self._head, "".join(self._noted).encode(), signs, places)
        sealed = index.seal(msgspec.msgpack.encode(said))
        self._new.write(sealed + len(sealed).to_bytes(TAIL, "big"))
        self._new.flush()
        self._scratch.replace(self._path)


def _directory(file: BinaryIO, head: str) -> _Directory:
    """Where the lines of each result lie. Raises OSError, ValueError and what msgspec does."""
    end = file.seek(-TAIL, os.SEEK_END)
    long = int.from_bytes(file.read(TAIL), "big")
    file.seek(end - min(end, long))
    said = msgspec.msgpack.decode(index.unseal(file.read(min(end, long))), type=_Written)
    if said.head != head:
        raise ValueError("of another store, or by other code")
    return _Directory(said)
