"""ImageNet (ILSVRC 2012): 1.28 million training photographs in 1,000 classes, 50,000 for validation, as files.

Read, and decoded while training, from ``imagenet/{train,val}/``, each of which holds either a folder a class
(``WNID/*.JPEG``), or an archive a class (``WNID.tar``, as the published training archive unpacks to), or shards as
webdataset writes them (``*.tar`` of ``KEY.jpg`` with ``KEY.cls``, KEY a whole path). Class ids count the sorted names,
as in every tree (`harness/data/trees.py`); shards bring their own, which must be 0, 1, … without a gap. Samples are
identified by class, file name and size in bytes, since reading 140 GiB to plan is too dear; no published fingerprint of
that kind was at hand, so the set is always named a variant, by its own.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from harness.data import archives, cache, register
from harness.data.base import SPLITS, Data, constants, refuse
from harness.data.fingerprint import combine, identity, in_order, stacked
from harness.data.images import check_labels
from harness.data.trees import IMAGES, check_alike, is_hidden, is_sample, list_classes
from harness.data.trees import in_order as in_class_order
from harness.errors import UserError
from harness.spec import Recipe

if TYPE_CHECKING:
    import torch

FOLDERS = {"train": "train", "test": "val"}
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SIZE, CLASSES = 224, 1000
GET = "unpack ILSVRC2012 from image-net.org there, a folder for each class"
PARTS = ("files", "offsets", "sizes", "labels", "digests")
WNID = re.compile(r"n\d{8}")
TINY = "val_annotations.txt"
"""Beside the validation images of Tiny ImageNet, which tells their classes."""


@dataclass(frozen=True, kw_only=True)
class ImageNet:
    name: str = "imagenet"
    complete: Mapping[str, int] = field(default_factory=lambda: {"train": 1_281_167, "test": 50_000})
    official: None = None
    get: str = GET

    def locate(self, root: Path) -> str:
        folder, stores = _find(root)
        return " and ".join(f"{store.said} in {folder / FOLDERS[split]}" for split, store in stores.items())

    def identify(self, root: Path) -> str:
        return identity(_kept(root, ("fingerprints",))[1]["fingerprints"])

    def samples(self, root: Path) -> dict[str, int]:
        kept = _kept(root, tuple(f"{split}_labels" for split in SPLITS))[1]
        return {split: len(kept[f"{split}_labels"]) for split in SPLITS}

    def remarks(self, root: Path) -> list[str]:
        """Nothing: to tell duplicates, all would have to be read."""
        return []

    def frame(self, recipe: Recipe) -> tuple[tuple[int, int, int], int]:
        size = recipe.size or SIZE
        return (3, size, size), CLASSES

    def load(self, root: Path, recipe: Recipe, timesteps: int, device: torch.device) -> Data:
        """`timesteps` is not used: a still image is shown at every step, by the network."""
        from harness.data import decoders
        from harness.data.augment import chosen
        from harness.data.files import FileSplit, Prepared, Stored
        from harness.data.memory import Order, normalisation, subset

        refuse(recipe, self.name, "bins", "split")
        size = recipe.size or SIZE
        on_device = decoders.chosen(recipe.decoder, device) == decoders.ON_DEVICE
        folder, kept = _kept(root, ("fingerprints", *(f"{split}_{part}" for split in SPLITS for part in PARTS)))
        normalise = normalisation(*constants(recipe, MEAN, STD, self.name), device)
        order = Order(recipe.shuffled, recipe.partial_batch)
        counts = {"train": recipe.train_samples, "test": recipe.test_samples}
        augmentations = {"train": chosen(recipe.augmentation), "test": ()}
        splits = {}
        for split in SPLITS:
            *where, labels, digests = (kept[f"{split}_{part}"] for part in PARTS)
            picked, fingerprint = subset(labels, digests, counts[split], f"ImageNet's {split} set")
            stored = Stored(folder / FOLDERS[split], *(part[picked] for part in where))
            prepared = Prepared(stored, labels[picked], size, augmentations[split], on_device)
            splits[split] = FileSplit(
                prepared=prepared,
                fingerprint=fingerprint,
                scale=normalise["scale"],
                shift=normalise["shift"],
                order=order,
            )
        name = identity(kept["fingerprints"])
        classes = int(kept["train_labels"].max()) + 1
        return Data(name=self.name, classes=classes, shape=(3, size, size), identity=name, **splits)


class Sample(NamedTuple):
    file: str
    """Relative to the folder of its split."""
    offset: int
    size: int
    label: int
    identity: str
    """Class and name of the image: the same in a folder and in an archive of that class."""


@dataclass(frozen=True)
class Store:
    """One split in one of its forms."""

    said: str
    files: list[Path]
    """Images or archives."""
    classes: list[str] | None
    """None: the shards alone know."""
    read: Callable[[], Iterator[Sample]]


def _find(root: Path) -> tuple[Path, dict[str, Store]]:
    """The folder, and the store of each split. Raises UserError unless both splits have the same classes."""
    folder = root / "imagenet"
    if not folder.is_dir():
        raise UserError(
            "no ImageNet: looked for imagenet/{train,val}/WNID/*.JPEG, /WNID.tar and /*.tar (webdataset)",
            str(root),
            f"{GET}, or name its folder with --data DIR",
        )
    stores = {split: _store(folder, name) for split, name in FOLDERS.items()}
    if all(store.classes is not None for store in stores.values()):
        check_alike(folder, {split: (FOLDERS[split], store.classes or ()) for split, store in stores.items()})
    return folder, stores


def _store(folder: Path, name: str) -> Store:
    base = folder / name
    if not base.is_dir():
        raise UserError(f"no folder {name}/", str(folder), "a class folder for each WordNet id belongs in it")
    if (base / TINY).is_file() and (base / "images").is_dir():
        advice = f"move each of images/ into a folder named by its class, the second word of its line in {TINY}"
        raise UserError("validation images as Tiny ImageNet comes", str(base), advice)
    entries = sorted(path for path in base.iterdir() if not is_hidden(path.name))
    folders, tars = ([path for path in entries if kind(path)] for kind in (Path.is_dir, _is_tar))
    if folders:
        if lone := sorted({tar.stem for tar in tars} - {path.name for path in folders}):
            raise UserError(
                f"archive `{lone[0]}.tar` beside class folders, and no folder of that name", str(base), "unpack it"
            )
        listing = list_classes(base, IMAGES)
        files = [file for group in listing.values() for file in group]
        return Store(f"image files of {len(listing)} classes", files, list(listing), lambda: _files(base, listing))
    if not tars:
        what = "no class folder and no archive"
        if any(path.suffix.lower() in IMAGES for path in entries):
            what = "images without class folders"
        raise UserError(what, str(base), "sort the images into a folder for each WordNet id")
    if all(WNID.fullmatch(path.stem) for path in tars):
        by_name = {path.stem: path for path in tars}
        classes = in_class_order(by_name, base)
        return Store(
            f"archives of {len(tars)} classes", tars, classes, lambda: _class_archives([by_name[c] for c in classes])
        )
    return Store(f"{len(tars)} shards", tars, None, lambda: _shards(tars))


def _is_tar(path: Path) -> bool:
    return path.suffix.lower() == ".tar"


def _files(base: Path, listing: Mapping[str, list[Path]]) -> Iterator[Sample]:
    for label, files in enumerate(listing.values()):
        for file in files:
            relative = os.path.relpath(file, base)
            if not (size := file.stat().st_size):
                raise UserError("empty image file", str(file), "copy it again from the source")
            yield Sample(relative, -1, size, label, Path(relative).as_posix())


def _class_archives(tars: list[Path]) -> Iterator[Sample]:
    for label, tar in enumerate(tars):
        found = [member for member in _members(tar) if is_sample(member.name, IMAGES, f"{tar}: {member.name}")]
        if not found:
            raise UserError("archive holds no image", str(tar))
        for member in found:
            yield Sample(tar.name, member.offset, member.size, label, f"{tar.stem}/{Path(member.name).name}")


def _shards(tars: list[Path]) -> Iterator[Sample]:
    for tar in tars:
        images: dict[str, archives.Member] = {}
        labels: dict[str, int] = {}
        for member in _members(tar):
            place, slash, name = member.name.rpartition("/")
            name, _, kind = name.partition(".")
            key, image = f"{place}{slash}{name}", f".{kind}".lower() in IMAGES
            if key in (images if image else labels if kind == "cls" else ()):
                raise UserError(f"`{key}` is there twice", str(tar), "KEY, a whole path, has one image and one class")
            if image:
                images[key] = member
            elif kind == "cls":
                labels[key] = _class_id(tar, member)
        for key in sorted(images.keys() ^ labels.keys()):
            missing = "class" if key in images else "image"
            raise UserError(f"no {missing} for `{key}`", str(tar), "KEY.jpg and KEY.cls go together")
        if not images:
            raise UserError("shard holds no image", str(tar), "members are KEY.jpg and KEY.cls")
        for key, member in images.items():
            name = key.rpartition("/")[2]  # as it was named before whole paths were told apart
            yield Sample(tar.name, member.offset, member.size, labels[key], f"{labels[key]}/{name}")


def _members(tar: Path) -> Iterator[archives.Member]:
    for member in archives.members(tar):
        if not any(is_hidden(part) for part in member.name.split("/") if part != "."):
            yield member


def _class_id(tar: Path, member: archives.Member) -> int:
    with tar.open("rb") as stream:
        stream.seek(member.offset)
        written = stream.read(member.size)
    if not written.strip().isdigit():
        raise UserError(f"{member.name} is no class number", str(tar))
    return int(written)


def _kept(root: Path, wanted: tuple[str, ...]) -> tuple[Path, dict[str, np.ndarray]]:
    """The folder, and the cached listing: made again when the time of a folder or archive says that it changed."""
    folder, stores = _find(root)
    signatures = [cache.signature(store.files) for store in stores.values()]
    key = f"imagenet-{cache.key(folder.resolve(), PARTS, *signatures)}"
    return folder, cache.arrays(key, wanted, lambda: _listed(folder, stores))


def _check_classes(folder: Path, labels: Mapping[str, np.ndarray]) -> None:
    """Raise UserError unless the training images have the classes 0, 1, … without a gap, the others no further one."""
    known = np.unique(labels["train"])
    check_labels(known, CLASSES, str(folder / FOLDERS["train"]))
    if len(gaps := np.setdiff1d(np.arange(known[-1] + 1), known)):
        where = str(folder / FOLDERS["train"])
        raise UserError(
            f"no image of class {gaps[0]}, but of {known[-1]}", where, "class ids count from 0, without a gap"
        )
    check_labels(labels["test"], len(known), str(folder / FOLDERS["test"]))


def _listed(folder: Path, stores: dict[str, Store]) -> dict[str, np.ndarray]:
    """For each split the `PARTS`, in the order of the digests."""
    made: dict[str, np.ndarray] = {}
    for split, store in stores.items():
        files, offsets, sizes, labels, identities = zip(*store.read(), strict=True)
        digest = stacked([_digest(f"{name}\0{size}") for name, size in zip(identities, sizes, strict=True)])
        parts = (np.array([os.fsencode(file) for file in files]), np.array(offsets), np.array(sizes), np.array(labels))
        order = in_order(digest)
        made |= {f"{split}_{name}": part[order] for name, part in zip(PARTS, (*parts, digest), strict=True)}
    _check_classes(folder, {split: made[f"{split}_labels"] for split in SPLITS})
    made["fingerprints"] = np.array([combine(made[f"{split}_digests"]) for split in SPLITS])
    return made


def _digest(sample: str) -> bytes:
    return hashlib.sha256(sample.encode(errors="surrogateescape")).digest()


DATASET = register(ImageNet())
