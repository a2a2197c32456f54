"""Plain text in columns, for terminals of any width and for pipes."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Sequence

from harness.printable import printable, shortened

WIDE = 10_000
"""Width of what is not a terminal: nothing is wrapped that `grep` or `cut` is to read."""
LONGEST = 2000
"""Characters of a cell: no sentence and no command of ours is longer, what a stranger's store says may be."""


def width() -> int:
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDE


def coloured() -> bool:
    """On a terminal, unless NO_COLOR is set; anywhere with FORCE_COLOR."""
    if os.environ.get("NO_COLOR"):
        return False
    return sys.stdout.isatty() or os.environ.get("FORCE_COLOR", "0") not in ("", "0")


def columns(rows: Sequence[Sequence[str]], *, within: int | None = None, indent: str = "") -> str:
    """Rows with their cells aligned; the last column wraps under itself where the terminal ends."""
    if not rows:
        return ""
    rows = [tuple(printable(shortened(cell, LONGEST)) for cell in row) for row in rows]
    sizes = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    before = len(indent) + sum(size + 2 for size in sizes)
    room = max(20, (within or width()) - before)
    lines = []
    for row in rows:
        head = indent + "".join(f"{cell:<{size}}  " for cell, size in zip(row, sizes, strict=False))
        first, *more = _wrapped(row[-1], room)
        lines += [(head + first).rstrip(), *(" " * before + line for line in more)]
    return "\n".join(lines)


def _wrapped(text: str, room: int) -> list[str]:
    if len(text) <= room:  # nearly all: wrapping takes its time
        return [text]
    return textwrap.wrap(text, room, break_on_hyphens=False) or [""]
