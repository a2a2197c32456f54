"""A power law through costs at several sizes: its exponent, how sure that is, and how well it fits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from harness.measure.sidebyside import CONFIDENCE, RESAMPLES, exponent
from harness.measure.spec import Growth, Setting


def power_law(
    subject: str,
    over: str,
    smallest: Setting,
    sizes: Sequence[float],
    what: str,
    costs: Sequence[ArrayLike],
    seed: int = 0,
) -> Growth:
    """`costs`: at every size a number, or the rounds that took it, as many at each, resampled for the interval."""
    rounds = np.stack([np.atleast_1d(np.asarray(cost, dtype=float)) for cost in costs])
    values = np.median(rounds, axis=1)
    drawn = np.random.default_rng(seed).integers(0, rounds.shape[1], (RESAMPLES, rounds.shape[1]))
    resampled = np.median(rounds[:, drawn], axis=2)
    exponents = np.polyfit(np.log(sizes), np.log(resampled), 1)[0]
    low, high = np.quantile(exponents, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Growth(
        subject=subject,
        what=what,
        over=over,
        setting=smallest,
        sizes=tuple(sizes),
        values=tuple(map(float, values)),
        exponent=exponent(sizes, list(values)),
        low=float(low),
        high=float(high),
        r_squared=float(np.corrcoef(np.log(sizes), np.log(values))[0, 1] ** 2),
    )


def fitted(growth: Growth, size: float) -> float:
    """The cost that the power law gives `size`."""
    intercept = np.mean(np.log(growth.values)) - growth.exponent * np.mean(np.log(growth.sizes))
    return float(np.exp(intercept + growth.exponent * np.log(size)))
