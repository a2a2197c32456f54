"""Every test has a cache of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny_sets import TinyCifar

from harness.data.base import Samples


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("HARNESS_CACHE", str(folder))
    return folder


@pytest.fixture
def tiny_cifar() -> TinyCifar:
    """CIFAR-10 in small: 4 training and 2 test images of each class, of random pixels, in mixed order."""
    random = np.random.default_rng(5)

    def split(each: int) -> Samples:
        labels = random.permutation(np.repeat(np.arange(10, dtype=np.uint8), each))
        return Samples(random.integers(0, 256, (10 * each, 3, 32, 32), dtype=np.uint8), labels)

    return {"train": split(4), "test": split(2)}
