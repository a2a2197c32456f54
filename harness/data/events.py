"""Sets of event recordings: binned to frames once for each number of frames, kind of bins and size, then kept.

A recording is a structured array with the fields of tonic: `t` (µs, ascending), `x`, `y`, `p` (0 or 1). Frames are raw
counts (T, 2, H, W), not scaled, as tonic's ToFrame makes them. Another size than the sensor's takes the nearest pixel,
as the released code does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from harness.data import cache, splits
from harness.data.base import SPLITS, Data, Found, refuse
from harness.data.fingerprint import combine, digest, identity, in_order, stacked, twice
from harness.data.images import check_labels
from harness.errors import UserError
from harness.spec import Recipe

if TYPE_CHECKING:
    import torch

Bins = Literal["time", "count"]
EVENT = np.dtype([("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("p", "u1")])
"""An event as tonic's transforms take it, and as it is digested."""


class Recording(NamedTuple):
    test: bool
    """By the published split, or by the set's own rule."""
    label: int
    events: np.ndarray
    """Of dtype `EVENT`."""
    where: str
    """For error messages: the file."""
    place: int = 0
    """Among those of its class, in numerical order."""


@dataclass(frozen=True)
class Recordings(Found):
    """Where recordings were found; `read` goes through them one by one."""

    read: Callable[[], Iterator[Recording]]
    classes: Sequence[Sequence[str]] = ()
    """Names of the files of each class, in numerical order, where a rule splits them."""


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
    bins: Bins
    """Where the recipe names none: whether frames share the time of a recording or its events equally; tonic drops the
    remainder."""
    published: Sequence[Sequence[str]] | None = None
    """Names of all files of each class, in numerical order, where the split is a matter of choice: what the hashes of
    `harness/data/splits.py` are taken of."""
    get: str = ""
    """How to come by what is missing."""
    complete: Mapping[str, int] | None = None
    official: Mapping[str, str] | None = None
    still = False

    def locate(self, root: Path) -> str:
        return str(self.find(root))

    def identify(self, root: Path) -> str:
        return self._identity(self._digested(root))

    def samples(self, root: Path) -> dict[str, int]:
        test = self._digested(root)["test"]
        return {"train": int((~test).sum()), "test": int(test.sum())}

    def remarks(self, root: Path) -> list[str]:
        kept = self._digested(root)
        digests, bare = (
            {split: kept[part][kept["test"] == (split == "test")] for split in SPLITS} for part in ("digests", "bare")
        )
        said, shortest = twice(digests, bare), int(kept["lengths"].min())
        if shortest < SHORT:
            files = f"{(kept['lengths'] < SHORT).sum():,} recordings of fewer than {SHORT} events"
            said.append(f"{files}, the shortest of {shortest}: refused where there are more timesteps than that")
        return said

    def frame(self, recipe: Recipe) -> tuple[tuple[int, int, int], int]:
        size = recipe.size or self.size
        return (2, size, size), self.classes

    def load(self, root: Path, recipe: Recipe, timesteps: int, device: torch.device) -> Data:
        """`timesteps` is the number of frames."""
        from harness.data.augment import chosen
        from harness.data.memory import Order

        refuse(recipe, self.name, "decoder", "mean", "deviation", *(("split",) if self.published is None else ()))
        augmentations = chosen(recipe.augmentation, events=True)
        kept = self._frames(root, timesteps, recipe.size or self.size, recipe.bins or self.bins)
        test = self._tests(self.find(root), recipe, kept)
        order = Order(recipe.shuffled, recipe.partial_batch)
        train = self._split("train", ~test, kept, recipe, device, augmentations=augmentations, order=order)
        tested = self._split("test", test, kept, recipe, device)
        polarities, height, width = train.images.shape[2:]
        return Data(
            name=self.name,
            train=train,
            test=tested,
            classes=self.classes,
            shape=(polarities, height, width),
            identity=self._identity(kept),
        )

    def _digested(self, root: Path) -> dict[str, np.ndarray]:
        return self._made(root, LISTED, "events", lambda recording: None)

    def _frames(self, root: Path, timesteps: int, size: int, bins: Bins) -> dict[str, np.ndarray]:
        def binned(recording: Recording) -> np.ndarray:
            return nearest(to_frames(recording, self.sensor, timesteps, bins), size)

        return self._made(root, (*LISTED, "frames"), f"{bins}-{timesteps}x{size}px", binned)

    def _made(
        self, root: Path, wanted: tuple[str, ...], what: str, frames: Callable[[Recording], np.ndarray | None]
    ) -> dict[str, np.ndarray]:
        """The `wanted` arrays of all recordings, in the order of their digests; read once, then cached."""
        found = self.find(root)
        key = found.key

        def make() -> dict[str, np.ndarray]:
            made = _in_order((each, frames(each)) for each in self._checked(found))
            if self.find(root).key != key:
                raise cache.changing(found.folder)
            return made

        return cache.arrays(f"{self.name}-{cache.key(key, self.sensor, self.classes)}-{what}", wanted, make)

    def _checked(self, found: Recordings) -> Iterator[Recording]:
        """Raises UserError for a recording that no number of frames could be made of."""
        for recording in found.read():
            check_labels(np.array([recording.label]), self.classes, recording.where)
            check_events(recording, self.sensor)
            yield recording

    def _tests(self, found: Recordings, recipe: Recipe, kept: Mapping[str, np.ndarray]) -> np.ndarray:
        """bool (N,): which recordings test, by the recipe's rule or the set's own."""
        if recipe.split is None or self.published is None:
            return kept["test"]
        tests = splits.of_files(recipe.split, self.published, found.classes, str(found.folder))
        return np.array([tests[label][place] for label, place in zip(kept["labels"], kept["places"], strict=True)])

    def _split(
        self,
        split: str,
        mine: np.ndarray,
        kept: Mapping[str, np.ndarray],
        recipe: Recipe,
        device: torch.device,
        **options,
    ):
        import torch

        from harness.data.memory import MemorySplit, subset

        count = recipe.train_samples if split == "train" else recipe.test_samples
        labels = kept["labels"][mine]
        picked, fingerprint = subset(labels, kept["digests"][mine], count, f"{self.name}'s {split} set")
        return MemorySplit(
            images=torch.from_numpy(kept["frames"][np.flatnonzero(mine)[picked]]).to(device),
            labels=torch.from_numpy(labels[picked]).to(device),
            fingerprint=fingerprint,
            scale=torch.ones(1, 1, 1, device=device),
            shift=torch.zeros(1, 1, 1, device=device),
            **options,
        )

    def _identity(self, kept: Mapping[str, np.ndarray]) -> str:
        digest, test = kept["digests"], kept["test"]
        return identity(np.array([combine(digest[~test]), combine(digest[test])]), self.official)


