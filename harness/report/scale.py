"""Where an axis has its ticks."""

from __future__ import annotations

import math

STEPS = (1, 2, 5)
TICKS = 5
"""About so many on an axis."""


def step_of(span: float) -> float:
    """1, 2 or 5 times a power of ten, so that about `TICKS` of them make `span`."""
    rough = max(span / TICKS, 1e-3)
    power = 10.0 ** math.floor(math.log10(rough))
    return next((s * power for s in STEPS if s * power >= rough - 1e-12), 10 * power)
