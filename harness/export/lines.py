"""What a result comes to in CSV, as it was written last time: of a large store most of an export is not new.

Held to each result's file like all that an index says (`harness/store/index.py`), and kept beside that one.
"""

from __future__ import annotations

import contextlib
import os
import zlib
from array import array
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, NamedTuple, Self

import msgspec

from harness import durable, opened
from harness.errors import UserError
from harness.store import index, tidy
from harness.store.index import NONE, Sign
from harness.store.result import Result

MOST = 2**28
"""Bytes of lines that are kept: 256 MiB, of a hundred thousand results of twenty epochs."""
TAIL = 8
"""Bytes at the end of the file: how long that is which says where the lines of each result lie, before them."""


class Lines(NamedTuple):
    cell: bytes
    """The end of the line of its cell: what came out."""
    epochs: bytes
    """A line each."""


def of(result: Result) -> Lines:
    epochs = "".join(f"{tidy.line(row)}\n" for row in tidy.epochs(result))
    return Lines(tidy.line(tidy.summary(result)).encode(), epochs.encode())


class _Place(NamedTuple):
    """Where the lines of one result lie, how long they are, and their sum."""

    at: int
    cell: int
    whole: int
    tally: int


class _Written(msgspec.Struct, array_like=True):
    head: str
    keys: bytes
    numbers: bytes
    """Those of `Sign` and of `_Place`."""


class Kept:
    """A context; what was noted within it is kept at its end, where that is worth it."""

    def __init__(self, root: Path) -> None:
        self._path, self._head = index.place(root, "lines"), index.head(root)
        self._scratch = durable.temporary(self._path)
        self._known: dict[str, tuple[Sign, _Place]] = {}
        self._noted: dict[str, tuple[Sign, _Place]] = {}
        self._used: list[str] = []
        self._files = contextlib.ExitStack()
        self._old = self._new = None

    _old: BinaryIO | None
    _new: BinaryIO | None

    def __enter__(self) -> Self:
        with contextlib.suppress(OSError, ValueError, msgspec.MsgspecError, UnicodeDecodeError):
            old = self._files.enter_context(opened.reading(self._path))
            self._known, self._old = _directory(old, self._head), old
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._files, contextlib.suppress(OSError, UserError):
            if kind is None and len(self._noted) >= max(index.WORTH, len(self._used) // index.PART):
                self._finish()
        with contextlib.suppress(OSError):  # gone already, where it took the place of the old one, or was never made
            self._scratch.unlink()

    def lines(self, key: str, seen: Sign) -> Lines | None:
        """Of the result whose file has this sign; None if they are not known."""
        known, place = self._known.get(key, (NONE, None))
        if place is None or known != seen or (found := self._read(place)) is None:
            return None
        self._used.append(key)
        return Lines(found[: place.cell], found[place.cell :])

    def note(self, key: str, seen: Sign, lines: Lines) -> None:
        """`seen`: the sign of its file before it was read, and after."""
        if seen.fit:
            with contextlib.suppress(OSError, UserError):
                self._add(key, seen, lines)

    def _read(self, place: _Place) -> bytes | None:
        found = os.pread(self._old.fileno(), place.whole, place.at) if self._old is not None else b""
        return found if len(found) == place.whole and zlib.crc32(found) == place.tally else None

    def _add(self, key: str, seen: Sign, lines: Lines) -> None:
        """Raises OSError, UserError."""
        if self._new is None:
            durable.make_folder(self._path.parent)
            durable.sweep(self._path.parent)
            self._new = self._files.enter_context(opened.making(self._scratch))
        whole, at = lines.cell + lines.epochs, self._new.tell()
        if at + len(whole) <= MOST:
            self._new.write(whole)
            self._noted[key] = (seen, _Place(at, len(lines.cell), len(whole), zlib.crc32(whole)))

    def _finish(self) -> None:
        """With those of the old one that were good. Raises OSError, UserError."""
        assert self._new is not None
        for key in self._used:
            seen, place = self._known[key]
            if (found := self._read(place)) is not None:
                self._add(key, seen, Lines(found[: place.cell], found[place.cell :]))
        numbers = array("q", [number for seen, place in self._noted.values() for number in (*seen, *place)])
        said = _Written(self._head, "".join(self._noted).encode(), numbers.tobytes())
        sealed = index.seal(msgspec.msgpack.encode(said))
        self._new.write(sealed + len(sealed).to_bytes(TAIL, "big"))
        self._new.flush()
        self._scratch.replace(self._path)


def _directory(file: BinaryIO, head: str) -> dict[str, tuple[Sign, _Place]]:
    """Where the lines of each result lie. Raises OSError, ValueError and what msgspec does."""
    end = file.seek(-TAIL, os.SEEK_END)
    long = int.from_bytes(file.read(TAIL), "big")
    file.seek(end - min(end, long))
    said = msgspec.msgpack.decode(index.unseal(file.read(min(end, long))), type=_Written)
    if said.head != head:
        return {}
    text, numbers = said.keys.decode(), array("q", said.numbers)
    found = {}
    for number, at in enumerate(range(0, len(text), index.KEY)):
        each = numbers[8 * number : 8 * number + 8]
        found[text[at : at + index.KEY]] = (Sign(*each[:4]), _Place(*each[4:]))
    return found
