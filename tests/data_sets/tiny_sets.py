"""Writers of small data sets in their true formats, and a reader of whole passes."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from harness.data.base import Samples
from harness.data.sets.cifar10 import CLASSES

TinyCifar = dict[str, Samples]


def write_tree(root: Path, samples: TinyCifar) -> Path:
    """``root/cifar10/{train,test}/CLASS/*.png``; returns `root`."""
    for split, (images, labels) in ((split, (part.images, part.labels)) for split, part in samples.items()):
        for number, (image, label) in enumerate(zip(images, labels, strict=True)):
            folder = root / "cifar10" / split / CLASSES[label]
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image.transpose(1, 2, 0)).save(folder / f"{number}.png")
    return root


def write_batches(root: Path, samples: TinyCifar) -> Path:
    """torchvision's ``root/cifar-10-batches-py``, the training set in five pickled batches; returns `root`."""
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    parts = {f"data_batch_{n + 1}": ("train", slice(n, None, 5)) for n in range(5)} | {
        "test_batch": ("test", slice(None))
    }
    for name, (split, part) in parts.items():
        images, labels = samples[split].images[part], samples[split].labels[part]
        batch = {"data": images.reshape(len(images), -1), "labels": labels.tolist(), "batch_label": name}
        (folder / name).write_bytes(pickle.dumps(batch, protocol=2))
    return root


def write_recording(file: Path, events: np.ndarray) -> None:
    """A true aedat4 file with `events` (fields t, x, y, p), written by the camera maker's own library."""
    import dv_processing as dv

    file.parent.mkdir(parents=True, exist_ok=True)
    writer = dv.io.MonoCameraWriter(str(file), dv.io.MonoCameraWriter.EventOnlyConfig("DVS", (128, 128)))
    store = dv.EventStore()
    for t, x, y, p in events.tolist():
        store.push_back(t, x, y, bool(p))
    writer.writeEvents(store)


def random_events(count: int, seed: int) -> np.ndarray:
    """`count` events on 128×128 pixels within 0.1 s, ascending."""
    from harness.data.events import EVENT

    random = np.random.default_rng(seed)
    events = np.empty(count, EVENT)
    events["t"] = np.sort(random.integers(1_000_000, 1_100_000, count))
    events["x"], events["y"] = random.integers(0, 128, (2, count))
    events["p"] = random.integers(0, 2, count)
    return events


def all_of(split: object, *, epoch: tuple[int, int] | None = None, batch: int = 16) -> Iterator[np.ndarray]:
    """The images and the labels of a whole pass, as arrays."""
    passes = split.batches(batch) if epoch is None else split.epoch(*epoch, batch)  # type: ignore[attr-defined]
    images, labels = zip(*passes, strict=True)
    batch_axis = 1 if images[0].dim() == 5 else 0
    yield np.concatenate([part.numpy() for part in images], axis=batch_axis)
    yield np.concatenate([part.numpy() for part in labels])
