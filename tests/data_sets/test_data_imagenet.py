"""ImageNet's folder, in small: real JPEGs of odd sizes, grey ones among them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_sets import all_of

import harness.data
from harness.errors import UserError
from harness.spec import Recipe

WNIDS = ("n01440764", "n01443537", "n02099601")
AUGMENTED = Recipe(epochs=1, size=32, augmentation=("resized-crop", "flip", "color-jitter"))


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HARNESS_WORKERS", "0")
    random = np.random.default_rng(2)
    for split, each in (("train", 4), ("val", 2)):
        for wnid in WNIDS:
            folder = tmp_path / "imagenet" / split / wnid
            folder.mkdir(parents=True)
            for number in range(each):
                height, width = random.integers(40, 90, 2)
                pixels = random.integers(0, 256, (height // 4, width // 4, 3), dtype=np.uint8)
                image = Image.fromarray(pixels).resize((int(width), int(height)))
                image.convert("L" if number == 1 else "RGB").save(folder / f"{wnid}_{number}.JPEG")
    return tmp_path


def load(root: Path, recipe: Recipe = AUGMENTED) -> harness.data.Data:
    return harness.data.load("imagenet", root, recipe, 4, device="cpu")


def test_folder_is_read_and_named(root: Path) -> None:
    data = load(root)
    assert (data.train.samples, data.test.samples, data.classes, data.shape) == (12, 6, 3, (3, 32, 32))
    assert data.identity == harness.data.identify("imagenet", root)
    assert data.identity.startswith("variant-")
    images, labels = all_of(data.test, batch=4)
    assert images.shape == (6, 3, 32, 32) and images.dtype == np.float32
    assert sorted(labels) == [0, 0, 1, 1, 2, 2] and labels.dtype == np.int64


def test_evaluation_is_resize_and_centre_crop(root: Path) -> None:
    from torchvision.transforms import v2

    reference = v2.Compose(
        [
            v2.PILToTensor(),
            v2.Resize(37, antialias=True),
            v2.CenterCrop(32),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )
    files = sorted((root / "imagenet" / "val").glob("*/*.JPEG"))
    expected = {reference(Image.open(file).convert("RGB")).numpy().round(3).tobytes() for file in files}
    images, _ = all_of(load(root).test)
    assert {image.round(3).tobytes() for image in images} == expected


def test_epochs_repeat_whatever_the_workers(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train = load(root).train
    once = list(all_of(train, epoch=(1, 2), batch=5))
    assert sorted(once[1]) == [0] * 4 + [1] * 4 + [2] * 4
    assert not np.array_equal(once[0], next(all_of(train, epoch=(1, 3), batch=5)))
    state = torch.random.get_rng_state()
    monkeypatch.setenv("HARNESS_WORKERS", "2")
    assert all(np.array_equal(a, b) for a, b in zip(once, all_of(train, epoch=(1, 2), batch=5), strict=True))
    assert torch.equal(torch.random.get_rng_state(), state)


def test_subset_and_size(root: Path) -> None:
    data = load(root, Recipe(epochs=1, train_samples=6, test_samples=3))
    assert data.shape == (3, 224, 224)
    assert sorted(list(all_of(data.train))[1]) == [0, 0, 1, 1, 2, 2]
    assert data.train.fingerprint != load(root).train.fingerprint


@pytest.mark.parametrize("workers", ["0", "1"])
def test_truncated_file_is_one_line(root: Path, monkeypatch: pytest.MonkeyPatch, workers: str) -> None:
    monkeypatch.setenv("HARNESS_WORKERS", workers)
    file = root / "imagenet" / "train" / WNIDS[1] / f"{WNIDS[1]}_2.JPEG"
    file.write_bytes(file.read_bytes()[:600])
    with pytest.raises(UserError) as caught:
        list(load(root).train.epoch(0, 0, 4))
    assert str(file) in str(caught.value) and "\n" not in str(caught.value)


def test_bad_folders_are_named(root: Path) -> None:
    folder = root / "imagenet" / "val" / WNIDS[2]
    for file in folder.iterdir():
        file.unlink()
    with pytest.raises(UserError, match=f"val/{WNIDS[2]}: class folder holds no image"):
        harness.data.identify("imagenet", root)
    folder.rmdir()
    with pytest.raises(UserError, match=f"class folder `{WNIDS[2]}` is missing in val/"):
        harness.data.locate("imagenet", root)


def test_listing_is_kept_until_files_come_or_go(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.data.sets import imagenet

    before = harness.data.identify("imagenet", root)
    with monkeypatch.context() as patch:
        patch.setattr(imagenet, "_listed", lambda *_: pytest.fail("walked again"))
        assert load(root).identity == before
    (root / "imagenet" / "train" / WNIDS[0] / f"{WNIDS[0]}_0.JPEG").unlink()
    assert harness.data.identify("imagenet", root) != before
