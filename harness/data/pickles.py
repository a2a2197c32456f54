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

_ALLOWED = frozenset({"_reconstruct", "ndarray", "dtype", "encode"})


class _Unpickler(pickle.Unpickler):
    """A batch holds lists, strings and one array; anything else in a pickle could run code."""

    def find_class(self, module: str, name: str) -> Any:
        if module.partition(".")[0] in ("numpy", "_codecs") and name in _ALLOWED:
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
        signature=cache.signature(together, folder),
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
        images = np.asarray(batch["data"], np.uint8).reshape(-1, 3, 32, 32)
        labels = np.asarray(batch[key], np.uint8).reshape(len(images))
    except (pickle.UnpicklingError, EOFError, KeyError, ValueError, TypeError, IndexError, OSError) as problem:
        raise UserError(f"damaged batch ({problem})", str(file), "unpack the archive again") from None
    return Samples(images, labels)


def _md5(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
