"""The MNIST family's container: IDX files, gzipped or not."""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from harness.data import cache
from harness.data.base import SPLITS, Samples, Source
from harness.errors import UserError

PREFIX = {"train": "train", "test": "t10k"}


WANTED = [f"{PREFIX[split]}-{part}-ubyte" for split in SPLITS for part in ("images-idx3", "labels-idx1")]


def find_idx(folder: Path) -> Source | None:
    """The four IDX files in `folder`; None if there is none of them. Raises UserError if some are missing."""
    found = {name: path for name in WANTED for path in _spellings(folder, name) if path.is_file()}
    if not found:
        return None
    for name in WANTED:
        if name not in found:
            raise UserError("IDX file is missing", str(folder / name), f"needed, plain or .gz: {', '.join(WANTED)}")

    def read() -> dict[str, Samples]:
        return {
            split: _split(found[f"{prefix}-images-idx3-ubyte"], found[f"{prefix}-labels-idx1-ubyte"])
            for split, prefix in PREFIX.items()
        }

    return Source("IDX files", folder, cache.signed(found.values(), folder, "idx"), read)


def _spellings(folder: Path, name: str) -> Iterator[Path]:
    """With a dot too, as some tools unpack them: ``train-images.idx3-ubyte``."""
    for spelled in (name.replace("-idx", ".idx"), name):
        yield from (folder / f"{spelled}.gz", folder / spelled)


def _split(images: Path, labels: Path) -> Samples:
    pixels, classes = read_idx(images, dimensions=3), read_idx(labels, dimensions=1)
    if len(pixels) != len(classes):
        raise UserError(f"{len(pixels)} images, but {len(classes)} labels in {labels.name}", str(images))
    return Samples(pixels[:, None], classes)


def read_idx(file: Path, dimensions: int) -> np.ndarray:
    """The bytes of an IDX file as an array of that many dimensions. Raises UserError for a damaged file."""
    try:
        content = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    except (OSError, EOFError, zlib.error) as problem:
        raise UserError(f"damaged IDX file ({problem})", str(file), "copy it again from the source") from None
    header = 4 + 4 * dimensions  # magic: two zero bytes, the type (8: unsigned bytes), the number of dimensions
    if len(content) < header or content[:4] != bytes((0, 0, 8, dimensions)):
        raise UserError(f"not an IDX file of unsigned bytes in {dimensions} dimensions", str(file))
    shape = np.frombuffer(content, ">u4", dimensions, offset=4).tolist()
    if len(content) != header + math.prod(shape):
        missing = f"{len(content) - header} bytes of values, {math.prod(shape)} announced"
        raise UserError(f"damaged IDX file ({missing})", str(file), "copy it again from the source")
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)
