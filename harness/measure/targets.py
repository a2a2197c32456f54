"""Targets of a bench beside its timings: met, missed, or not to be told from this run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from harness.measure.spec import CONTROL, Met, Target, Timing


def met(targets: Iterable[Target], timings: Sequence[Timing], threads: int | None = None) -> Iterator[Met]:
    """One for every target whose setting, subject and reference are among `timings`, by the clock that comes first.

    `threads`: of the run; None on a GPU, where they say nothing.
    """
    for target in (one for one in targets if None in (threads, one.threads) or threads == one.threads):
        for timing in timings:
            if timing.clock == timings[0].clock and _speaks_of(target, timing):
                value, low, high = _measured(target, timing, timings)
                verdict = _verdict(target, low, high)
                yield Met(target=target, measured=value, low=low, high=high, verdict=verdict)


def _speaks_of(target: Target, timing: Timing) -> bool:
    names = ("method", "architecture", "width", "timesteps", "batch")
    same = all(getattr(target, name) == getattr(timing.setting, name) for name in names)
    return same and (timing.subject, timing.reference) == (target.subject, target.reference)


def _measured(target: Target, timing: Timing, timings: Sequence[Timing]) -> tuple[float, float, float]:
    if target.of == "speed":
        return 1 / timing.ratio, 1 / timing.high, 1 / timing.low
    if target.of == "time":
        return timing.ratio, timing.low, timing.high
    base = next(
        t.figures[target.of]
        for t in timings
        if t.setting == timing.setting and t.subject == timing.reference and t.subject != CONTROL
    )
    share = timing.figures[target.of] / base
    return share, share, share


def _verdict(target: Target, low: float, high: float) -> Literal["met", "missed", "cannot tell"]:
    """By the whole interval: where it holds the target, this run cannot tell."""
    at_least, at_most = target.at_least or 0.0, float("inf") if target.at_most is None else target.at_most
    if at_least <= low and high <= at_most:
        return "met"
    return "missed" if high < at_least or low > at_most else "cannot tell"
