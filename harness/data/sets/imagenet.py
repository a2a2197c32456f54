"""ImageNet (ILSVRC 2012): 1.28 million training photographs in 1,000 classes, 50,000 for validation, as files.

Read from ``imagenet/{train,val}/WNID/*.JPEG``, decoded while training (not kept in memory); class ids count the sorted
WordNet ids. Samples are identified by class, file name and size in bytes, since reading 140 GiB to plan is too dear;
no published fingerprint of that kind was at hand, so the set is always named a variant, by its own.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from harness.data import cache, register
from harness.data.base import SPLITS, Data
from harness.data.fingerprint import combine, identity, in_order
from harness.errors import UserError
from harness.spec import Recipe

if TYPE_CHECKING:
    import torch

FOLDERS = {"train": "train", "test": "val"}
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SIZE = 224


@dataclass(frozen=True, kw_only=True)
class ImageNet:
    name: str = "imagenet"

    def locate(self, root: Path) -> str:
        folder, listing = _find(root)
        return f"image files of {len(listing['train'])} classes in {folder}"

    def identify(self, root: Path) -> str:
        return identity(_kept(root, ("fingerprints",))[1]["fingerprints"])

    def load(self, root: Path, recipe: Recipe, timesteps: int, device: torch.device) -> Data:
        """`timesteps` is not used: a still image is shown at every step, by the network."""
        from harness.data.augment import chosen
        from harness.data.files import Decoded, FileSplit
        from harness.data.memory import normalisation, subset

        size = recipe.size or SIZE
        folder, kept = _kept(root, ("fingerprints", *(f"{split}_{part}" for split in SPLITS for part in PARTS)))
        counts = {"train": recipe.train_samples, "test": recipe.test_samples}
        augmentations = {"train": chosen(recipe.augmentation), "test": ()}
        splits = {}
        for split in SPLITS:
            files, labels, digests = (kept[f"{split}_{part}"] for part in PARTS)
            picked, fingerprint = subset(labels, digests, counts[split], f"ImageNet's {split} set")
            decoded = Decoded(folder / FOLDERS[split], files[picked], labels[picked], size, augmentations[split])
            splits[split] = FileSplit(decoded=decoded, fingerprint=fingerprint, **normalisation(MEAN, STD, device))
        name = identity(kept["fingerprints"])
        classes = int(kept["train_labels"].max()) + 1
        return Data(name=self.name, classes=classes, shape=(3, size, size), identity=name, **splits)


PARTS = ("files", "labels", "digests")


def _find(root: Path) -> tuple[Path, dict[str, list[Path]]]:
    """The folder, and the class folders of each split. Raises UserError unless both splits have the same ones."""
    folder = root / "imagenet"
    if not folder.is_dir():
        raise UserError(
            "no ImageNet: looked for imagenet/{train,val}/WNID/*.JPEG",
            str(root),
            "unpack ILSVRC2012 from image-net.org there, a folder for each class, or name its folder with --data DIR",
        )
    listing = {}
    for split, name in FOLDERS.items():
        if not (folder / name).is_dir():
            raise UserError(f"no folder {name}/", str(folder), "a class folder for each WordNet id belongs in it")
        listing[split] = sorted(path for path in (folder / name).iterdir() if path.is_dir())
    have = {split: {path.name for path in listing[split]} for split in SPLITS}
    if odd := sorted(have["train"] ^ have["test"]):
        missing = FOLDERS["test" if odd[0] in have["train"] else "train"]
        raise UserError(f"class folder `{odd[0]}` is missing in {missing}/", str(folder))
    if not have["train"]:
        raise UserError("no class folder", str(folder / "train"))
    return folder, listing


def _kept(root: Path, wanted: tuple[str, ...]) -> tuple[Path, dict[str, np.ndarray]]:
    """The folder, and the cached listing: walked again when a class folder's time says that files came or went."""
    folder, listing = _find(root)
    times = [(path.parent.name, path.name, path.stat().st_mtime_ns) for split in SPLITS for path in listing[split]]
    key = f"imagenet-{cache.key(folder.resolve(), *times)}"
    return folder, cache.arrays(key, wanted, lambda: _listed(folder, listing))


def _listed(folder: Path, listing: dict[str, list[Path]]) -> dict[str, np.ndarray]:
    """For each split files (bytes, relative), labels and digests, in the order of the digests."""
    from timm.data.readers.reader_image_folder import find_images_and_targets

    made: dict[str, np.ndarray] = {}
    for split, name in FOLDERS.items():
        base = folder / name
        ids = {path.name: number for number, path in enumerate(listing[split])}
        pairs, _ = find_images_and_targets(str(base), class_to_idx=ids)
        labels = np.array([label for _, label in pairs], np.int64)
        for number in np.flatnonzero(np.bincount(labels, minlength=len(ids)) == 0):
            raise UserError("class folder holds no image", str(listing[split][number]))
        files = [os.path.relpath(file, base) for file, _ in pairs]
        sizes = [Path(file).stat().st_size for file, _ in pairs]
        samples = zip(files, sizes, strict=True)
        digest = np.stack([_digest(f"{Path(file).as_posix()}\0{size}") for file, size in samples])
        order = in_order(digest)
        made |= {f"{split}_files": np.array([os.fsencode(file) for file in files])[order]}
        made |= {f"{split}_labels": labels[order], f"{split}_digests": digest[order]}
    made["fingerprints"] = np.array([combine(made[f"{split}_digests"]) for split in SPLITS])
    return made


def _digest(sample: str) -> np.ndarray:
    return np.frombuffer(hashlib.sha256(sample.encode(errors="surrogateescape")).digest(), np.uint8)


DATASET = register(ImageNet())
