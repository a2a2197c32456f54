"""Tar archives read in place: an index of their members once, then single stretches of bytes."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from harness.errors import UserError


class Member(NamedTuple):
    name: str
    offset: int
    size: int


def members(file: Path) -> Iterator[Member]:
    """The files in an uncompressed tar. Raises UserError for a damaged or cut one."""
    length = file.stat().st_size
    try:
        with tarfile.open(file, "r:") as archive:
            for entry in archive:
                if entry.isfile():
                    if entry.offset_data + entry.size > length:
                        raise tarfile.ReadError(f"ends in the middle of {entry.name}")
                    yield Member(entry.name, entry.offset_data, entry.size)
    except tarfile.TarError as problem:
        raise UserError(f"damaged archive ({problem})", str(file), "copy it again from the source") from None


def member_at(file: Path, offset: int) -> str:
    """Its name, from the header before it; `byte N` where that cannot be told."""
    try:
        with file.open("rb") as stream:
            stream.seek(offset - tarfile.BLOCKSIZE)
            return tarfile.TarInfo.frombuf(stream.read(tarfile.BLOCKSIZE), "utf-8", "surrogateescape").name
    except (OSError, tarfile.TarError):
        return f"byte {offset}"
