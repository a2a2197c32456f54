"""Image classification sets that fit in memory: found, read once, identified, prepared for a recipe."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from harness.data import cache
from harness.data.base import SPLITS, Data, Source, refuse
from harness.data.fingerprint import combine, identity, sorted_samples
from harness.spec import Recipe

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, kw_only=True)
class ImageSet:
    """`find(root)` gives the source, or raises the UserError that says how to get it."""

    name: str
    classes: int
    find: Callable[[Path], Source]
    mean: tuple[float, ...]
    """Of each channel, on the scale 0 to 1, over the training set at `size`."""
    std: tuple[float, ...]
    size: int
    """Height and width in pixels where the recipe names none."""
    official: Mapping[str, str] | None = None
    """Published fingerprint of each split; None: unknown, then only the source's checksums can tell."""
    top: int = 255
    """The value that is white in the raw samples."""
    get: str = ""
    """How to come by what is missing."""
    complete: Mapping[str, int] | None = None
    """Samples of each split as published; None: nothing is known to be missing."""

    def locate(self, root: Path) -> str:
        return str(self.find(root))

    def identify(self, root: Path) -> str:
        return self._identity(_kept(self.name, self.find(root), ("fingerprints", "verified")))

    def samples(self, root: Path) -> dict[str, int]:
        kept = _kept(self.name, self.find(root), tuple(f"{split}_labels" for split in SPLITS))
        return {split: len(kept[f"{split}_labels"]) for split in SPLITS}

    def frame(self, recipe: Recipe) -> tuple[tuple[int, int, int], int]:
        size = recipe.size or self.size
        return (len(self.mean), size, size), self.classes

    def load(self, root: Path, recipe: Recipe, timesteps: int, device: torch.device) -> Data:
        """`timesteps` is not used: a still image is shown at every step, by the network."""
        from harness.data.augment import chosen
        from harness.data.memory import normalisation

        refuse(recipe, self.name, "bins", "split", "decoder")
        augmentations = chosen(recipe.augmentation)
        parts = tuple(f"{split}_{part}" for split in SPLITS for part in ("images", "labels", "digests"))
        kept = _kept(self.name, self.find(root), (*parts, "fingerprints", "verified"))
        normalise = normalisation(self.mean, self.std, device)
        train = self._split("train", kept, recipe, device, augmentations=augmentations, **normalise)
        test = self._split("test", kept, recipe, device, **normalise)
        channels, height, width = train.images.shape[1:]
        return Data(
            name=self.name,
            train=train,
            test=test,
            classes=self.classes,
            shape=(channels, height, width),
            identity=self._identity(kept),
        )

    def _split(self, split: str, kept: Mapping[str, np.ndarray], recipe: Recipe, device: torch.device, **options):
        import torch

        from harness.data.memory import MemorySplit, resized, subset

        images, labels, digest = (kept[f"{split}_{part}"] for part in ("images", "labels", "digests"))
        count = recipe.train_samples if split == "train" else recipe.test_samples
        picked, fingerprint = subset(labels, digest, count, f"{self.name}'s {split} set")
        pixels = torch.from_numpy(images[picked])
        if self.top != 255:
            pixels = (pixels.double() * (255 / self.top)).round().byte()
        return MemorySplit(
            images=resized(pixels, recipe.size or self.size).to(device),
            labels=torch.from_numpy(labels[picked].astype(np.int64)).to(device),
            fingerprint=fingerprint,
            **options,
        )

    def _identity(self, kept: Mapping[str, np.ndarray]) -> str:
        return identity(kept["fingerprints"], self.official, verified=bool(kept["verified"]))


def _kept(name: str, source: Source, wanted: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The `wanted` arrays of a source: samples sorted by digest, digests, fingerprints; read once, then cached."""

    def make() -> dict[str, np.ndarray]:
        made: dict[str, np.ndarray] = {}
        for split, samples in source.read().items():
            ordered, digest = sorted_samples(samples)
            made |= {f"{split}_images": ordered.images, f"{split}_labels": ordered.labels, f"{split}_digests": digest}
        made["fingerprints"] = np.array([combine(made[f"{split}_digests"]) for split in SPLITS])
        made["verified"] = np.array(source.verify())
        return made

    return cache.arrays(f"{name}-{source.signature}", wanted, make)
