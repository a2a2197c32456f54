"""The end of a log, whatever its size: read from behind, and never more than a few MiB of it."""

from __future__ import annotations

from pathlib import Path

from harness.errors import UserError

BLOCK = 1 << 16
MOST = 4 << 20
"""Bytes: a log may be one line of gigabytes, as a progress bar without a line feed leaves it."""


def tail(path: Path, lines: int) -> tuple[str, int]:
    """The last `lines` of a file, and its size; lines end as a terminal ends them. Raises UserError."""
    try:
        if not path.is_file():  # a pipe would be waited for
            raise FileNotFoundError(2, "no such file")
        with path.open("rb") as file:
            size = at = file.seek(0, 2)
            blocks: list[bytes] = []
            ends = 0
            while at > 0 and ends <= lines + len(blocks) and size - at < MOST:
                start = max(0, at - BLOCK)
                file.seek(start)
                blocks.append(block := file.read(at - start))
                ends += block.count(b"\n") + block.count(b"\r") - block.count(b"\r\n")
                at = start
    except OSError as error:
        raise UserError(f"cannot be read ({(error.strerror or str(error)).lower()})", str(path)) from None
    return b"".join(b"".join(reversed(blocks)).splitlines(keepends=True)[-lines:]).decode(errors="replace"), size


def added(path: Path, at: int) -> tuple[bytes, int]:
    """What a file holds after byte `at`, MOST at once, and where that ends; one that has shrunk is read anew."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(at if at <= size else 0)
            return file.read(MOST), file.tell()
    except OSError:
        return b"", at
