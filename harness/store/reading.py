"""One record of the store from its file: what it says; or why it cannot be used, and whether it can be decoded at all.

What cannot be decoded, because it was cut off or overwritten, says nothing to anybody: it may be set aside for a new
one. All else is kept where it is, as another version, another user or another day may read it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeVar

import msgspec

from harness import durable
from harness.spec import Cell
from harness.store import plausible
from harness.store.probes import FILES, PROBE_VERSION, Landscape, Operations, Potentials, fingerprint
from harness.store.result import RESULT_VERSION, Failure, Progress, Result

Record = TypeVar("Record", Result, Failure, Progress, Cell, Landscape, Potentials, Operations)
Probe = TypeVar("Probe", Landscape, Potentials, Operations)

_RESULT = msgspec.json.Decoder(Result)
FAILURE = msgspec.json.Decoder(Failure)
PROGRESS = msgspec.json.Decoder(Progress)
CELL = msgspec.json.Decoder(Cell)
LANDSCAPE = msgspec.json.Decoder(Landscape)
POTENTIALS = msgspec.json.Decoder(Potentials)
OPERATIONS = msgspec.json.Decoder(Operations)

MOST_WEIGHTS = 2**34
"""Bytes: 16 GiB, four times a network of a thousand million parameters."""


class _Version(msgspec.Struct):
    version: int = 0


class Unread(Exception):
    """A file is there, and what it says is not to be used."""

    def __init__(self, what: str, *, damaged: bool = False) -> None:
        self.what, self.damaged = what, damaged
        super().__init__(what)


def record(path: Path | str, decoder: msgspec.json.Decoder[Record]) -> Record | None:
    """What the file says; None if there is none. Raises Unread."""
    content = _content(path)
    return None if content is None else _decoded(content, decoder)


def result(folder: Path | str, cell: Cell | None = None) -> Result | None:
    """That of the cell of `folder` (of `cell`, where the caller knows it); None if there is none. Raises Unread."""
    if (content := _content(f"{folder}/result.json")) is None:
        return None
    found = _decoded(content, _RESULT)
    if found.version > RESULT_VERSION:
        raise Unread(_newer(found.version))
    if found.cell != cell and found.cell.key != os.path.basename(folder):  # noqa: PTH119 - a string, ten thousand times
        raise Unread(f"holds the result of another cell ({found.cell.key})")
    try:
        why = plausible.objection_to(found, content)
    except UnicodeDecodeError as error:  # in a field that we do not know, and so did not read
        raise Unread(_damaged(error), damaged=True) from None
    if why:
        raise Unread(f"cannot be true: {why}")
    return found


def probe(folder: Path, name: str, decoder: msgspec.json.Decoder[Probe]) -> Probe | None:
    """What was computed of the weights that lie beside it; None if nothing was. Raises Unread."""
    if (found := record(folder / FILES[name], decoder)) is None:
        return None
    if found.version > PROBE_VERSION:
        raise Unread(_newer(found.version))
    if why := plausible.objection_to_probe(found):
        raise Unread(f"cannot be true: {why}")
    if not isinstance(found, Operations) and _fingerprint(folder) not in ("", found.weights):
        raise Unread("was computed from other weights than these")
    return found


def _content(path: Path | str) -> bytes | None:
    if os.path.islink(os.path.dirname(path)):  # noqa: PTH114, PTH120 - as above
        raise Unread("lies in a folder that is a link, which is not followed")
    try:
        return durable.read(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise Unread(f"cannot be read ({(error.strerror or str(error)).lower()})") from None


def _decoded(content: bytes, decoder: msgspec.json.Decoder[Record]) -> Record:
    try:
        return decoder.decode(content)
    except (msgspec.ValidationError, RecursionError) as error:
        raise Unread(_newer_than_ours(content) or f"is not understood ({str(error).lower()})") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unread(_damaged(error) if content else "is empty", damaged=True) from None


def _damaged(error: Exception) -> str:
    return f"is damaged ({str(error).lower()})"


def _newer_than_ours(content: bytes) -> str:
    try:
        version = msgspec.json.decode(content, type=_Version).version
    except (ValueError, RecursionError):
        return ""
    return _newer(version) if version > RESULT_VERSION else ""


def _newer(version: int) -> str:
    return f"was written by a newer version of the harness (format {version})"


def _fingerprint(folder: Path) -> str:
    """Of the weights; empty where they were not kept, or cannot be read."""
    try:
        return fingerprint(durable.read(folder / "weights.pt", most=MOST_WEIGHTS))
    except OSError:
        return ""
