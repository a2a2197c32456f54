"""Pieces of work timed side by side: interleaved, shuffled in every round, in one process, against one reference.

The ratio of two medians carries a bootstrap interval over the rounds, and the reference runs twice, as itself and as
its own control (A/A): what the control shows is what this machine cannot tell apart today. Ratios of minima are not
used: they reward the luckiest round, and an A/A control of theirs strays by several percent.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 2000
CONFIDENCE = 0.95
WARMUP = 3
"""Rounds that are run and thrown away."""

Work = Callable[[], object]
Timer = Callable[[Work], Mapping[str, float]]
"""Does the work once; clock -> seconds."""
Samples = Mapping[str, np.ndarray]
"""Clock -> seconds of every round."""


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """Median over median, with its bootstrap interval."""

    value: float
    low: float
    high: float

    def within(self, bound: float) -> bool:
        """Whether the whole interval lies in 1 ± `bound`."""
        return 1 - bound <= self.low and self.high <= 1 + bound

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def interleave(work: Mapping[str, Work], rounds: int, timer: Timer, seed: int = 0) -> dict[str, Samples]:
    """Every piece of `work` once in every round, in an order drawn anew; name -> its samples, in order of rounds."""
    order, draw = list(work), random.Random(seed)
    kept: dict[str, list[Mapping[str, float]]] = {name: [] for name in order}
    for round_ in range(-WARMUP, rounds):
        draw.shuffle(order)
        for name in order:
            seconds = timer(work[name])
            if round_ >= 0:
                kept[name].append(seconds)
    return {name: {clock: np.array([s[clock] for s in found]) for clock in found[0]} for name, found in kept.items()}


def ratio(mine: np.ndarray, reference: np.ndarray, seed: int = 0) -> Ratio:
    """Median of `mine` over that of `reference`, both (rounds,) in seconds.

    Whole rounds are resampled, so what disturbed both of a round at once disturbs neither side of the interval alone.
    """
    drawn = np.random.default_rng(seed).integers(0, len(mine), (RESAMPLES, len(mine)))
    resampled = np.median(mine[drawn], axis=1) / np.median(reference[drawn], axis=1)
    low, high = np.quantile(resampled, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Ratio(value=float(np.median(mine) / np.median(reference)), low=float(low), high=float(high))


def verdict(found: Ratio, control: Ratio, bound: float) -> str:
    """`same within x %`, `slower`, `faster` or `cannot tell`: the first three only where the control allows it.

    Same: the interval and the control's both lie in 1 ± `bound`. Slower or faster: the whole interval lies beyond 1
    and beyond all that the control, whose true ratio is 1, strayed to either side.
    """
    if found.within(bound) and control.within(bound):
        return f"same within {100 * bound:g} %"
    stray = max(control.high - 1, 1 - control.low)
    if found.low > 1 + stray:
        return "slower"
    return "faster" if found.high < 1 - stray else "cannot tell"


def cpu_timer(work: Work) -> dict[str, float]:
    """Process CPU time, which other processes disturb less, beside wall time."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}


def wall_timer(work: Work) -> dict[str, float]:
    """Wall time first: the CPU time of several threads adds up what they do at once."""
    found = cpu_timer(work)
    return {"wall": found["wall"], "cpu": found["cpu"]}


def cuda_timer(work: Work) -> dict[str, float]:
    """Time on the device between two events, beside wall time until it is idle."""
    import torch

    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    wall = time.perf_counter()
    begin.record()
    work()
    end.record()
    end.synchronize()
    return {"cuda": begin.elapsed_time(end) / 1000, "wall": time.perf_counter() - wall}


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """b of the power law cost ∝ size^b, by least squares on logarithms: 1 is linear growth."""
    return float(np.polyfit(np.log(sizes), np.log(costs), 1)[0])
