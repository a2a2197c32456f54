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
            _check_end(file, archive.offset)
    except tarfile.TarError as problem:
        raise UserError(f"damaged archive ({problem})", str(file), "copy it again from the source") from None


def _check_end(file: Path, at: int) -> None:
    """Raise ReadError unless nothing but zeros follows, a block of them at least: what ends an archive.

    tarfile stops where a header should be and is none, be it cut, damaged or the end.
    """
    with file.open("rb") as stream:
        stream.seek(at)
        rest = stream.read(tarfile.BLOCKSIZE)
        if len(rest) < tarfile.BLOCKSIZE:
            raise tarfile.ReadError("ends without its end mark: cut between two members")
        while rest:
            if rest.strip(b"\0"):
                raise tarfile.ReadError(f"rubbish, or a second archive, from byte {at} on")
            rest = stream.read(1 << 20)


def member_at(file: Path, offset: int) -> str:
    """Its name, from the header before it; `byte N` where that cannot be told."""
    try:
        with file.open("rb") as stream:
            stream.seek(offset - tarfile.BLOCKSIZE)
            return tarfile.TarInfo.frombuf(stream.read(tarfile.BLOCKSIZE), "utf-8", "surrogateescape").name
    except (OSError, tarfile.TarError):
        return f"byte {offset}"
