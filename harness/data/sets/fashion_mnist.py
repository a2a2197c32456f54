"""Fashion-MNIST: 60,000 + 10,000 grey pictures of 28×28 pixels, ten kinds of clothing (Xiao et al. 2017).

Label byte: 0-9 as in the IDX files. The official fingerprints were taken from the Debian package's files, which are the
published ones: with the original gzip headers (names, time stamps of 31 August 2017) put back, all four have the MD5
that torchvision checks.
"""

from __future__ import annotations

from pathlib import Path

from harness.data import register
from harness.data.base import Source
from harness.data.idx import WANTED, find_idx
from harness.data.images import ImageSet
from harness.errors import UserError

GET = "apt-get install dataset-fashion-mnist"
DEBIAN = Path("/usr/share/datasets/fashion-mnist")
"""Where the Debian package puts the files."""


def find(root: Path) -> Source:
    """The user's own files first, the Debian package's otherwise."""
    for folder in (root / "fashion-mnist", root / "FashionMNIST" / "raw", DEBIAN):
        if source := find_idx(folder):
            return source
    raise UserError(
        f"no Fashion-MNIST: looked for {', '.join(WANTED)}, .gz or not, "
        f"in fashion-mnist/, FashionMNIST/raw/ and {DEBIAN}",
        str(root),
        f"{GET}, or put them there",
    )


DATASET = register(
    ImageSet(
        name="fashion-mnist",
        classes=10,
        find=find,
        mean=(0.286041,),
        std=(0.353024,),  # of the training set
        size=28,
        get=GET,
        complete={"train": 60_000, "test": 10_000},
        official={
            "train": "0c69d5cdeb902b69084012f812f066de080317bb3c64f43ca87f910d8ec86906",
            "test": "90c92c0507755a7d443edde8297ce4d0f131e42884e2e87e7fc9b81ffe215258",
        },
    )
)
