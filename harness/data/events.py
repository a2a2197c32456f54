"""Sets of event recordings: binned to frames by tonic, once for each number of frames and size, then kept.

A recording is a structured array with the fields of tonic: `t` (µs, ascending), `x`, `y`, `p` (0 or 1). Frames are raw
counts (T, 2, H, W), not scaled. Another size than the sensor's takes the nearest pixel, as the released code does.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from harness.data import cache
from harness.data.base import SPLITS, Data
from harness.data.fingerprint import combine, identity, in_order
from harness.errors import UserError
from harness.spec import Recipe

if TYPE_CHECKING:
    import torch

EVENT = np.dtype([("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("p", "u1")])
"""An event as tonic's transforms take it, and as it is digested."""


class Recording(NamedTuple):
    split: str
    label: int
    events: np.ndarray
    """Of dtype `EVENT`."""
    where: str
    """For error messages: the file."""


@dataclass(frozen=True)
class Recordings:
    """Where recordings were found; `read` goes through them one by one."""

    kind: str
    folder: Path
    signature: str
    read: Callable[[], Iterator[Recording]]

    def __str__(self) -> str:
        return f"{self.kind} in {self.folder}"


@dataclass(frozen=True, kw_only=True)
class EventSet:
    """`find(root)` gives the recordings, or raises the UserError that says how to get them."""

    name: str
    classes: int
    find: Callable[[Path], Recordings]
    sensor: int
    """Its height and width in pixels."""
    size: int
    """Of the frames, where the recipe names none."""
    bins: Literal["time", "count"]
    """Whether frames share the time of a recording or its events equally; tonic drops the remainder."""
    official: Mapping[str, str] | None = None

    def locate(self, root: Path) -> str:
        return str(self.find(root))

    def identify(self, root: Path) -> str:
        found = self.find(root)
        entry = f"{self.name}-{found.signature}"
        kept = cache.arrays(entry, ("fingerprints",), lambda: _in_order((each, None) for each in found.read()))
        return self._identity(kept)

    def load(self, root: Path, recipe: Recipe, timesteps: int, device: torch.device) -> Data:
        """`timesteps` is the number of frames."""
        from harness.data.augment import chosen

        augmentations = chosen(recipe.augmentation, events=True)
        kept = self._frames(self.find(root), timesteps, recipe.size or self.size)
        train = self._split("train", kept, recipe, device, augmentations=augmentations)
        test = self._split("test", kept, recipe, device)
        polarities, height, width = train.images.shape[2:]
        return Data(
            name=self.name,
            train=train,
            test=test,
            classes=self.classes,
            shape=(polarities, height, width),
            identity=self._identity(kept),
        )

    def _frames(self, found: Recordings, timesteps: int, size: int) -> dict[str, np.ndarray]:
        def binned() -> Iterator[tuple[Recording, np.ndarray]]:
            for recording in found.read():
                yield recording, nearest(to_frames(recording, self.sensor, timesteps, self.bins), size)

        parts = tuple(f"{split}_{part}" for split in SPLITS for part in ("labels", "digests", "frames"))
        entry = f"{self.name}-{found.signature}-{self.bins}{timesteps}-{size}px"
        return cache.arrays(entry, (*parts, "fingerprints"), lambda: _in_order(binned()))

    def _split(self, split: str, kept: Mapping[str, np.ndarray], recipe: Recipe, device: torch.device, **options):
        import torch

        from harness.data.memory import MemorySplit, subset

        count = recipe.train_samples if split == "train" else recipe.test_samples
        labels = kept[f"{split}_labels"]
        picked, fingerprint = subset(labels, kept[f"{split}_digests"], count, f"{self.name}'s {split} set")
        return MemorySplit(
            images=torch.from_numpy(kept[f"{split}_frames"][picked]).to(device),
            labels=torch.from_numpy(labels[picked]).to(device),
            fingerprint=fingerprint,
            scale=torch.ones(1, 1, 1, device=device),
            shift=torch.zeros(1, 1, 1, device=device),
            **options,
        )

    def _identity(self, kept: Mapping[str, np.ndarray]) -> str:
        return identity(kept["fingerprints"], self.official)


def to_frames(recording: Recording, sensor: int, timesteps: int, bins: Literal["time", "count"]) -> np.ndarray:
    """int16 (T, 2, sensor, sensor). Raises UserError for a recording that cannot fill its frames."""
    from tonic.transforms import ToFrame

    events = recording.events
    if len(events) < timesteps:
        raise UserError(f"recording of {len(events)} events, {timesteps} frames wanted", recording.where)
    if max(events["x"].max(), events["y"].max()) >= sensor or min(events["x"].min(), events["y"].min()) < 0:
        raise UserError(f"an event lies outside the sensor of {sensor}×{sensor} pixels", recording.where)
    size = (sensor, sensor, 2)
    if bins == "time":
        return ToFrame(sensor_size=size, n_time_bins=timesteps)(events)
    return ToFrame(sensor_size=size, n_event_bins=timesteps)(events)


def nearest(frames: np.ndarray, size: int) -> np.ndarray:
    """(T, 2, size, size): each pixel the one at ``floor(i · H / size)``."""
    height, width = frames.shape[-2:]
    rows, columns = np.arange(size) * height // size, np.arange(size) * width // size
    return frames[..., rows[:, None], columns]


def _in_order(recordings: Iterator[tuple[Recording, np.ndarray | None]]) -> dict[str, np.ndarray]:
    """What the cache keeps: for each split labels, digests and, where made, frames, in the order of the digests."""
    gathered: dict[str, list[tuple[bytes, int, np.ndarray | None]]] = defaultdict(list)
    for (split, label, events, _), frames in recordings:
        sample = bytes((label,)) + events.tobytes()
        gathered[split].append((hashlib.sha256(sample).digest(), label, None if frames is None else _compact(frames)))
    made: dict[str, np.ndarray] = {}
    for split, (digests, labels, frames) in ((split, zip(*gathered[split], strict=True)) for split in SPLITS):
        digest = np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 32)
        order = in_order(digest)
        made |= {f"{split}_digests": digest[order], f"{split}_labels": np.array(labels, np.int64)[order]}
        if frames[0] is not None:
            made[f"{split}_frames"] = np.stack(frames)[order]
    made["fingerprints"] = np.array([combine(made[f"{split}_digests"]) for split in SPLITS])
    return made


def _compact(frames: np.ndarray) -> np.ndarray:
    """As bytes where the counts allow; stacking takes the widest of all."""
    return frames.astype(np.uint8) if frames.max() <= 255 else frames
