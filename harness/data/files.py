"""Splits too large for memory: image files, decoded and cropped a batch at a time by worker processes.

A sample is a file, or a stretch of a tar archive. Each carries its own seed, drawn from (seed, epoch), so neither the
number of workers, nor where an epoch starts, nor how a batch is shared changes a pixel.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from harness.data import archives, decoders, pictures
from harness.data.augment import Augmentation, cropped_at, resized_crop
from harness.data.base import WHOLE, Share, shown
from harness.data.memory import SHUFFLED, Order, seeded
from harness.errors import UserError
from harness.interrupts import leave_to_parent

RESIZE = 256 / 224
"""The short side before the centre crop, as a multiple of the crop: 256 for 224."""
PREFETCH = 4
"""Batches that each worker has ready."""

Item = tuple[int, int | None]
"""Which sample, and the seed of its augmentation (None: not augmented)."""


def worker_count() -> int:
    """$HARNESS_WORKERS, else the processors that this process may use, shared by the processes that torchrun started.

    It changes the speed, never a number.
    """
    if chosen := os.environ.get("HARNESS_WORKERS"):
        return int(chosen)
    mine = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, mine // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


@dataclass(frozen=True, eq=False)
class Stored:
    """Where samples lie: `files` (bytes, relative to `folder`), from `offsets` on in an archive (-1: a whole file)."""

    folder: Path
    files: np.ndarray
    offsets: np.ndarray
    sizes: np.ndarray

    def __len__(self) -> int:
        return len(self.files)

    def read(self, index: int) -> bytes:
        """Raises UserError for a file that cannot be read."""
        file, offset = self._file(index), int(self.offsets[index])
        try:
            with file.open("rb") as stream:
                stream.seek(max(offset, 0))
                return stream.read(-1 if offset < 0 else int(self.sizes[index]))
        except OSError as problem:
            raise UserError(f"cannot be read ({problem.strerror or problem})", str(file)) from None

    def where(self, index: int) -> str:
        """For people: the file, and which member of it."""
        file, offset = self._file(index), int(self.offsets[index])
        return str(file) if offset < 0 else f"{file}: {archives.member_at(file, offset)}"

    def _file(self, index: int) -> Path:
        return self.folder / os.fsdecode(self.files[index])


class Raw(NamedTuple):
    """A sample as it is stored, for a decoder on the device."""

    content: bytes
    place: int
    """Among the split's samples."""
    label: int
    seed: int | None


class Ready(NamedTuple):
    """Bytes (3, size, size)."""

    image: Tensor
    label: int


@dataclass(frozen=True, eq=False)
class Prepared(Dataset):
    """What a worker does: one sample to bytes (3, size, size) and its label; a damaged one to its UserError."""

    stored: Stored
    labels: np.ndarray
    size: int
    augmentations: tuple[Augmentation, ...] = ()
    on_device: bool = False
    """Leave decoding, and all after it, to the device."""

    def __getitem__(self, item: Item) -> Ready | Raw | UserError:
        index, seed = item
        try:
            content, label = self.stored.read(index), int(self.labels[index])
            if self.on_device:
                return Raw(content, index, label, seed)
            return Ready(self.prepare(decoders.decoded(content), seed), label)
        except pictures.Damaged as problem:
            return problem.at(self.stored.where(index))
        except UserError as problem:
            return problem  # raised in a worker it would come with that worker's traceback

    def prepare(self, image: Tensor, seed: int | None) -> Tensor:
        """(3, H, W) to (3, size, size), wherever `image` lies."""
        if seed is None:
            return centre_crop(image, self.size)
        generator = torch.Generator().manual_seed(seed)
        if resized_crop in self.augmentations:  # it takes the place of the centre crop
            (numbers,) = resized_crop.draw(1, (self.size, self.size), generator)
            batch = cropped_at(image, numbers[0], (self.size, self.size))[None]
        else:
            batch = centre_crop(image, self.size)[None]
        for augmentation in self.augmentations:
            if augmentation != resized_crop:
                batch = augmentation(batch, generator)
        return batch[0]


