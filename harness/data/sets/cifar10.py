"""CIFAR-10: 50,000 + 10,000 colour photographs of 32×32 pixels in ten classes (Krizhevsky 2009).

Label byte: 0-9, the ten class names in alphabetical order, as in the batch files.
"""

from __future__ import annotations

from pathlib import Path

from harness.data import register
from harness.data.base import Source
from harness.data.images import ImageSet
from harness.data.pickles import find_batches
from harness.data.trees import find_tree
from harness.errors import UserError

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
GET = "get it with torchvision.datasets.CIFAR10(root, download=True)"
BATCHES = "cifar-10-batches-py"
MD5 = {
    "train": {
        "data_batch_1": "c99cafc152244af753f735de768cd75f",
        "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    },
    "test": {"test_batch": "40351d587109b95175f43aff81a1287e"},
}


def find(root: Path) -> Source:
    """torchvision's folder, in `root` or in ``root/cifar10``; else the image tree there."""
    for folder in (root / BATCHES, root / "cifar10" / BATCHES):
        if folder.is_dir():
            return find_batches(folder, MD5, "labels")
    if (root / "cifar10").is_dir():
        return find_tree(root / "cifar10", (3, 32, 32), CLASSES)
    raise UserError(
        f"no CIFAR-10: looked for {BATCHES}/ and cifar10/{{train,test}}/CLASS/*.png",
        str(root),
        f"{GET}, or name its folder with --data DIR",
    )


DATASET = register(
    ImageSet(
        name="cifar10",
        classes=10,
        find=find,
        mean=(0.4914, 0.4822, 0.4465),
        std=(0.2023, 0.1994, 0.2010),  # the usual constants, as in the released code
        size=32,
        get=GET,
        complete={"train": 50_000, "test": 10_000},
        official={
            "train": "55a61f79a40ece2ceda9fb5f9f7078f6ea2fc4952489cef56682bcf92cfcc260",
            "test": "325704b01eb92e1e2a6215ae6a916bb7db7de054af0c496be1c7be2e0fcfbf5f",
        },
    )
)
