"""Which results may be averaged, or held against each other: those of one key that were computed alike.

A key says what is computed. The bits depend on more: threads and processes, since they order the sums; what computes
the neurons; the version of torch; the kind of processor or GPU. No one of these is better than another, yet a mean over
two of them is a mean over two experiments, and a difference between two rows may be theirs. How much they matter was
measured: docs/identity.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from harness.store.result import Result

Environment = Mapping[str, Any]

ASPECTS: dict[str, Callable[[Environment], object]] = {
    "torch": lambda e: e.get("packages", {}).get("torch"),
    "device": lambda e: e.get("device"),
    "processor": lambda e: e.get("cpu") if e.get("device") == "cpu" else None,
    "instructions": lambda e: e.get("instructions") if e.get("device") == "cpu" else None,
    "threads": lambda e: e.get("threads") if e.get("device") == "cpu" else None,
    "processes": lambda e: e.get("processes"),
    "neurons": lambda e: e.get("neurons"),
    "convolutions": lambda e: e.get("convolutions"),
}
"""What changes bits, as a result's `environment` tells it; None where it does not, or where it changes none."""


def unlike(results: Iterable[object]) -> tuple[str, ...]:
    """What differs among the ways in which the finished of `results` were computed, their earlier attempts among them:
    ``threads 1 | 2``. What one does not tell is not held against it.
    """
    told = [environment for result in results if isinstance(result, Result) for environment in _of(result)]
    return tuple(_differences(told))


def _of(result: Result) -> tuple[Environment, ...]:
    return (*result.attempts, result.environment)


def _differences(told: list[Environment]) -> Iterator[str]:
    for name, aspect in ASPECTS.items():
        values = sorted({str(value) for environment in told if (value := aspect(environment)) is not None})
        if len(values) > 1:
            yield f"{name} {' | '.join(values)}"
