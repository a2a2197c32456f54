"""What the producer and the test of the other methods' arrays share: sizes and samples."""

from __future__ import annotations

import numpy as np

TIMESTEPS, BATCH, INPUTS, CHANNELS, SIDE, CLASSES, STEPS = 4, 5, 2, 6, 5, 3, 3
"""T is 4 since two of the cited codes have it as a constant of the module."""


def inputs(step: int) -> tuple[np.ndarray, np.ndarray]:
    """(T·B, INPUTS, SIDE, SIDE) and labels (B,) of a training step, from a stream that is frozen for good."""
    random = np.random.RandomState(step)
    return random.normal(size=(TIMESTEPS * BATCH, INPUTS, SIDE, SIDE)), random.randint(CLASSES, size=BATCH)
