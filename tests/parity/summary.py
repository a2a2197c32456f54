"""What the producer and the test of the released arrays share: the batches, and how a large array is kept."""

from __future__ import annotations

import zlib

import numpy as np

WHOLE = 64
"""Arrays up to this many entries are kept as they are."""
SAMPLES, PROJECTIONS = 4, 6


def summarise(name: str, array: np.ndarray) -> np.ndarray:
    """float64, flat. Beyond WHOLE entries: SAMPLES of them, then PROJECTIONS on random signs, each over all entries.

    A difference d anywhere in the array moves every projection by a random sign times |d|, so none can hide. The
    signs come from NumPy's legacy generator, whose stream is frozen for good.
    """
    flat = np.asarray(array, dtype=np.float64).ravel()
    if flat.size <= WHOLE:
        return flat
    random = np.random.RandomState(zlib.crc32(name.encode()))
    entries = flat[random.randint(flat.size, size=SAMPLES)]
    signs = 2 * random.randint(2, size=(PROJECTIONS, flat.size)) - 1
    return np.concatenate([entries, signs @ flat])


def batch(images: np.ndarray, step: int) -> np.ndarray:
    """(B, C, H, W) float64: what training step `step` sees of the kept int8 images."""
    return np.roll(images, step, axis=(2, 3)).astype(np.float64) / 64
