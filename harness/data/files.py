"""Splits too large for memory: image files, decoded and cropped a batch at a time by worker processes.

Each sample carries its own seed, drawn from (seed, epoch), so the number of workers changes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as TF

from harness.data.augment import Augmentation, random_resized_crop, resized_crop
from harness.data.memory import seeded
from harness.errors import UserError

RESIZE = 256 / 224
"""The short side before the centre crop, as a multiple of the crop: 256 for 224."""

Item = tuple[int, int | None]
"""Which sample, and the seed of its augmentation (None: not augmented)."""


def worker_count() -> int:
    """$HARNESS_WORKERS, else the processors that this process may use. It changes the speed, never a number."""
    if chosen := os.environ.get("HARNESS_WORKERS"):
        return int(chosen)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True, eq=False)
class Decoded(Dataset):
    """What a worker does: one file to bytes (3, size, size) and its label; a damaged file to its UserError."""

    folder: Path
    files: np.ndarray
    labels: np.ndarray
    size: int
    augmentations: tuple[Augmentation, ...] = ()

    def __getitem__(self, item: Item) -> tuple[Tensor, int] | UserError:
        index, seed = item
        try:
            image = read_colour(self.folder / os.fsdecode(self.files[index]))
        except UserError as problem:
            return problem  # raised in a worker it would come with that worker's traceback
        return self._prepared(image, seed), int(self.labels[index])

    def _prepared(self, image: Tensor, seed: int | None) -> Tensor:
        if seed is None:
            return centre_crop(image, self.size)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            ours = torch.Generator().manual_seed(seed)
            random_size = resized_crop in self.augmentations  # it takes the place of the centre crop
            crop = random_resized_crop((self.size, self.size)) if random_size else None
            batch = (crop(image) if crop else centre_crop(image, self.size))[None]
            for augmentation in self.augmentations:
                if augmentation is not resized_crop:
                    batch = augmentation(batch, ours)
        return batch[0]


@dataclass(frozen=True, kw_only=True, eq=False)
class FileSplit:
    """`scale` and `shift` (3, 1, 1) as in `MemorySplit`; batches arrive on their device."""

    decoded: Decoded
    fingerprint: str
    scale: Tensor
    shift: Tensor

    @property
    def samples(self) -> int:
        return len(self.decoded.files)

    def epoch(self, seed: int, epoch: int, batch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Shuffled and augmented, see `Split.epoch`."""
        generator = seeded(seed, epoch)
        order = torch.randperm(self.samples, generator=generator)
        seeds = torch.randint(2**62, (self.samples,), generator=generator)
        yield from self._loaded(list(zip(order.tolist(), seeds.tolist(), strict=True)), batch)

    def batches(self, batch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """In order, not augmented."""
        yield from self._loaded([(index, None) for index in range(self.samples)], batch)

    def _loaded(self, items: Sequence[Item], batch: int) -> Iterator[tuple[Tensor, Tensor]]:
        loader = DataLoader(
            self.decoded,
            batch_size=batch,
            sampler=items,  # type: ignore[arg-type]  # any sequence of keys will do
            collate_fn=_collated,
            num_workers=min(worker_count(), -(-len(items) // batch)),
            pin_memory=self.scale.is_cuda,
            generator=torch.Generator(),  # else it would draw from the global one
        )
        for loaded in loader:
            if isinstance(loaded, UserError):
                raise loaded
            images, labels = (part.to(self.scale.device, non_blocking=True) for part in loaded)
            yield images.float().mul_(self.scale).sub_(self.shift), labels


def _collated(items: list[tuple[Tensor, int] | UserError]) -> tuple[Tensor, Tensor] | UserError:
    for item in items:
        if isinstance(item, UserError):
            return item
    good = [item for item in items if not isinstance(item, UserError)]
    return torch.stack([image for image, _ in good]), torch.tensor([label for _, label in good])


def read_colour(file: Path) -> Tensor:
    """uint8 (3, H, W) at the file's own size; grey ones become colour. Raises UserError for a damaged file."""
    try:
        with Image.open(file) as image:
            return TF.pil_to_tensor(image.convert("RGB"))
    except (OSError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError) as problem:
        raise UserError(f"damaged image ({problem})", str(file), "copy it again from the source") from None


def centre_crop(image: Tensor, size: int) -> Tensor:
    """The middle (size, size) after the short side was brought to `size` · 256 / 224, antialiased."""
    return v2.CenterCrop(size)(v2.Resize(round(size * RESIZE), antialias=True)(image))
