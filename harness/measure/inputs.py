"""The input side, side by side: training images a second on one core, ours against torchvision's pipeline on PIL.

Both do the same work - crop, flip, AutoAugment, Cutout, normalise - from bytes in memory to batches of float32; or, for
image files, decode, crop at random, resize, flip, normalise. One process, one thread, interleaved (`sidebyside`).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2

from harness.data import augment
from harness.data.events import Bins, Recording, to_frames
from harness.data.files import FileSplit, Prepared, Stored
from harness.data.memory import SHUFFLED, MemorySplit, normalisation
from harness.measure.sidebyside import Ratio, Work, cpu_timer, interleave, ratio

OURS, THEIRS = "ours", "theirs"
AUGMENTATION = ("crop", "flip", "autoaugment", "cutout")
FILE_AUGMENTATION = ("resized-crop", "flip")
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
FORECAST = 50_000
"""Images a second that one H100 would take at the roofline of a ResNet20 at T = 1."""


@dataclass(frozen=True, kw_only=True)
class Speed:
    """Samples a second of one core, by the median round of process time."""

    what: str
    unit: str
    against: str
    ours: float
    theirs: float
    ratio: Ratio
    """Ours over theirs; above 1 is faster."""
    wanted: float | None = None
    """What a GPU would take a second."""

    def cores(self, wanted: float) -> tuple[int, int]:
        """How many cores keep up with `wanted` samples a second: ours, theirs."""
        return math.ceil(wanted / self.ours), math.ceil(wanted / self.theirs)

    def __str__(self) -> str:
        said = (
            f"{self.what}: {self.ours:,.0f} {self.unit}/s a core, {self.against} {self.theirs:,.0f}: "
            f"{self.ratio} times as many"
        )
        if self.wanted is None:
            return said
        ours, theirs = self.cores(self.wanted)
        return f"{said}; an H100 at {self.wanted:,.0f} {self.unit}/s wants {ours} of our cores, {theirs} of theirs"


def in_memory(images: Tensor, rounds: int = 20, batch: int = 128) -> Speed:
    """Of `images`, bytes (N, 3, 32, 32): ours takes all of them a round, theirs one `batch`, a part of N."""
    device = torch.device("cpu")
    split = MemorySplit(
        images=images,
        labels=torch.zeros(len(images), dtype=torch.int64),
        fingerprint="",
        augmentations=augment.chosen(AUGMENTATION),
        order=SHUFFLED,
        **normalisation(MEAN, STD, device),
    )
    stored = images.permute(0, 2, 3, 1).contiguous().numpy()
    epoch, first = itertools.count(), itertools.cycle(range(0, len(images), batch))

    def theirs() -> Tensor:
        begin = next(first)
        return torch.stack([TRAINING(Image.fromarray(stored[place])) for place in range(begin, begin + batch)])

    work = {OURS: lambda: sum(len(labels) for _, labels in split.epoch(0, next(epoch), batch)), THEIRS: theirs}
    speeds = _measured(work, {OURS: len(images), THEIRS: batch}, rounds)
    what = "crop, flip, AutoAugment, Cutout, normalise"
    return Speed(what=what, unit="images", against="torchvision on PIL", wanted=FORECAST, **speeds)


def from_files(folder: Path, files: list[str], size: int = 224, rounds: int = 5) -> Speed:
    """Of image `files` in `folder`, without workers: what one of them can do."""
    names, count = np.array([file.encode() for file in files]), len(files)
    stored = Stored(folder, names, np.full(count, -1), np.zeros(count, np.int64))
    prepared = Prepared(stored, np.zeros(count, np.int64), size, augment.chosen(FILE_AUGMENTATION))
    constants = normalisation(MEAN, STD, torch.device("cpu"))
    split = FileSplit(prepared=prepared, fingerprint="", workers=0, order=SHUFFLED, **constants)
    training = file_training(size)
    epoch = itertools.count()

    def theirs() -> Tensor:
        return torch.stack([training(Image.open(folder / file).convert("RGB")) for file in files])

    work = {OURS: lambda: list(split.epoch(0, next(epoch), len(files))), THEIRS: theirs}
    speeds = _measured(work, dict.fromkeys(work, len(files)), rounds)
    what = f"JPEG, random crop to {size}, flip, normalise"
    return Speed(what=what, unit="images", against="torchvision on PIL", **speeds)


def binning(recording: Recording, sensor: int = 128, timesteps: int = 10, bins: Bins = "count") -> Speed:
    """Of one recording, against tonic's ToFrame."""
    from tonic.transforms import ToFrame

    to_frame = ToFrame(
        sensor_size=(sensor, sensor, 2),
        n_time_bins=timesteps if bins == "time" else None,
        n_event_bins=timesteps if bins == "count" else None,
    )
    work = {
        OURS: lambda: to_frames(recording, sensor, timesteps, bins),
        THEIRS: lambda: to_frame(recording.events),
    }
    speeds = _measured(work, dict.fromkeys(work, 1), rounds=20)
    what = f"{len(recording.events):,} events to {timesteps} frames of equal {bins}"
    return Speed(what=what, unit="recordings", against="tonic's ToFrame", **speeds)


def _measured(work: Mapping[str, Work], counts: Mapping[str, int], rounds: int) -> dict[str, Any]:
    with one_thread():
        samples = interleave(work, rounds, cpu_timer)
    seconds = {name: samples[name]["cpu"] / counts[name] for name in work}
    speeds = {name: 1 / float(np.median(each)) for name, each in seconds.items()}
    return {**speeds, "ratio": ratio(seconds[THEIRS], seconds[OURS])}


class one_thread:
    """torch's threads, put back afterwards."""

    def __enter__(self) -> None:
        self.before = torch.get_num_threads()
        torch.set_num_threads(1)

    def __exit__(self, *_: object) -> None:
        torch.set_num_threads(self.before)


class _Cutout(torch.nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        height, width = image.shape[-2:]
        y, x = int(torch.randint(height, ())), int(torch.randint(width, ()))
        image = image.clone()
        image[:, max(0, y - 8) : y + 8, max(0, x - 8) : x + 8] = 0
        return image


_TO_FLOAT = (v2.ToImage(), v2.ToDtype(torch.float32, scale=True))
TRAINING = v2.Compose(
    [
        v2.RandomCrop(32, padding=4),
        v2.RandomHorizontalFlip(),
        v2.AutoAugment(v2.AutoAugmentPolicy.CIFAR10, fill=128),
        *_TO_FLOAT,
        _Cutout(),
        v2.Normalize(MEAN, STD),
    ]
)
"""torchvision's newer transforms: on PIL images a little faster than its older ones."""


def file_training(size: int) -> v2.Compose:
    return v2.Compose([v2.RandomResizedCrop(size), v2.RandomHorizontalFlip(), *_TO_FLOAT, v2.Normalize(MEAN, STD)])
