"""CIFAR's own container: pickled batches, in the folders that torchvision unpacks."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from harness.data import cache
from harness.data.base import SPLITS, Samples, Source
from harness.errors import UserError

_ALLOWED = {
    "numpy": {"ndarray", "dtype"},
    "numpy._core.multiarray": {"_reconstruct", "scalar"},
    "numpy._core.numeric": {"_frombuffer"},  # of protocol 5
    "_codecs": {"encode"},
}


class _Unpickler(pickle.Unpickler):
    """A batch holds lists, strings, numbers and one array; anything else in a pickle could run code."""

    def find_class(self, module: str, name: str) -> Any:
        module = module.replace("numpy.core.", "numpy._core.")  # as numpy called it until 1.26
        if name in _ALLOWED.get(module, ()):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"{module}.{name} has no place in a CIFAR batch")


def find_batches(folder: Path, md5: Mapping[str, Mapping[str, str]], labels: str) -> Source:
    """The batches in `folder`: `md5` gives, for each split, file -> published MD5; `labels` is the key of the labels.

    Raises UserError if one of the files is missing.
    """
    files = {split: [folder / name for name in md5[split]] for split in SPLITS}
    together = [file for split in SPLITS for file in files[split]]
    for file in together:
        if not file.is_file():
            raise UserError("batch file is missing", str(file), "unpack the archive again")
    return Source(
        kind="pickled batches",
        folder=folder,
        signature=cache.signed(together, folder, "batches", labels),
        read=lambda: {split: _read(files[split], labels) for split in SPLITS},
        verify=lambda: all(_md5(folder / name) == value for split in SPLITS for name, value in md5[split].items()),
    )


def _read(files: list[Path], key: str) -> Samples:
    parts = [_read_batch(file, key) for file in files]
    return Samples(np.concatenate([part.images for part in parts]), np.concatenate([part.labels for part in parts]))


def _read_batch(file: Path, key: str) -> Samples:
    try:
        with file.open("rb") as stream:
            batch = _Unpickler(stream, encoding="latin1").load()
    except Exception as problem:  # rubbish makes an unpickler raise anything
        raise UserError(f"damaged batch ({problem})", str(file), "unpack the archive again") from None
    images, labels = _part(batch, "data", file), _part(batch, key, file)
    if images.shape[1:] not in ((3 * 32 * 32,), (3, 32, 32)):
        shape = " × ".join(map(str, images.shape))
        raise UserError(
            f"`data` of {shape} values", str(file), "N × 3072 wanted: an image's red, then green, then blue"
        )
    if labels.shape != (len(images),):
        raise UserError(f"`{key}` of {labels.size} numbers, but {len(images)} images", str(file))
    if images.size and not 0 <= images.min() <= images.max() <= 255:
        raise UserError(f"`data` from {images.min()} to {images.max()}", str(file), "bytes wanted, 0 to 255")
    return Samples(images.astype(np.uint8).reshape(-1, 3, 32, 32), labels.astype(np.int64))


def _part(batch: Any, key: str, file: Path) -> np.ndarray:
    """One entry, under its name as text or as bytes: whole numbers. Raises UserError."""
    keys = (
        {name.decode("latin1") if isinstance(name, bytes) else name: name for name in batch}
        if isinstance(batch, dict)
        else {}
    )
    if key not in keys:
        told = ", ".join(map(str, keys)) or "nothing by a name"
        raise UserError(f"damaged batch (no `{key}`; it holds {told})", str(file), "unpack the archive again")
    try:
        values = np.asarray(batch[keys[key]])
    except ValueError:  # lists of several lengths
        raise UserError(f"`{key}` is no array", str(file), "whole numbers wanted") from None
    if values.dtype.kind not in "iu" or not values.ndim:
        raise UserError(f"`{key}` holds {values.dtype} values", str(file), "whole numbers wanted")
    return values


def _md5(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