LISTED = ("labels", "test", "places", "lengths", "bare", "digests")
SHORT = 100
"""Events; who trains on fewer has few timesteps in mind."""


def check_events(recording: Recording, sensor: int) -> None:
    """Raise UserError for a recording without events, or with one that the sensor cannot have made."""
    events = recording.events
    if not len(events):
        raise UserError("recording without events", recording.where)
    if max(events["x"].max(), events["y"].max()) >= sensor or min(events["x"].min(), events["y"].min()) < 0:
        raise UserError(f"an event lies outside the sensor of {sensor}×{sensor} pixels", recording.where)
    if events["p"].max() > 1:
        raise UserError(f"an event of polarity {events['p'].max()}", recording.where, "0 or 1 wanted")


def to_frames(recording: Recording, sensor: int, timesteps: int, bins: Bins) -> np.ndarray:
    """Counts (T, 2, sensor, sensor), int64. Raises UserError for a recording that cannot fill its frames."""
    events = recording.events
    if len(events) < timesteps:
        raise UserError(f"recording of {len(events)} events, {timesteps} frames wanted", recording.where)
    if (events["t"][1:] < events["t"][:-1]).any():
        events = events[np.argsort(events["t"], kind="stable")]
    edges = _edges(events["t"], timesteps, bins)
    if edges[0] == edges[-1]:
        raise UserError(f"recording too short for {timesteps} frames", recording.where)
    used = events[: edges[-1]]
    frame = np.repeat(np.arange(timesteps, dtype=np.int32), np.diff(edges))
    pixel = ((frame * 2 + used["p"]) * sensor + used["y"]) * sensor + used["x"]
    return np.bincount(pixel, minlength=timesteps * 2 * sensor**2).reshape(timesteps, 2, sensor, sensor)


def _edges(times: np.ndarray, timesteps: int, bins: Bins) -> np.ndarray:
    """(T + 1,): where each frame begins, and the last ends, among the events."""
    steps = np.arange(timesteps + 1)
    if bins == "count":
        return steps * (len(times) // timesteps)
    return np.searchsorted(times, times[0] + steps * ((times[-1] - times[0]) // timesteps))


def nearest(frames: np.ndarray, size: int) -> np.ndarray:
    """(T, 2, size, size): each pixel the one at ``floor(i · H / size)``."""
    height, width = frames.shape[-2:]
    rows, columns = np.arange(size) * height // size, np.arange(size) * width // size
    return frames[..., rows[:, None], columns]


def _in_order(recordings: Iterator[tuple[Recording, np.ndarray | None]]) -> dict[str, np.ndarray]:
    """What the cache keeps of all recordings, in the order of their digests: `LISTED` and, where made, frames."""
    listed, binned = [], []
    for recording, frames in recordings:
        raw = recording.events.tobytes()
        bare, sample = digest(0, raw), digest(recording.label, raw)
        listed.append((recording.label, recording.test, recording.place, len(recording.events), bare, sample))
        if frames is not None:
            binned.append(_compact(frames))
    labels, test, places, lengths, bare, digests = zip(*listed, strict=True)
    made = {"labels": np.array(labels, np.int64), "test": np.array(test, bool), "places": np.array(places)}
    made |= {"lengths": np.array(lengths), "bare": stacked(bare), "digests": stacked(digests)}
    order = in_order(made["digests"])
    made = {name: part[order] for name, part in made.items()}
    return made | ({"frames": _stacked(binned, order)} if binned else {})


def _stacked(frames: list[np.ndarray], order: np.ndarray) -> np.ndarray:
    """One array in the widest type of all, filled place by place: the parts are too large to copy twice."""
    whole = np.empty((len(frames), *frames[0].shape), np.result_type(*{each.dtype for each in frames}))
    for place, number in enumerate(order):
        whole[place], frames[number] = frames[number], frames[number][:0]
    return whole


def _compact(frames: np.ndarray) -> np.ndarray:
    """As bytes where the counts allow."""
    top = frames.max()
    return frames.astype(np.uint8 if top <= 255 else np.int16 if top <= 32767 else np.int32)
