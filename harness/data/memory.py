"""Splits that fit in memory: bytes on the device, augmented and normalised a batch at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from harness.data.augment import Augmentation, Draws
from harness.data.base import WHOLE, Share, shown
from harness.data.fingerprint import combine, spread
from harness.errors import UserError

CHUNK = 2048
"""Images resized at once: bounds the memory that float64 takes."""
TOGETHER = 4 << 20
"""Bytes of whole batches that are augmented at once."""


class Order(NamedTuple):
    """In which the samples of an epoch come, and whether all do."""

    shuffled: bool = True
    partial: bool = True
    """Whether a last batch that is smaller than the others is among them."""

    def of(self, samples: int, batch: int, generator: torch.Generator) -> Tensor:
        """Raises UserError where nothing would be left."""
        if not self.partial and samples < batch:
            what = f"{samples} samples make no whole batch of {batch}, and a partial one is left out"
            raise UserError(what, to_type="change `batch`, or `partial_batch`")
        order = torch.randperm(samples, generator=generator) if self.shuffled else torch.arange(samples)
        return order if self.partial else order[: samples // batch * batch]


SHUFFLED = Order()


class Drawn(NamedTuple):
    """A batch before its pixels are touched: which samples, and what each augmentation drew for them."""

    chosen: Tensor
    draws: list[Draws]

    def cut(self, share: Share) -> Drawn:
        mine = share.within(len(self.chosen))
        return Drawn(self.chosen[mine], [tuple(part[mine] for part in draws) for draws in self.draws])


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
    order: Order = SHUFFLED

    @property
    def samples(self) -> int:
        return len(self.images)

    def epoch(
        self, seed: int, epoch: int, batch: int, *, start: int = 0, share: Share = WHOLE
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Shuffled and augmented, see `Split.epoch`."""
        waiting: list[Drawn] = []
        for number, drawn in enumerate(self._drawn(seed, epoch, batch)):
            if number >= start:  # the batches before were drawn all the same: the generator must move on
                waiting.append(drawn.cut(share))
            if sum(len(each.chosen) for each in waiting) >= self._together:
                yield from self._augmented(waiting, epoch)
                waiting = []
        yield from self._augmented(waiting, epoch)

    def batches(self, batch: int, *, share: Share = WHOLE) -> Iterator[tuple[Tensor, Tensor]]:
        """In order, not augmented."""
        for samples in torch.arange(self.samples, device=self.images.device).split(batch):
            mine = samples[share.within(len(samples))]
            yield shown(self._normalised(self.images[mine]), mine, None, self.samples), self.labels[mine]

    def _drawn(self, seed: int, epoch: int, batch: int) -> Iterator[Drawn]:
        generator = seeded(seed, epoch)
        height, width = self.images.shape[-2:]
        for chosen in self.order.of(self.samples, batch, generator).split(batch):
            draws = [each.draw(len(chosen), (height, width), generator) for each in self.augmentations]
            yield Drawn(chosen, draws)

    @property
    def _together(self) -> int:
        """Images to change at once: one change of many costs less than many changes of few."""
        return TOGETHER // self.images[0].nbytes

    def _augmented(self, waiting: Sequence[Drawn], epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches `waiting`, changed in one go."""
        if not waiting:
            return
        chosen = torch.cat([each.chosen for each in waiting]).to(self.images.device)
        images = self.images[chosen]
        flat = images.flatten(1, -3)  # frames and channels are changed alike
        for number, augmentation in enumerate(self.augmentations):
            parts = zip(*(each.draws[number] for each in waiting), strict=True)
            flat = augmentation.apply(flat, tuple(torch.cat(part) for part in parts))
        sizes = [len(each.chosen) for each in waiting]
        parts = (of.split(sizes) for of in (flat.view_as(images), self.labels[chosen], chosen))
        for part, labels, samples in zip(*parts, strict=True):
            yield shown(self._normalised(part), samples, epoch, self.samples), labels

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
