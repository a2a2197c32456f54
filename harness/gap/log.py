"""A training log of whatever kind, as one thing: accuracies by epoch, and what else it happens to say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness import opened
from harness.errors import UserError

MOST = 256 * 2**20
"""Bytes of a log that are read."""
LONGEST = 10**6
"""Epochs."""


@dataclass(frozen=True, kw_only=True)
class Log:
    """Percent, an entry an epoch; what the log does not have is empty or None."""

    kind: str
    accuracy: tuple[float, ...]
    """On the test set."""
    train_accuracy: tuple[float, ...] = ()
    rates: tuple[float, ...] = ()
    batches: int | None = None
    """Steps of the optimiser in an epoch."""
    timesteps: int | None = None
    columns: dict[str, str] = field(default_factory=dict)
    """Quantity -> what it is called in the log."""

    @property
    def epochs(self) -> int:
        return len(self.accuracy)

    @property
    def best(self) -> float:
        return max(self.accuracy)

    @property
    def best_epoch(self) -> int:
        """Counted from 1."""
        return self.accuracy.index(self.best) + 1

    @property
    def last(self) -> float:
        return self.accuracy[-1]

    @property
    def running_best(self) -> bool:
        """Whether the accuracy never falls: then it is the best so far that was logged, and no curve."""
        rising = all(b >= a for a, b in zip(self.accuracy, self.accuracy[1:], strict=False))
        return rising and self.epochs >= 20


Reader = Callable[[bytes, Path, str], Log]


def read(path: Path, pattern: str = "") -> Log:
    """A CSV, a TensorBoard event file, or text. Raises UserError for what is none of them, or has no accuracy."""
    from harness.gap import events, table, text

    content = opened.read(path, MOST)
    if events.looks_like(content):
        log = events.read(content, path)
    elif pattern or path.suffix.lower() not in (".csv", ".tsv"):
        log = text.read(_decoded(content, path), path, pattern)
    else:
        log = table.read(_decoded(content, path), path)
    _check(log, path)
    return log


def _decoded(content: bytes, path: Path) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UserError("is no text, and no TensorBoard event file", str(path), "give a log") from None


def _check(log: Log, path: Path) -> None:
    if not log.accuracy:
        raise UserError("has no test accuracy", str(path), "say where with --pattern, or name its column test_accuracy")
    for value in (*log.accuracy, *log.train_accuracy):
        if not 0 <= value <= 100:
            raise UserError(
                f"has an accuracy of {value:g}", str(path), "percent or shares are read, 0 to 100 or 0 to 1"
            )


def percent(values: Sequence[float]) -> tuple[float, ...]:
    """Of shares, or of percent as they are."""
    return tuple(100 * value for value in values) if values and max(values) <= 1 else tuple(values)


def by_epoch(pairs: Sequence[tuple[int, float]]) -> tuple[float, ...]:
    """(epoch, value) in the order of the log -> a value an epoch; of one that was written twice the later counts."""
    found = dict(pairs[:LONGEST])
    return tuple(found[epoch] for epoch in sorted(found))
