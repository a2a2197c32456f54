"""What a data set is to the rest of the harness: `Data` and its two `Split`s, and where they came from."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from harness.errors import UserError
from harness.spec import Recipe

if TYPE_CHECKING:
    import numpy as np
    import torch

SPLITS = ("train", "test")


class Share(NamedTuple):
    """The part of every batch that one of `of` processes works on: contiguous, as ``torch.tensor_split`` cuts."""

    rank: int = 0
    of: int = 1

    def within(self, count: int) -> slice:
        """Of a batch of `count` samples; empty where there are fewer samples than processes."""
        small, larger = divmod(count, self.of)  # the first `larger` shares hold one more
        begin = self.rank * small + min(self.rank, larger)
        return slice(begin, begin + small + (self.rank < larger))


WHOLE = Share()


def shown(images: torch.Tensor, samples: torch.Tensor, epoch: int | None, count: int) -> torch.Tensor:
    """`images` of `samples` (B,) of a split of `count`, with `showings`: a number for each sample in each `epoch`.

    Of what is not trained on (None), the numbers of an epoch before the first. Whatever draws at random for a sample
    begins with it.
    """
    images.showings = samples + (-1 if epoch is None else epoch) * count  # type: ignore[attr-defined]
    return images


class Split(Protocol):
    """The training or the test half of a data set.

    Both iterators yield ``(images, labels)``: float32, normalised, (B, C, H, W) or, for events, (T, B, C, H, W);
    labels int64 (B,). Images carry `showings` (B,), see `shown`. The last, partial batch is kept. `batch` counts the
    samples of all shares together; a share may be empty in a partial batch.
    """

    @property
    def samples(self) -> int: ...

    @property
    def fingerprint(self) -> str:
        """Of the samples seen, see `harness/data/fingerprint.py`."""
        ...

    def epoch(
        self, seed: int, epoch: int, batch: int, *, start: int = 0, share: Share = WHOLE
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Shuffled and augmented, from batch `start` on, cut to `share`.

        Every draw depends on (seed, epoch, batch) alone: a resumed run, and all shares together, see to the bit what
        one uninterrupted run sees.
        """
        ...

    def batches(self, batch: int, *, share: Share = WHOLE) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
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
class Found:
    """One place where a data set was found, in one of its containers. Finding it reads no sample."""

    kind: str
    folder: Path
    signature: str | Callable[[], str]
    """What decides the samples (`cache.signed`): the key under which what was read is kept."""

    @property
    def key(self) -> str:
        return self.signature if isinstance(self.signature, str) else self.signature()

    def __str__(self) -> str:
        return f"{self.kind} in {self.folder}"


@dataclass(frozen=True)
class Source(Found):
    """Of images."""

    read: Callable[[], dict[str, Samples]]
    verify: Callable[[], bool] = lambda: False
    """Whether the container proves itself official (published checksums), where no fingerprint is known."""


class Dataset(Protocol):
    """What a file of `harness/data/sets/` registers."""

    @property
    def name(self) -> str: ...

    def locate(self, root: Path) -> str:
        """Where it was found, for people; raises UserError if it was not. Reads no sample."""
        ...

    def identify(self, root: Path) -> str: ...

    def samples(self, root: Path) -> dict[str, int]:
        """How many each split holds."""
        ...

    def remarks(self, root: Path) -> list[str]:
        """What a user should know of the samples and no other line says: duplicates, a class without any."""
        ...

    def frame(self, recipe: Recipe) -> tuple[tuple[int, int, int], int]:
        """(C, H, W) of one frame, and the number of classes: what a network is built for, told without the samples."""
        ...

    @property
    def complete(self) -> Mapping[str, int] | None:
        """How many the published splits hold; None: it is what it is."""
        ...

    @property
    def official(self) -> Mapping[str, str] | None:
        """Published fingerprint of each split, where one is known."""
        ...

    @property
    def get(self) -> str:
        """How to come by what is missing."""
        ...

    def load(self, root: Path, recipe: Recipe, timesteps: int, device: torch.device) -> Data: ...


def refuse(recipe: Recipe, name: str, *fields: str) -> None:
    """Raise UserError for a setting of `recipe` that means nothing for data set `name`, but would enter the key."""
    for field in fields:
        if (value := getattr(recipe, field)) is not None:
            raise UserError(f"`{field} = {value!r}` means nothing for {name}", to_type=f"leave `{field}` out for it")


def constants(
    recipe: Recipe, mean: Sequence[float], std: Sequence[float], name: str
) -> tuple[Sequence[float], Sequence[float]]:
    """Mean and deviation of each channel: the recipe's, else the set's own. Raises UserError for too many or few."""
    chosen = recipe.mean or mean, recipe.deviation or std
    for field, values in zip(("mean", "deviation"), chosen, strict=True):
        if len(values) != len(mean):
            raise UserError(f"`{field}` has {len(values)} numbers", name, f"write {len(mean)}, one a channel")
    return chosen


def data_root(root: Path | None) -> Path:
    """The folder of data sets: `root` (`--data`), else $HARNESS_DATA, else ./data."""
    return Path(root or os.environ.get("HARNESS_DATA") or "data")
