"""Image trees: ``SPLIT/CLASS/*.png`` (or jpg). Class ids count the sorted class names."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from harness.data import cache
from harness.data.base import SPLITS, Samples, Source
from harness.errors import UserError, did_you_mean

IMAGES = frozenset({".png", ".jpg", ".jpeg"})


def find_tree(folder: Path, shape: tuple[int, int, int], classes: int | Sequence[str]) -> Source:
    """The tree in `folder` ({train,test}/CLASS/*); images must have `shape` (C, H, W).

    `classes`: their names, or how many there must be. Raises UserError for a missing, empty or unknown class folder.
    """
    listing = {split: list_classes(folder / split, IMAGES) for split in SPLITS}
    for split in SPLITS:
        check_classes(folder / split, list(listing[split]), classes)
    for name in listing["train"].keys() ^ listing["test"].keys():
        there, missing = SPLITS if name in listing["train"] else SPLITS[::-1]
        raise UserError(f"class folder `{name}` is missing; it is in {there}/", str(folder / missing))
    files = [file for split in SPLITS for group in listing[split].values() for file in group]
    return Source(
        kind="image tree",
        folder=folder,
        signature=cache.signature(files, folder),
        read=lambda: {split: _read(listing[split], shape) for split in SPLITS},
    )


def list_classes(folder: Path, suffixes: frozenset[str]) -> dict[str, list[Path]]:
    """Class name -> its files with one of `suffixes`, both sorted. Raises UserError for a folder without any."""
    if not folder.is_dir():
        wanted = f"{folder.parent.name}/ wants {folder.name}/ with a folder a class in it"
        raise UserError("no such folder", str(folder), wanted)
    listing = {}
    for group in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
        with os.scandir(group) as entries:
            names = sorted(entry.name for entry in entries if Path(entry.name).suffix.lower() in suffixes)
        if not names:
            raise UserError(f"class folder holds no {' or '.join(sorted(suffixes))} file", str(group))
        listing[group.name] = [group / name for name in names]
    return listing


def check_classes(folder: Path, found: list[str], classes: int | Sequence[str]) -> None:
    """Raise UserError unless the class folders `found` in `folder` are the expected ones (or as many)."""
    if isinstance(classes, int):
        if len(found) != classes:
            raise UserError(f"{len(found)} class folders, {classes} expected", str(folder))
        return
    for name in sorted(set(found) - set(classes)):
        raise UserError(f"unknown class folder `{name}`", str(folder), did_you_mean(name, classes))
    if missing := sorted(set(classes) - set(found)):
        raise UserError(f"no folder for class `{missing[0]}`", str(folder), f"needed: {', '.join(sorted(classes))}")


def _read(listing: dict[str, list[Path]], shape: tuple[int, int, int]) -> Samples:
    files = [file for group in listing.values() for file in group]
    labels = np.repeat(np.arange(len(listing), dtype=np.uint8), [len(group) for group in listing.values()])
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:  # decoding releases the interpreter's lock
        images = list(pool.map(lambda file: read_image(file, shape), files))
    return Samples(np.stack(images), labels)


def read_image(file: Path, shape: tuple[int, int, int]) -> np.ndarray:
    """uint8 (C, H, W). Raises UserError for a damaged file or another size than `shape`."""
    from PIL import Image, UnidentifiedImageError

    channels, height, width = shape
    try:
        with Image.open(file) as image:
            pixels = np.asarray(image.convert("RGB" if channels == 3 else "L"))
    except (OSError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError) as problem:
        raise UserError(f"damaged image ({problem})", str(file), "copy it again from the source") from None
    if pixels.shape[:2] != (height, width):
        got = f"{pixels.shape[1]}×{pixels.shape[0]}"
        raise UserError(f"image of {got} pixels, {width}×{height} expected", str(file))
    return np.ascontiguousarray(pixels.reshape(height, width, channels).transpose(2, 0, 1))
