"""Splits that fit in memory: bytes on the device, augmented and normalised a batch at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from harness.data.augment import Augmentation
from harness.data.fingerprint import combine, spread
from harness.errors import UserError

CHUNK = 2048
"""Images resized at once: bounds the memory that float64 takes."""


@dataclass(frozen=True, kw_only=True, eq=False)
class MemorySplit:
    """`images` integers (N, C, H, W) or (N, T, C, H, W), `labels` int64 (N,), both on the device they train on."""

    images: Tensor
    labels: Tensor
    fingerprint: str
    augmentations: tuple[Augmentation, ...] = ()
    scale: Tensor
    """(C, 1, 1): an image becomes ``images · scale − shift``."""
    shift: Tensor

    @property
    def samples(self) -> int:
        return len(self.images)

    def epoch(self, seed: int, epoch: int, batch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Shuffled and augmented, see `Split.epoch`."""
        generator = seeded(seed, epoch)
        order = torch.randperm(self.samples, generator=generator).to(self.images.device)
        for chosen in order.split(batch):
            images = self.images[chosen]
            flat = images.flatten(1, -3)  # frames and channels are changed alike
            for augmentation in self.augmentations:
                flat = augmentation(flat, generator)
            yield self._normalised(flat.view_as(images)), self.labels[chosen]

    def batches(self, batch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """In order, not augmented."""
        for images, labels in zip(self.images.split(batch), self.labels.split(batch), strict=True):
            yield self._normalised(images), labels

    def _normalised(self, images: Tensor) -> Tensor:
        """Time leads: (T, B, C, H, W)."""
        frames = images.float().mul_(self.scale).sub_(self.shift)
        return frames.transpose(0, 1).contiguous() if frames.dim() == 5 else frames


def seeded(*parts: int) -> torch.Generator:
    """A CPU generator that depends on `parts` alone; neighbouring seeds and epochs share nothing."""
    digest = hashlib.sha256(":".join(map(str, parts)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def normalisation(mean: Sequence[float], std: Sequence[float], device: torch.device) -> dict[str, Tensor]:
    """`scale` and `shift` that turn bytes into ``(x / 255 − mean) / std``, float32 (C, 1, 1)."""
    mean64, std64 = (torch.tensor(values, dtype=torch.float64).view(-1, 1, 1) for values in (mean, std))
    return {"scale": (1 / (255 * std64)).float().to(device), "shift": (mean64 / std64).float().to(device)}


def subset(labels: np.ndarray, digest: np.ndarray, count: int | None, what: str) -> tuple[np.ndarray, str]:
    """Indices of the samples a recipe takes, and their fingerprint. `what` names the split in the UserError."""
    if count is None:
        return np.arange(len(labels)), combine(digest)
    if not 0 < count <= len(labels):
        raise UserError(f"the recipe takes {count} samples of {what}, which has {len(labels)}")
    picked = spread(labels, count)
    return picked, combine(digest[picked])


def resized(images: Tensor, size: int) -> Tensor:
    """Bytes (N, C, H, W) to (N, C, size, size), bilinear, antialiased.

    In float64, so that rounding back to bytes falls the same way on every machine.
    """
    if images.shape[-2:] == (size, size):
        return images
    parts = [
        F.interpolate(part.double(), (size, size), mode="bilinear", antialias=True).round().clamp(0, 255).byte()
        for part in images.split(CHUNK)
    ]
    return torch.cat(parts)
