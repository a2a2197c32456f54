"""Amounts as people write them: durations, sizes, counts, signs."""

from __future__ import annotations

GIB = 2**30
MINUS = "\N{MINUS SIGN}"


def duration(seconds: float) -> str:
    """``40 s``, ``3 min 20 s``, ``2 h 5 min``, ``3 d 4 h``."""
    whole = round(seconds)
    for big, small, size, part in (("d", "h", 86400, 3600), ("h", "min", 3600, 60), ("min", "s", 60, 1)):
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size} {big} {rest} {small}" if rest else f"{whole // size} {big}"
    return f"{whole} s"


def memory(size: int) -> str:
    """Bytes: ``0.5 GiB``, ``120 GiB``."""
    gib = size / GIB
    return f"{gib:.1f} GiB" if gib < 100 else f"{gib:.0f} GiB"


def count(number: int, noun: str) -> str:
    """``1 cell``, ``3 cells``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def signed(value: float) -> str:
    """``+1.50``, with a minus sign that is as wide."""
    return f"{value:+.2f}".replace("-", MINUS)
