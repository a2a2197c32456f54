"""CIFAR-100: 50,000 + 10,000 colour photographs of 32×32 pixels in a hundred classes (Krizhevsky 2009).

Label byte: the fine label, 0-99, the class names in alphabetical order, as in the batch files. Nobody published a
fingerprint: these are of a public image tree whose means and deviations equal the published constants, and of the batch
files, which prove themselves by their published MD5; both agree.
"""

from __future__ import annotations

from pathlib import Path

from harness.data import register
from harness.data.base import Source
from harness.data.images import ImageSet
from harness.data.pickles import find_batches
from harness.data.trees import find_tree
from harness.errors import UserError

GET = "get it with torchvision.datasets.CIFAR100(root, download=True)"
BATCHES = "cifar-100-python"
MD5 = {
    "train": {"train": "16019d7e3df5f24257cddd939b257f8d"},
    "test": {"test": "f0ef6b0ae62326f3e7ffdfab6717acfc"},
}


def find(root: Path) -> Source:
    """torchvision's folder, in `root` or in ``root/cifar100``; else the image tree there, by fine class."""
    for folder in (root / BATCHES, root / "cifar100" / BATCHES):
        if folder.is_dir():
            return find_batches(folder, MD5, "fine_labels")
    if (root / "cifar100").is_dir():
        return find_tree(root / "cifar100", (3, 32, 32), 100)
    raise UserError(
        f"no CIFAR-100: looked for {BATCHES}/ and cifar100/{{train,test}}/CLASS/*.png",
        str(root),
        f"{GET}, or name its folder with --data DIR",
    )


DATASET = register(
    ImageSet(
        name="cifar100",
        classes=100,
        find=find,
        mean=(0.5071, 0.4867, 0.4408),
        std=(0.2675, 0.2565, 0.2761),  # the usual constants, as in the released code
        size=32,
        get=GET,
        complete={"train": 50_000, "test": 10_000},
        official={
            "train": "6d2a03c47c105e4c34d3a2ff16c2803e8df0e5d6fa0c631e46663a327aeac573",
            "test": "381b7d98ce1e9b98232a8df0db0a22992654c39ff2433270656ab8ace5a45e65",
        },
    )
)
