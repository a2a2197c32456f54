"""A training log of whatever kind, as one thing: accuracies by epoch, and what else it happens to say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

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
    first: int = 0
    """The number of its first epoch, as it stands there: a run that was resumed may begin late."""
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
        """Counted from 1, whatever the log counts from."""
        return self.begins + self.accuracy.index(self.best) + 1

    @property
    def begins(self) -> int:
        """Epochs that came before it and are not in it; a log that counts from 1 lacks none."""
        return self.first if self.first > 1 else 0

    @property
    def last(self) -> float:
        return self.accuracy[-1]

    @property
    def running_best(self) -> bool:
        """Whether the accuracy never falls: then it is the best so far that was logged, and no curve."""
        rising = all(b >= a for a, b in zip(self.accuracy, self.accuracy[1:], strict=False))
        return rising and self.epochs >= 20


def percent(values: Sequence[float]) -> tuple[float, ...]:
    """Of shares, or of percent as they are."""
    return tuple(100 * value for value in values) if values and max(values) <= 1 else tuple(values)


def by_epoch(pairs: Sequence[tuple[int, float]]) -> tuple[float, ...]:
    """(epoch, value) in the order of the log -> a value an epoch; of one that was written twice the later counts."""
    found = dict(pairs[:LONGEST])
    return tuple(found[epoch] for epoch in sorted(found))


def earliest(pairs: Sequence[tuple[int, float]]) -> int:
    return min((epoch for epoch, _ in pairs), default=0)
