"""Digits: 1,797 handwritten digits of 8×8 pixels, bundled with scikit-learn. For smoke runs.

Raw values 0-16, label byte 0-9. The set has no published split: the 36 samples of each class with the smallest
digests are the test set (360), the others the training set (1,437), whatever order they come in.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
from pathlib import Path

import numpy as np

from harness.data import cache, register
from harness.data.base import Samples, Source
from harness.data.fingerprint import sorted_samples, spread
from harness.data.images import ImageSet
from harness.errors import UserError

TEST_SAMPLES = 360


def find(root: Path) -> Source:
    """The installed scikit-learn; `root` is not looked at."""
    package = importlib.util.find_spec("sklearn")
    if package is None or package.origin is None:
        raise UserError("no digits: looked for the Python package scikit-learn", to_type="pip install scikit-learn")
    version = importlib.metadata.version("scikit-learn")
    key = cache.key(version, Path(__file__).read_text())  # a change of the split's rule makes them anew
    return Source(f"scikit-learn {version}", Path(package.origin).parent, key, read)


def read() -> dict[str, Samples]:
    """Both splits, uint8 (N, 1, 8, 8)."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    images = np.asarray(pixels).reshape(-1, 1, 8, 8).astype(np.uint8)
    whole, _ = sorted_samples(Samples(images, np.asarray(labels).astype(np.uint8)))
    test = np.zeros(len(labels), bool)
    test[spread(whole.labels, TEST_SAMPLES)] = True
    return {
        "train": Samples(whole.images[~test], whole.labels[~test]),
        "test": Samples(whole.images[test], whole.labels[test]),
    }


DATASET = register(
    ImageSet(
        name="digits",
        classes=10,
        find=find,
        mean=(0.305824,),
        std=(0.318643,),  # of the training set at 16×16
        size=16,
        top=16,
        official={
            "train": "1e2163d8bb29ec5d8e690086c9b001c47e20183446548f7eefb2e430c8b21c7e",
            "test": "6b11bddf1b6f6336605f1e1ee0d5131ee584f2cad32dd0609b87ec8c5b669c05",
        },
    )
)
