"""Image classification sets that fit in memory: found, read once, identified, prepared for a recipe."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from harness.data import cache
from harness.data.base import SPLITS, Data, Samples, Source, constants, refuse
from harness.data.fingerprint import combine, digest, identity, sorted_samples, stacked, twice
from harness.errors import UserError
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
        return self._identity(self._kept(root, ("fingerprints", "verified")))

    def samples(self, root: Path) -> dict[str, int]:
        kept = self._kept(root, tuple(f"{split}_labels" for split in SPLITS))
        return {split: len(kept[f"{split}_labels"]) for split in SPLITS}

    def remarks(self, root: Path) -> list[str]:
        parts = ("images", "labels", "digests")
        kept = self._kept(root, tuple(f"{split}_{part}" for split in SPLITS for part in parts))
        bare = {split: stacked([digest(0, image.tobytes()) for image in kept[f"{split}_images"]]) for split in SPLITS}
        without = sorted(set(range(self.classes)) - set(kept["train_labels"].tolist()))
        empty = [f"no training sample of class {', '.join(map(str, without))}"] if without else []
        return [*empty, *twice({split: kept[f"{split}_digests"] for split in SPLITS}, bare)]

    def frame(self, recipe: Recipe) -> tuple[tuple[int, int, int], int]:
        size = recipe.size or self.size
        return (len(self.mean), size, size), self.classes

    def load(self, root: Path, recipe: Recipe, timesteps: int, device: torch.device) -> Data:
        """`timesteps` is not used: a still image is shown at every step, by the network."""
        from harness.data.augment import chosen
        from harness.data.memory import Order, normalisation

        refuse(recipe, self.name, "bins", "split", "decoder")
        augmentations = chosen(recipe.augmentation)
        parts = tuple(f"{split}_{part}" for split in SPLITS for part in ("images", "labels", "digests"))
        kept = self._kept(root, (*parts, "fingerprints", "verified"))
        normalise = normalisation(*constants(recipe, self.mean, self.std, self.name), device)
        order = Order(recipe.shuffled, recipe.partial_batch)
        train = self._split("train", kept, recipe, device, augmentations=augmentations, order=order, **normalise)
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

    def _kept(self, root: Path, wanted: tuple[str, ...]) -> dict[str, np.ndarray]:
        """The `wanted` arrays: samples sorted by digest, digests, fingerprints; read once, then cached."""
        source = self.find(root)
        key = source.key

        def make() -> dict[str, np.ndarray]:
            made: dict[str, np.ndarray] = {}
            read = source.read()
            for split, samples in read.items():
                self._check(samples, read["train"], f"{source.folder}: {split} set")
                ordered, found = sorted_samples(samples)
                made |= {f"{split}_images": ordered.images, f"{split}_labels": ordered.labels}
                made[f"{split}_digests"] = found
            made["fingerprints"] = np.array([combine(made[f"{split}_digests"]) for split in SPLITS])
            made["verified"] = np.array(source.verify())
            if self.find(root).key != key:
                raise cache.changing(source.folder)
            return made

        return cache.arrays(f"{self.name}-{cache.key(key, self.classes)}", wanted, make)

    def _check(self, samples: Samples, train: Samples, where: str) -> None:
        """Raise UserError unless these are bytes, of the training images' shape, with class numbers that there are."""
        images, labels = samples.images, samples.labels
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != train.images.shape[1:]:
            raise UserError(
                f"images are {images.dtype} {images.shape}", where, "bytes (N, C, H, W) wanted, all of one shape"
            )
        if not len(images) or labels.shape != (len(images),):
            raise UserError(f"{len(images)} images, {labels.size} labels", where, "as many of each wanted")
        check_labels(labels, self.classes, where)


def check_labels(labels: np.ndarray, classes: int, where: str) -> None:
    """Raise UserError unless all of `labels` are class numbers, from 0."""
    if labels.dtype.kind not in "iu":
        raise UserError(f"labels are {labels.dtype}", where, "whole numbers wanted")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        raise UserError(f"labels from {low} to {high}", where, f"those of {classes} classes are 0 to {classes - 1}")
