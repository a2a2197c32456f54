"""Trees of class folders: ``CLASS/FILE``. One rule for every set, of images as of recordings.

A class is a folder, a sample a file in it with one of the set's suffixes, in whatever case. Names that begin with a
dot, and what systems leave behind, are passed over, folders as files; so are notes (`README.txt`). Anything else is
refused, for it would be left out in silence: a file of another kind, a folder within a class, a sample beside the class
folders. Class ids count the sorted names; where all are numbers, they are sorted as numbers.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from harness.data import cache, pictures
from harness.data.base import SPLITS, Samples, Source
from harness.errors import UserError, did_you_mean

IMAGES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".ppm", ".pgm", ".tif", ".tiff"})
LEFT_BEHIND = frozenset({"__MACOSX", "@eaDir", "Thumbs.db", "desktop.ini", "Icon\r"})
NOTES = frozenset({".txt", ".md", ".rst", ".csv", ".tsv", ".json", ".xml", ".yaml", ".yml", ".html", ".pdf", ".log"})
"""Suffixes of what may lie beside samples, as Tiny ImageNet's boxes do."""

MOST = 2**26
"""Bytes of an image of known shape, in whatever format."""


def find_tree(folder: Path, shape: tuple[int, int, int], classes: int | Sequence[str]) -> Source:
    """The tree in `folder` ({train,test}/CLASS/*); images must have `shape` (C, H, W).

    `classes`: their names, or how many there must be. Raises UserError for a missing, empty or unknown class folder.
    """
    listing = {split: list_classes(folder / split, IMAGES) for split in SPLITS}
    for split in SPLITS:
        check_classes(folder / split, list(listing[split]), classes)
    check_alike(folder, {split: (split, listing[split]) for split in SPLITS})
    files = [file for split in SPLITS for group in listing[split].values() for file in group]
    _check_sizes(files)
    return Source(
        kind="image tree",
        folder=folder,
        signature=cache.signed(files, folder, "tree", shape, *listing["train"], pictures.decoder()),
        read=lambda: {split: _read(listing[split], shape) for split in SPLITS},
    )


def list_classes(folder: Path, suffixes: frozenset[str]) -> dict[str, list[Path]]:
    """Class name -> its files, both in order. Raises UserError for a folder without any, or with what has no place."""
    if not folder.is_dir():
        wanted = f"{folder.parent.name}/ wants {folder.name}/ with a folder a class in it"
        raise UserError("no such folder", str(folder), wanted)
    groups = []
    for entry in _entries(folder):
        if entry.is_dir():
            groups.append(entry.name)
        elif Path(entry.name).suffix.lower() in suffixes:
            raise UserError("a sample beside the class folders", entry.path, "move it into the folder of its class")
    return {name: _samples(folder / name, suffixes) for name in in_order(groups, folder)}


def _samples(group: Path, suffixes: frozenset[str]) -> list[Path]:
    names = []
    for entry in _entries(group):
        if entry.is_dir():
            raise UserError("a folder within a class", entry.path, f"move its files up into {group.name}/, remove it")
        if is_sample(entry.name, suffixes, entry.path):
            names.append(entry.name)
    if not names:
        wanted = "image" if suffixes == IMAGES else f"{' or '.join(sorted(suffixes))} file"
        raise UserError(f"class folder holds no {wanted}", str(group))
    return [group / name for name in sorted(names)]


def _check_sizes(files: Iterable[Path]) -> None:
    """Before they are read: a hole of gigabytes under an image's name takes minutes."""
    for file in files:
        if (size := file.stat().st_size) > MOST:
            raise UserError(f"an image of {size / 2**30:.1f} GiB", str(file), "put the true one in its place")


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return [entry for entry in entries if not is_hidden(entry.name)]


def is_hidden(name: str) -> bool:
    """Whether a file or folder is passed over, whatever it holds."""
    return name.startswith(".") or name in LEFT_BEHIND


def is_sample(name: str, suffixes: frozenset[str], where: str) -> bool:
    """False for a note. Raises UserError for a file that is neither."""
    suffix = Path(name).suffix.lower()
    if suffix in suffixes or suffix in NOTES:
        return suffix in suffixes
    taken = ", ".join(sorted(suffixes))
    raise UserError(f"a file of another kind ({suffix or 'no suffix'})", where, f"taken are {taken}; move it elsewhere")


def in_order(names: Iterable[str], folder: Path) -> list[str]:
    """Class names sorted: as numbers where all are, 9 before 10. Raises UserError for two of one number."""
    names = sorted(names)
    if not all(name.isascii() and name.isdigit() for name in names):
        return names
    names.sort(key=int)
    for one, next_one in itertools.pairwise(names):
        if int(one) == int(next_one):
            raise UserError(f"class folders `{one}` and `{next_one}` have one number", str(folder))
    return names


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


def check_alike(folder: Path, found: Mapping[str, tuple[str, Iterable[str]]]) -> None:
    """Raise UserError unless both splits, (folder, classes) each, have the same classes."""
    (train, known), (test, seen) = (found[split] for split in SPLITS)
    known, seen = set(known), set(seen)
    for name in sorted(known ^ seen):
        there, missing = (train, test) if name in known else (test, train)
        raise UserError(f"class `{name}` is missing in {missing}/; it is in {there}/", str(folder))


def _read(listing: dict[str, list[Path]], shape: tuple[int, int, int]) -> Samples:
    files = [file for group in listing.values() for file in group]
    labels = np.repeat(np.arange(len(listing)), [len(group) for group in listing.values()])
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:  # decoding releases the interpreter's lock
        images = list(pool.map(lambda file: read_image(file, shape), files))
    return Samples(np.stack(images), labels)


def read_image(file: Path, shape: tuple[int, int, int]) -> np.ndarray:
    """uint8 (C, H, W). Raises UserError for a damaged file or another size than `shape`."""
    channels, height, width = shape
    try:
        pixels = np.asarray(pictures.decoded(file, "RGB" if channels == 3 else "L"))
    except pictures.Damaged as problem:
        raise problem.at(str(file)) from None
    if pixels.shape[:2] != (height, width):
        got = f"{pixels.shape[1]}×{pixels.shape[0]}"
        raise UserError(f"image of {got} pixels, {width}×{height} expected", str(file))
    return np.ascontiguousarray(pixels.reshape(height, width, channels).transpose(2, 0, 1))
