"""A sample as text: a number with its spread, what was measured over how many seeds, a difference with its interval."""

from __future__ import annotations

from collections.abc import Sequence

from harness.amounts import MINUS
from harness.stats import Sample


def number(mean: float | None, std: float | None) -> str:
    if mean is None:
        return "–"
    return f"{mean:.2f}" if std is None else f"{mean:.2f}±{std:.2f}"


def measured(spread: Sample, asked: int) -> str:
    """``91.20±0.31 (3)``, ``90.10 (1 of 3)`` where seeds are missing."""
    if spread.n == 0:
        return "–"
    n = f"{spread.n}" if spread.n == asked else f"{spread.n} of {asked}"
    return f"{number(spread.mean, spread.std)} ({n})"


def apart(spread: Sample, unlike: Sequence[str]) -> str:
    """``+0.42 [−1.10, +1.94]``, without an interval where there is a single pair."""
    if spread.mean is None:
        return "unlike runs" if unlike else "–"
    if spread.interval is None:
        return f"{spread.mean:+.2f}".replace("-", MINUS)
    low, high = spread.interval
    return f"{spread.mean:+.2f} [{low:+.2f}, {high:+.2f}]".replace("-", MINUS)
