"""Digits-events: scikit-learn's digits, each moved before a simulated event camera. For smoke runs of the event path.

A digit, enlarged to 16×16, moves along a triangle of three saccades (as N-MNIST's did) by half and quarter pixels. A
pixel emits an ON or OFF event whenever its brightness (0-16) has changed by `THRESHOLD` since its last one. All steps
are exact in float64, so every machine makes the same events. Split as for digits; frames share the time equally.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from harness.data import cache, register
from harness.data.events import EVENT, EventSet, Recording, Recordings
from harness.data.sets import digits

SENSOR = 16
CORNERS = ((-2, -2), (2, 0), (-2, 2), (-2, -2))
"""(y, x) of the triangle, in pixels."""
STEPS = 8
"""Positions along each side."""
STEP_TIME = 12_500
"""µs from one position to the next: 100 ms a saccade, as in N-MNIST."""
THRESHOLD = 2.0


def find(root: Path) -> Recordings:
    """Made from the installed scikit-learn's digits."""
    source = digits.find(root)
    key = cache.key(source.key, Path(__file__).read_text())  # a change of the camera makes them anew
    return Recordings(f"simulated from {source.kind}", source.folder, key, read)


def read() -> Iterator[Recording]:
    for split, samples in digits.read().items():
        recordings = simulate(samples.images[:, 0])
        for number, (label, events) in enumerate(zip(samples.labels, recordings, strict=True)):
            yield Recording(split == "test", int(label), events, f"digits-events, {split} sample {number}")


def simulate(images: np.ndarray) -> list[np.ndarray]:
    """One recording (dtype `EVENT`, by time) for each digit of `images` (N, 8, 8), all digits at once."""
    scene = np.pad(_doubled(images.astype(np.float64)), ((0, 0), (3, 3), (3, 3)))
    seen = _at(scene, *CORNERS[0])  # the brightness at each pixel's last event
    parts = []
    for step, (y, x) in enumerate(_path()):
        change = _at(scene, y, x) - seen
        count = np.floor(np.abs(change) / THRESHOLD).astype(np.int64)
        seen += np.sign(change) * count * THRESHOLD
        parts.append(_events(count, change > 0, step))
    digit = np.concatenate([number for number, _ in parts])
    events = np.concatenate([emitted for _, emitted in parts])
    order = np.lexsort((events["x"], events["y"], events["t"], digit))
    bounds = np.cumsum(np.bincount(digit, minlength=len(images)))[:-1]
    return np.split(events[order], bounds)


def _path() -> Iterator[tuple[float, float]]:
    """Positions (y, x) after the first, side by side."""
    for (y0, x0), (y1, x1) in itertools.pairwise(CORNERS):
        for part in range(1, STEPS + 1):
            yield y0 + (y1 - y0) * part / STEPS, x0 + (x1 - x0) * part / STEPS


def _doubled(images: np.ndarray) -> np.ndarray:
    """(N, 8, 8) to (N, 16, 16), bilinear: neighbours weigh ¾ and ¼, the border is repeated."""
    for axis in (1, 2):
        edge = np.pad(images, [(1, 1) if each == axis else (0, 0) for each in range(3)], mode="edge")
        before, here, after = (np.moveaxis(edge, axis, 0)[i : i + images.shape[axis]] for i in range(3))
        pairs = np.stack([0.75 * here + 0.25 * before, 0.75 * here + 0.25 * after], axis=1)
        images = np.moveaxis(pairs.reshape(-1, *pairs.shape[2:]), 0, axis)
    return images


def _at(scene: np.ndarray, y: float, x: float) -> np.ndarray:
    """What the sensor sees (N, 16, 16) with the padded scene (N, 22, 22) shifted by (y, x) pixels, bilinear."""
    for axis, shift in ((1, y), (2, x)):
        start = 3 - shift
        whole = int(np.floor(start))
        part = start - whole
        near, far = (np.take(scene, range(first, first + SENSOR), axis) for first in (whole, whole + 1))
        scene = (1 - part) * near + part * far
    return scene


def _events(count: np.ndarray, on: np.ndarray, step: int) -> tuple[np.ndarray, np.ndarray]:
    """The digit of each event, and the events: `count` (N, 16, 16) of each pixel, spread evenly over the step."""
    digit, y, x = np.nonzero(count)
    repeats = count[digit, y, x]
    turn = np.arange(repeats.sum()) - np.repeat(np.cumsum(repeats) - repeats, repeats)  # 0, 1, … within its pixel
    events = np.empty(len(turn), EVENT)
    events["t"] = step * STEP_TIME + (turn + 1) * STEP_TIME // (np.repeat(repeats, repeats) + 1)
    events["x"], events["y"] = np.repeat(x, repeats), np.repeat(y, repeats)
    events["p"] = np.repeat(on[digit, y, x], repeats)
    return np.repeat(digit, repeats), events


DATASET = register(
    EventSet(
        name="digits-events",
        classes=10,
        find=find,
        sensor=SENSOR,
        size=SENSOR,
        bins="time",
        official={
            "train": "59faf14c96c4e1230045164e8bcd7a7d3b39bed8cfb93ffbab726757a891bc2e",
            "test": "b0ba8e8002e85c655c507aa1ba1ed0049df3f2e1edffdc8ab635a17e08f06dee",
        },
    )
)
