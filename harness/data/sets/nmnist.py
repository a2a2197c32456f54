"""N-MNIST: MNIST's 60,000 + 10,000 digits moved before a 34×34 event camera in three saccades (Orchard et al. 2015).

Read with tonic from ``NMNIST/{Train,Test}/LABEL/*.bin``, the published layout; any part of the set will do, for smoke
runs of the event path on real events. Frames share the time equally. No published fingerprint was at hand, so the set
is always named a variant, by its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from harness.data import cache, register
from harness.data.events import EVENT, EventSet, Recording, Recordings
from harness.data.trees import check_classes, list_classes
from harness.errors import UserError

CLASSES = tuple("0123456789")
GET = "get it with tonic.datasets.NMNIST(save_to=root)"
FOLDERS = {"Train": False, "Test": True}


def find(root: Path) -> Recordings:
    """The folders of the ten digits in ``root/NMNIST`` (tonic's place) or ``root/nmnist``."""
    for folder in (root / "NMNIST", root / "nmnist"):
        if folder.is_dir():
            return _recordings(folder)
    raise UserError(
        "no N-MNIST: looked for NMNIST/{Train,Test}/LABEL/*.bin",
        str(root),
        f"{GET}, or name its folder with --data DIR",
    )


def read_events(file: Path) -> np.ndarray:
    """All events of a recording, dtype `EVENT`. Raises UserError for a damaged file or one without events."""
    from tonic.datasets import NMNIST
    from tonic.io import read_mnist_file

    if not (size := file.stat().st_size):
        raise UserError("recording without events", str(file))
    if size % 5:
        raise UserError("damaged recording (cut in the middle of an event)", str(file), "copy it again from the source")
    raw = read_mnist_file(str(file), dtype=NMNIST.dtype)
    events = np.empty(len(raw), EVENT)
    for name in EVENT.names or ():
        events[name] = raw[name]
    return events


def _read(listing: dict[str, dict[str, list[Path]]]) -> Iterator[Recording]:
    for folder, classes in listing.items():
        for name, files in classes.items():
            for place, file in enumerate(files):
                yield Recording(FOLDERS[folder], int(name), read_events(file), str(file), place)


def _recordings(folder: Path) -> Recordings:
    listing = {name: list_classes(folder / name, frozenset({".bin"})) for name in FOLDERS}
    for name, classes in listing.items():
        check_classes(folder / name, list(classes), CLASSES)
    together = [file for classes in listing.values() for files in classes.values() for file in files]
    return Recordings("bin recordings", folder, cache.signed(together, folder, "bin"), lambda: _read(listing))


DATASET = register(
    EventSet(
        name="nmnist",
        classes=10,
        find=find,
        sensor=34,
        size=34,
        bins="time",
        get=GET,
        complete={"train": 60_000, "test": 10_000},
    )
)
