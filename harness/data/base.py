"""What a data set is to the rest of the harness: `Data` and its two `Split`s, and where they came from."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from harness.spec import Recipe

if TYPE_CHECKING:
    import torch

SPLITS = ("train", "test")


class Split(Protocol):
    """The training or the test half of a data set.

    Both iterators yield ``(images, labels)``: float32, normalised, (B, C, H, W) or, for events, (T, B, C, H, W);
    labels int64 (B,). The last, partial batch is kept.
    """

    @property
    def samples(self) -> int: ...

    @property
    def fingerprint(self) -> str:
        """Of the samples seen, see `harness/data/fingerprint.py`."""
        ...

    def epoch(self, seed: int, epoch: int, batch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Shuffled and augmented; every draw depends on (seed, epoch) alone, so a resumed run sees the same samples."""
        ...

    def batches(self, batch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """In order, not augmented."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class Data:
    """A data set made ready for one recipe. `shape` is (C, H, W) of one frame."""

    name: str
    train: Split
    test: Split
    classes: int
    shape: tuple[int, int, int]
    identity: str
    """`official` or ``variant-<12 hex>``, of the whole set, whatever subset the recipe takes."""


@dataclass(frozen=True)
class Samples:
    """One split as it is published: `images` uint8 (N, C, H, W), `labels` (N,)."""

    images: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class Source:
    """One place where a data set was found, in one of its containers. Finding it reads no sample."""

    kind: str
    folder: Path
    signature: str
    """Of the listing (names, sizes, times): the key under which what was read is cached."""
    read: Callable[[], dict[str, Samples]]
    verify: Callable[[], bool] = lambda: False
    """Whether the container proves itself official (published checksums), where no fingerprint is known."""

    def __str__(self) -> str:
        return f"{self.kind} in {self.folder}"


class Dataset(Protocol):
    """What a file of `harness/data/sets/` registers."""

    @property
    def name(self) -> str: ...

    def locate(self, root: Path) -> str:
        """Where it was found, for people; raises UserError if it was not. Reads no sample."""
        ...

    def identify(self, root: Path) -> str: ...

    def load(self, root: Path, recipe: Recipe, timesteps: int, device: torch.device) -> Data: ...


def data_root(root: Path | None) -> Path:
    """The folder of data sets: `root` (`--data`), else $HARNESS_DATA, else ./data."""
    return Path(root or os.environ.get("HARNESS_DATA") or "data")
