"""CIFAR10-DVS: 10,000 recordings of CIFAR-10 photographs moved before a 128×128 event camera (Li et al. 2017).

Read from the aedat4 files that tonic unpacks. Split, where the recipe names none: the files of a class in numerical
order, the first nine tenths train, the last tenth tests (9,000 / 1,000). Frames hold equal numbers of events, raw
counts, the nearest pixels of 48×48. No published fingerprint of the events was at hand, so the set is always named a
variant, by its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from harness.data import cache, register, splits
from harness.data.events import EVENT, EventSet, Recording, Recordings
from harness.data.sets.cifar10 import CLASSES
from harness.data.trees import check_classes, list_classes
from harness.errors import UserError

GET = "get it with tonic.datasets.CIFAR10DVS(save_to=root)"
SUFFIXES = frozenset({".aedat4", ".aedat"})
"""The older form is found only to be refused: its axes and polarity differ."""
OWN_SPLIT = "last-tenth"
EACH = 1000
"""Recordings of a class."""


def find(root: Path) -> Recordings:
    """The folders of the ten classes in ``root/CIFAR10DVS`` (tonic's place) or ``root/cifar10dvs``."""
    for folder in (root / "CIFAR10DVS", root / "cifar10dvs"):
        if folder.is_dir():
            return _recordings(folder)
    raise UserError(
        "no CIFAR10-DVS: looked for CIFAR10DVS/CLASS/*.aedat4 and cifar10dvs/CLASS/*.aedat4",
        str(root),
        f"{GET}, or name its folder with --data DIR",
    )


def read_events(file: Path) -> np.ndarray:
    """All events of a recording, dtype `EVENT`. Raises UserError for a damaged file or one without events."""
    from tonic.io import read_aedat4

    try:
        raw = read_aedat4(str(file))
    except BaseException as problem:  # the decoder is Rust: even its panics must name the file
        if isinstance(problem, KeyboardInterrupt | SystemExit):
            raise
        raise UserError(f"damaged recording, or without events ({problem})", str(file)) from None
    if not len(raw):
        raise UserError("recording without events", str(file))
    events = np.empty(len(raw), EVENT)
    for ours, theirs in zip(EVENT.names or (), raw.dtype.names, strict=True):
        events[ours] = raw[theirs]
    return events


def _read(listing: dict[str, list[Path]]) -> Iterator[Recording]:
    tests = splits.listed(OWN_SPLIT, _names(listing))
    for label, files in enumerate(listing.values()):
        for place, file in enumerate(files):
            yield Recording(bool(tests[label][place]), label, read_events(file), str(file), place)


def _names(listing: dict[str, list[Path]]) -> list[list[str]]:
    return [[file.stem for file in files] for files in listing.values()]


def _recordings(folder: Path) -> Recordings:
    found = list_classes(folder, SUFFIXES)
    listing = {name: sorted(files, key=lambda file: splits.numerically(file.stem)) for name, files in found.items()}
    check_classes(folder, list(listing), CLASSES)
    for name, files in listing.items():
        if len(files) < 2:
            raise UserError("one recording cannot be split into training and test", str(folder / name))
    together = [file for files in listing.values() for file in files]
    for file in together:
        if file.suffix.lower() != ".aedat4":
            raise UserError("a recording in the older .aedat form", str(file), "use the .aedat4 files only")
    signature = cache.signed(together, folder, "aedat4", OWN_SPLIT, *found)
    return Recordings("aedat4 recordings", folder, signature, lambda: _read(listing), _names(listing))


DATASET = register(
    EventSet(
        name="cifar10dvs",
        classes=10,
        find=find,
        sensor=128,
        size=48,
        bins="count",
        published=[[f"cifar10_{name}_{number}" for number in range(EACH)] for name in CLASSES],
        get=GET,
        complete={"train": 9_000, "test": 1_000},
    )
)