@dataclass(frozen=True, kw_only=True, eq=False)
class FileSplit:
    """`scale` and `shift` (3, 1, 1) as in `MemorySplit`; batches arrive on their device."""

    prepared: Prepared
    fingerprint: str
    scale: Tensor
    shift: Tensor
    workers: int | None = None
    """None: `worker_count()`."""
    order: Order = SHUFFLED

    @property
    def samples(self) -> int:
        return len(self.prepared.stored)

    def epoch(
        self, seed: int, epoch: int, batch: int, *, start: int = 0, share: Share = WHOLE
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Shuffled and augmented, see `Split.epoch`."""
        generator = seeded(seed, epoch)
        order = self.order.of(self.samples, batch, generator)
        seeds = torch.randint(2**62, (self.samples,), generator=generator)[: len(order)]
        items = list(zip(order.tolist(), seeds.tolist(), strict=True))
        yield from self._loaded(_cut(items[start * batch :], batch, share), epoch)

    def batches(self, batch: int, *, share: Share = WHOLE) -> Iterator[tuple[Tensor, Tensor]]:
        """In order, not augmented."""
        yield from self._loaded(_cut([(index, None) for index in range(self.samples)], batch, share), None)

    def _loaded(self, batches: Sequence[Sequence[Item]], epoch: int | None) -> Iterator[tuple[Tensor, Tensor]]:
        workers = min(worker_count() if self.workers is None else self.workers, len(batches))
        loader = DataLoader(
            self.prepared,
            batch_sampler=batches,  # type: ignore[arg-type]  # any sequence of lists of keys will do
            collate_fn=self._collated,
            num_workers=workers,
            prefetch_factor=PREFETCH if workers else None,
            pin_memory=self.scale.is_cuda,
            generator=torch.Generator(),  # else it would draw from the global one
            worker_init_fn=leave_to_parent,
        )
        for items, loaded in zip(batches, loader, strict=True):
            if isinstance(loaded, UserError):
                raise loaded
            images, labels = self._decoded(loaded) if isinstance(loaded, list) else loaded
            samples = torch.tensor([index for index, _ in items], dtype=torch.int64)
            images, labels, samples = (
                part.to(self.scale.device, non_blocking=True) for part in (images, labels, samples)
            )
            yield shown(images.float().mul_(self.scale).sub_(self.shift), samples, epoch, self.samples), labels

    def _decoded(self, batch: list[Raw]) -> tuple[Tensor, Tensor]:
        """Of a decoder on the device: the crops that the workers would have made, made there."""
        ready = []
        images = decoders.decoded_on(self.scale.device, [raw.content for raw in batch])
        for image, raw in zip(images, batch, strict=True):
            if isinstance(image, pictures.Damaged):
                raise image.at(self.prepared.stored.where(raw.place))
            ready.append(Ready(self.prepared.prepare(image, raw.seed), raw.label))
        return _stacked(ready, self.prepared.size)

    def _collated(self, items: list[Any]) -> tuple[Tensor, Tensor] | list[Raw] | UserError:
        for item in items:
            if isinstance(item, UserError):
                return item
        return items if self.prepared.on_device else _stacked(items, self.prepared.size)


def _stacked(items: Sequence[Ready], size: int) -> tuple[Tensor, Tensor]:
    labels = torch.tensor([item.label for item in items], dtype=torch.int64)
    if not items:  # a share of a batch smaller than there are processes
        return torch.empty(0, 3, size, size, dtype=torch.uint8), labels
    return torch.stack([item.image for item in items]), labels


def _cut(items: Sequence[Item], batch: int, share: Share) -> list[Sequence[Item]]:
    """The batches of `items`, each cut to the `share`."""
    whole = [items[first : first + batch] for first in range(0, len(items), batch)]
    return [part[share.within(len(part))] for part in whole]


def centre_crop(image: Tensor, size: int) -> Tensor:
    """The middle (size, size) after the short side was brought to `size` · 256 / 224, antialiased."""
    return v2.CenterCrop(size)(v2.Resize(round(size * RESIZE), antialias=True)(image))
