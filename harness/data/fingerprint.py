"""Which samples are these? A fingerprint that depends on neither file order nor container.

The digest of a sample is SHA-256 of (label, then its raw bytes, channel-first as in CIFAR's batch files);
the fingerprint of a split is SHA-256 over its sorted digests. The label is one byte, as in those files; from 256 on it
takes as few bytes as hold it, the highest first. Samples of one set have one size (events: 13 bytes each), so that none
is taken for another with more or fewer bytes of label.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from harness.data.base import SPLITS, Samples
from harness.spec import OFFICIAL


def digests(images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """uint8 (N, 32): the digest of each sample of `images` (N, ...)."""
    rows = np.ascontiguousarray(images).reshape(len(images), -1)
    return stacked([digest(label, row.tobytes()) for label, row in zip(labels.tolist(), rows, strict=True)])


def digest(label: int, sample: bytes) -> bytes:
    """Of one sample, 32 bytes."""
    return hashlib.sha256(label.to_bytes(max(1, (label.bit_length() + 7) // 8), "big") + sample).digest()


def stacked(digested: Sequence[bytes]) -> np.ndarray:
    """uint8 (N, 32)."""
    return np.frombuffer(b"".join(digested), np.uint8).reshape(-1, 32)


def in_order(digest: np.ndarray) -> np.ndarray:
    """Indices (N,) that sort digests (N, 32) as byte strings."""
    keys = [row.tobytes() for row in digest]
    return np.array(sorted(range(len(keys)), key=keys.__getitem__), dtype=np.int64)


def combine(digest: np.ndarray) -> str:
    """Fingerprint (64 hex) of the samples with these digests (N, 32), in whatever order."""
    return hashlib.sha256(digest[in_order(digest)].tobytes()).hexdigest()


def identity(fingerprints: np.ndarray, official: Mapping[str, str] | None = None, verified: bool = False) -> str:
    """`official` if both fingerprints (train, test) are the published ones, or checksums proved it; else a variant.

    A variant is named ``variant-<12 hex>``.
    """
    found = dict(zip(SPLITS, map(str, fingerprints), strict=True))
    if verified or (official and all(found[split] == official[split] for split in SPLITS)):
        return OFFICIAL
    return "variant-" + hashlib.sha256("".join(found[split] for split in SPLITS).encode()).hexdigest()[:12]


def sorted_samples(samples: Samples) -> tuple[Samples, np.ndarray]:
    """`samples` in the order of their digests, and the digests: every container then gives the same training run."""
    found = digests(samples.images, samples.labels)
    order = in_order(found)
    return Samples(samples.images[order], samples.labels[order]), found[order]


def spread(labels: np.ndarray, count: int) -> np.ndarray:
    """Sorted indices of `count` samples, as evenly over the classes as they allow, the first ones of each class."""
    labels = np.asarray(labels)
    by_class = np.argsort(labels, kind="stable")
    sizes = np.bincount(labels)
    rank = np.empty(len(labels), np.int64)  # of a sample among those of its class
    rank[by_class] = np.arange(len(labels)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.sort(np.lexsort((labels, rank))[:count])


def twice(digests: Mapping[str, np.ndarray], unlabelled: Mapping[str, np.ndarray]) -> list[str]:
    """What is there more than once, for people; digests (N, 32) of each split, with the label and without."""
    distinct = {split: _distinct(rows) for split, rows in digests.items()}
    again = {split: len(rows) - len(distinct[split]) for split, rows in digests.items()}
    said = [f"{count:,} of {split} a second time" for split, count in again.items() if count]
    if shared := len(distinct["train"] & distinct["test"]):
        said.append(f"{shared:,} of test also in train")
    if odd := len(set().union(*distinct.values())) - len(set().union(*map(_distinct, unlabelled.values()))):
        said.append(f"{odd:,} with more than one label")
    return said


def _distinct(rows: np.ndarray) -> set[bytes]:
    return {row.tobytes() for row in rows}
