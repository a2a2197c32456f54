"""ImageNet in small, in each of its forms: real JPEGs of odd sizes, grey ones among them."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_sets import all_of

import harness.data
from harness.data import decoders, files
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
    with pytest.raises(UserError, match=f"class `{WNIDS[2]}` is missing in val/"):
        harness.data.locate("imagenet", root)


def test_listing_is_kept_until_files_come_or_go(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.data.sets import imagenet

    before = harness.data.identify("imagenet", root)
    with monkeypatch.context() as patch:
        patch.setattr(imagenet, "_listed", lambda *_: pytest.fail("walked again"))
        assert load(root).identity == before
    (root / "imagenet" / "train" / WNIDS[0] / f"{WNIDS[0]}_0.JPEG").unlink()
    assert harness.data.identify("imagenet", root) != before


def packed(root: Path, to: Path, form: str) -> Path:
    """The images that `root` holds in folders, as an archive a class or as two shards a split, webdataset's way."""
    for split in ("train", "val"):
        (to / "imagenet" / split).mkdir(parents=True)
        pictures = sorted((root / "imagenet" / split).glob("*/*.JPEG"))
        for number, picture in enumerate(pictures):
            label, wnid = WNIDS.index(picture.parent.name), picture.parent.name
            name = f"{wnid}.tar" if form == "archives" else f"shard-{number % 2}.tar"
            with tarfile.open(to / "imagenet" / split / name, "a") as archive:
                if form == "archives":
                    archive.add(picture, picture.name)
                else:
                    archive.add(picture, f"{picture.stem}.jpg")
                    add(archive, f"{picture.stem}.cls", str(label).encode())
    return to


def add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))


@pytest.mark.parametrize("form", ["archives", "shards"])
def test_archives_hold_what_folders_hold(root: Path, tmp_path: Path, form: str) -> None:
    folders, tars = load(root), load(packed(root, tmp_path / "packed", form))
    assert (tars.train.samples, tars.test.samples, tars.classes) == (12, 6, 3)
    if form == "archives":  # the same classes and names: the same set, in the same order
        assert tars.identity == folders.identity
        assert all(np.array_equal(a, b) for a, b in zip(all_of(tars.test), all_of(folders.test), strict=True))
    rows = [
        {(image.tobytes(), int(label)) for image, label in zip(*all_of(data.test), strict=True)}
        for data in (folders, tars)
    ]
    assert rows[0] == rows[1]


def test_damaged_archives_are_named(root: Path, tmp_path: Path) -> None:
    to = packed(root, tmp_path / "packed", "archives")
    tar = to / "imagenet" / "train" / f"{WNIDS[1]}.tar"
    whole = tar.read_bytes()
    tar.write_bytes(whole[:2000])
    with pytest.raises(UserError, match=rf"{WNIDS[1]}\.tar: damaged archive"):
        harness.data.identify("imagenet", to)
    with tarfile.open(tar, "w") as archive:
        add(archive, "readme.txt", b"none")
    with pytest.raises(UserError, match=rf"{WNIDS[1]}\.tar: archive holds no image"):
        harness.data.identify("imagenet", to)
    with tarfile.open(tar, "w") as archive:
        add(archive, "bad.JPEG", b"\xff\xd8rubbish")
    with pytest.raises(UserError, match=rf"{WNIDS[1]}\.tar: bad\.JPEG: damaged image"):
        list(load(to).train.epoch(0, 0, 4))


def test_bad_shards_are_named(root: Path, tmp_path: Path) -> None:
    tar = packed(root, tmp_path / "packed", "shards") / "imagenet" / "val" / "shard-1.tar"
    for name, content, told in (
        ("lone.jpg", b"\xff\xd8", "no class for `lone`"),
        ("lone.cls", b"2", "no image for `lone`"),
        ("odd.cls", b"cat", "odd.cls is no class number"),
    ):
        with tarfile.open(tar, "w") as archive:
            add(archive, name, content)
        with pytest.raises(UserError, match=rf"shard-1\.tar: {told}"):
            harness.data.identify("imagenet", tmp_path / "packed")


def test_images_without_class_folders_are_told(root: Path) -> None:
    val = root / "imagenet" / "val"
    for file in sorted(val.glob("*/*")):
        file.rename(val / file.name)
    for folder in [path for path in val.iterdir() if path.is_dir()]:
        folder.rmdir()
    with pytest.raises(UserError, match="val: images without class folders; sort the images"):
        harness.data.locate("imagenet", root)


def test_empty_file_is_named(root: Path) -> None:
    file = root / "imagenet" / "val" / WNIDS[0] / f"{WNIDS[0]}_1.JPEG"
    file.write_bytes(b"")
    with pytest.raises(UserError, match=rf"{WNIDS[0]}_1\.JPEG: empty image file"):
        harness.data.identify("imagenet", root)


@pytest.mark.parametrize("kind", ["RGB", "L", "CMYK", "PNG"])
def test_decoding_is_pils_to_the_bit(kind: str) -> None:
    pixels = np.random.default_rng(4).integers(0, 256, (12, 17, 3), dtype=np.uint8)
    image, stream = Image.fromarray(pixels).resize((170, 120)), io.BytesIO()
    image.convert("RGB" if kind == "PNG" else kind).save(stream, "PNG" if kind == "PNG" else "JPEG")
    expected = np.asarray(Image.open(io.BytesIO(stream.getvalue())).convert("RGB")).transpose(2, 0, 1)
    assert np.array_equal(decoders.decoded(stream.getvalue()), expected)


def test_a_torchvision_without_decoder_changes_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = list(all_of(load(root).train, epoch=(1, 2)))

    def gone(*_: object, **__: object) -> None:
        raise ImportError

    monkeypatch.setattr(decoders, "_jpeg", gone)
    assert all(np.array_equal(a, b) for a, b in zip(expected, all_of(load(root).train, epoch=(1, 2)), strict=True))


def test_decoding_on_the_device_gives_the_same_crops(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The path of a decoder on the GPU, with the processor in its place: the same draws, so the same pixels."""
    expected = list(all_of(load(root).train, epoch=(1, 2), batch=5))
    with pytest.raises(UserError, match="decoder `nvjpeg` needs a CUDA device; take `libjpeg`"):
        load(root, Recipe(epochs=1, decoder="nvjpeg"))
    with pytest.raises(UserError, match="unknown decoder `nvjpg`; did you mean `nvjpeg`"):
        load(root, Recipe(epochs=1, decoder="nvjpg"))
    monkeypatch.setattr(decoders, "chosen", lambda *_: decoders.ON_DEVICE)
    train = load(root).train
    assert isinstance(train, files.FileSplit) and train.prepared.on_device
    assert all(np.array_equal(a, b) for a, b in zip(expected, all_of(train, epoch=(1, 2), batch=5), strict=True))
    file = root / "imagenet" / "train" / WNIDS[1] / f"{WNIDS[1]}_2.JPEG"
    file.write_bytes(file.read_bytes()[:600])
    with pytest.raises(UserError, match=rf"{file.name}: damaged image"):
        list(train.epoch(0, 0, 4))
