"""One rule for all trees of class folders: what is a class, what a sample, and that nothing is left out in silence."""

from __future__ import annotations

import io
import os
import re
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_sets import TinyCifar, all_of, write_tree

import harness.data
from harness.data import trees
from harness.data.images import ImageSet
from harness.errors import UserError
from harness.spec import Recipe
from harness.verbs import doctor

Writer = Callable[[Path], Path]


def png(file: Path, value: int, size: tuple[int, int] = (32, 32)) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (value % 256, value // 256, 7)).save(file)


def cifar100(root: Path) -> Path:
    for split in ("train", "test"):
        for label in range(100):
            png(root / "cifar100" / split / f"c{label:02}" / "0.png", label + (split == "test") * 100)
    return root / "cifar100" / "train"


def imagenet(root: Path) -> Path:
    for split in ("train", "val"):
        for label in range(3):
            png(root / "imagenet" / split / f"n0000000{label}" / "0.png", label)
    return root / "imagenet" / "train"


def nmnist(root: Path) -> Path:
    for split in ("Train", "Test"):
        for label in range(10):
            file = root / "NMNIST" / split / str(label) / "0.bin"
            file.parent.mkdir(parents=True)
            file.write_bytes(bytes((label, 3, 0, 0, 1)) * 9)
    return root / "NMNIST" / "Train"


def cifar10dvs(root: Path) -> Path:
    """The listing alone is looked at, so that no recording need be true."""
    from harness.data.sets.cifar10 import CLASSES

    for name in CLASSES:
        for number in (1, 2):
            file = root / "CIFAR10DVS" / name / f"cifar10_{name}_{number}.aedat4"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"recording")
    return root / "CIFAR10DVS"


ALL = {"cifar100": cifar100, "imagenet": imagenet, "nmnist": nmnist, "cifar10dvs": cifar10dvs}


@pytest.mark.parametrize("name", ALL)
def test_what_systems_leave_behind_is_passed_over_in_every_tree(name: str, tmp_path: Path) -> None:
    split = ALL[name](tmp_path)
    ask = harness.data.locate if name == "cifar10dvs" else harness.data.identify
    before = ask(name, tmp_path)
    one = next(path for path in split.iterdir())
    sample = next(one.iterdir())
    for folder in (".ipynb_checkpoints", "__MACOSX", "@eaDir"):
        for place in (split, one):
            (place / folder).mkdir()
            shutil.copy(sample, place / folder / sample.name)
    for left in (f"._{sample.name}", ".DS_Store", "Thumbs.db", "desktop.ini", "labels.csv", "README.txt"):
        (one / left).write_bytes(b"rubbish")
        (split / left).write_bytes(b"rubbish")
    assert ask(name, tmp_path) == before


@pytest.mark.parametrize("name", ALL)
def test_what_would_be_left_out_is_refused_in_every_tree(name: str, tmp_path: Path) -> None:
    split = ALL[name](tmp_path)
    one = next(path for path in split.iterdir())
    sample = next(one.iterdir())
    (one / "images").mkdir()
    deeper = shutil.copy(sample, one / "images" / sample.name)
    with pytest.raises(UserError, match=rf"images: a folder within a class; move its files up into {one.name}/"):
        harness.data.locate(name, tmp_path)
    shutil.rmtree(Path(deeper).parent)
    (one / "more.npz").write_bytes(b"")
    with pytest.raises(UserError, match=r"more\.npz: a file of another kind \(\.npz\); taken are"):
        harness.data.locate(name, tmp_path)
    (one / "more.npz").unlink()
    shutil.copy(sample, split / sample.name)
    with pytest.raises(UserError, match="a sample beside the class folders"):
        harness.data.locate(name, tmp_path)


def test_every_kind_of_image_is_a_sample(tmp_path: Path, tiny_cifar: TinyCifar) -> None:
    root = write_tree(tmp_path, tiny_cifar)
    before = harness.data.identify("cifar10", root)
    for file, suffix in zip(
        sorted((root / "cifar10/train/cat").iterdir()), (".webp", ".bmp", ".TIFF", ".ppm"), strict=True
    ):
        with Image.open(file) as image:
            image.save(file.with_suffix(suffix), **({"lossless": True} if suffix == ".webp" else {}))
        file.unlink()
    assert harness.data.identify("cifar10", root) == before


def test_folders_that_are_numbers_count_as_numbers(tmp_path: Path) -> None:
    for split in ("train", "test"):
        for label in range(12):
            png(tmp_path / "numbers" / split / str(label) / "0.png", label, (4, 4))
    listing = trees.list_classes(tmp_path / "numbers" / "train", trees.IMAGES)
    assert list(listing) == [str(label) for label in range(12)]
    (tmp_path / "numbers/train/07").mkdir()
    with pytest.raises(UserError, match="class folders `07` and `7` have one number"):
        trees.list_classes(tmp_path / "numbers" / "train", trees.IMAGES)
    assert trees.in_order(["b10", "b9", "B"], tmp_path) == ["B", "b10", "b9"]


def wide(root: Path, classes: int, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A set as CONTRIBUTING tells to add one."""
    for split in ("train", "test"):
        for label in range(classes):
            png(root / "leaves" / split / f"kind{label:03}" / "0.png", label, (8, 8))
    leaves = ImageSet(
        name="leaves", classes=classes, mean=(0.5,) * 3, std=(0.25,) * 3, size=8,
        find=lambda root: trees.find_tree(root / "leaves", (3, 8, 8), classes=classes),
    )  # fmt: skip
    monkeypatch.setitem(harness.data._SETS, "leaves", leaves)
    return root


def test_more_than_256_classes_keep_their_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = wide(tmp_path, 300, monkeypatch)
    data = harness.data.load("leaves", root, Recipe(epochs=1), 1, device="cpu")
    images, labels = all_of(data.train)
    assert sorted(labels) == list(range(300))
    bytes_ = np.rint((images * 0.25 + 0.5) * 255)[:, :, 0, 0].astype(int)
    assert np.array_equal(bytes_[:, 0] + 256 * bytes_[:, 1], labels)


def test_the_label_of_a_digest_is_as_many_bytes_as_it_takes() -> None:
    import hashlib

    from harness.data.fingerprint import digest

    for label, prefix in ((0, b"\0"), (255, b"\xff"), (256, b"\x01\0"), (70_000, b"\x01\x11\x70")):
        assert digest(label, b"pixels") == hashlib.sha256(prefix + b"pixels").digest()


def save(kind: str, file: Path) -> None:
    grey = np.arange(32 * 32, dtype=np.uint16).reshape(32, 32) * 60
    if kind == "16 bits":
        Image.fromarray(grey).save(file)
    elif kind == "float":
        Image.fromarray(grey.astype(np.float32)).save(file.with_suffix(".tiff"))
        file.unlink()
    else:
        frames = [Image.new("RGB", (32, 32), (level, 0, 0)) for level in (0, 99)]
        frames[0].save(file, save_all=True, append_images=frames[1:])


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("16 bits", r"image of more than 8 bits a channel \(mode I;16\); convert it to 8 bits"),
        ("float", r"image of more than 8 bits a channel \(mode F\)"),
        ("frames", "2 images in one file; keep one of them"),
    ],
)
def test_images_whose_pixels_would_be_others_are_refused(
    kind: str, told: str, tmp_path: Path, tiny_cifar: TinyCifar
) -> None:
    file = next((write_tree(tmp_path, tiny_cifar) / "cifar10" / "test" / "cat").iterdir())
    save(kind, file)
    with pytest.raises(UserError, match=told):
        harness.data.identify("cifar10", tmp_path)
    from harness.data import decoders, pictures

    (file,) = (path for path in file.parent.iterdir() if path.stem == file.stem)
    with pytest.raises(pictures.Unfit):
        decoders.decoded(file.read_bytes())


def test_a_hole_under_the_name_of_an_image_is_not_read(tmp_path: Path, tiny_cifar: TinyCifar) -> None:
    file = min((write_tree(tmp_path, tiny_cifar) / "cifar10").rglob("*.png"))
    os.truncate(file, 50 << 30)
    with pytest.raises(UserError, match=re.escape(f"{file}: an image of 50.0 GiB; put the true one in its place")):
        harness.data.examine("cifar10", tmp_path)


def test_a_name_that_is_no_text_stops_nothing(tmp_path: Path, tiny_cifar: TinyCifar) -> None:
    root = write_tree(tmp_path, tiny_cifar)
    before = harness.data.identify("cifar10", root)
    file = next((root / "cifar10" / "test" / "cat").iterdir())
    file.rename(os.fsdecode(os.fsencode(file.parent) + b"/caf\xe9.png"))
    assert harness.data.identify("cifar10", root) == before
    assert doctor._dataset("cifar10", root).state == "note"
    imagenet(tmp_path)
    odd = os.fsencode(tmp_path / "imagenet/train/n00000000") + b"/\xff.png"
    shutil.copy(tmp_path / "imagenet/train/n00000000/0.png", odd)
    assert harness.data.load("imagenet", tmp_path, Recipe(epochs=1, size=8), 1, device="cpu").train.samples == 4


def test_only_files_are_samples(tmp_path: Path, tiny_cifar: TinyCifar) -> None:
    os.mkfifo(write_tree(tmp_path, tiny_cifar) / "cifar10" / "test" / "cat" / "pipe.png")
    with pytest.raises(UserError, match=r"pipe\.png: no regular file"):
        harness.data.locate("cifar10", tmp_path)


# --- ImageNet's other forms -------------------------------------------------------------------------------------------


def jpeg(value: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (9, 9), (value, 0, 0)).save(stream, "JPEG")
    return stream.getvalue()


def shard(file: Path, members: dict[str, bytes]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(file, "w") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


def pairs(keys: dict[str, int]) -> dict[str, bytes]:
    images = {f"{key}.jpg": jpeg(number) for number, key in enumerate(keys)}
    return images | {f"{key}.cls": str(label).encode() for key, label in keys.items()}


def shards(root: Path, train: dict[str, int], val: dict[str, int]) -> Path:
    shard(root / "imagenet/train/0.tar", pairs(train))
    shard(root / "imagenet/val/0.tar", pairs(val))
    return root


def test_the_key_of_a_shard_is_a_whole_path(tmp_path: Path) -> None:
    """The case that was reported: 4 of 20 images were kept, all of one class."""
    keys = {f"n0000000{label}/{number}": label for label in range(5) for number in range(4)}
    data = harness.data.load("imagenet", shards(tmp_path, keys, keys), Recipe(epochs=1, size=8), 1, device="cpu")
    assert (data.train.samples, data.classes) == (20, 5)
    images, labels = all_of(data.test)
    assert sorted(labels) == sorted(keys.values())
    red = {
        round(float(image[0, 4, 4] * 0.229 + 0.485) * 255): label for image, label in zip(images, labels, strict=True)
    }
    assert all(label == min(red_, 19) // 4 for red_, label in red.items()) and len(red) > 10


def test_a_key_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    shards(tmp_path, {"a": 0}, {"a": 0})
    shard(tmp_path / "imagenet/train/0.tar", pairs({"a": 0}) | {"a.png": jpeg(3)})
    with pytest.raises(UserError, match=r"0\.tar: `a` is there twice"):
        harness.data.identify("imagenet", tmp_path)


def test_hidden_members_of_archives_are_passed_over(tmp_path: Path) -> None:
    shards(tmp_path, {"a": 0}, {"a": 0})
    before = harness.data.identify("imagenet", tmp_path)
    shard(
        tmp_path / "imagenet/train/0.tar", pairs({"a": 0}) | {"./._a.jpg": b"", "__MACOSX/b.jpg": b"", ".x/c.cls": b"z"}
    )
    assert harness.data.identify("imagenet", tmp_path) == before


@pytest.mark.parametrize(
    ("train", "val", "told"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, "no image of class 0, but of 2; class ids count from 0"),
        ({"a": 0, "b": 1204}, {"a": 0}, "labels from 0 to 1204; those of 1000 classes are 0 to 999"),
        ({"a": 0, "b": 2}, {"a": 0}, "no image of class 1, but of 2"),
        ({"a": 0, "b": 1}, {"a": 2}, "val: labels from 2 to 2; those of 2 classes are 0 to 1"),
    ],
)
def test_class_ids_are_held_against_the_classes(
    train: dict[str, int], val: dict[str, int], told: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=told):
        harness.data.identify("imagenet", shards(tmp_path, train, val))


def test_a_tar_that_is_cut_anywhere_is_refused(tmp_path: Path) -> None:
    root = shards(tmp_path, {str(number): number for number in range(3)}, {"0": 0})
    file = root / "imagenet/train/0.tar"
    whole = file.read_bytes()
    with tarfile.open(file) as archive:
        ends = [entry.offset for entry in archive] + [archive.offset]
    for length in (*ends[1:], *(end + 100 for end in ends), ends[-1] + 511):
        file.write_bytes(whole[:length])
        with pytest.raises(UserError, match=r"0\.tar: damaged archive"):
            harness.data.identify("imagenet", root)
    file.write_bytes(whole[: ends[-1] + 512])  # one block of zeros is an end
    harness.data.identify("imagenet", root)
    for content in (whole + whole, whole[: ends[1]] + b"x" * 512 + whole[ends[1] + 512 :]):
        file.write_bytes(content)
        with pytest.raises(UserError, match=r"rubbish, or a second archive, from byte \d+ on"):
            harness.data.identify("imagenet", root)


def test_tiny_imagenet_as_published_is_told_what_would_do(tmp_path: Path) -> None:
    imagenet(tmp_path)
    val = tmp_path / "imagenet" / "val"
    shutil.rmtree(val)
    png(val / "images" / "val_0.JPEG", 1)
    (val / "val_annotations.txt").write_text("val_0.JPEG\tn00000000\t0\t0\t1\t1\n")
    with pytest.raises(
        UserError, match=r"as Tiny ImageNet comes; move each of images/ into a folder named by its class"
    ):
        harness.data.locate("imagenet", tmp_path)


def test_an_archive_that_was_not_unpacked_is_missed(tmp_path: Path) -> None:
    split = imagenet(tmp_path)
    (split / "n00000001.tar").write_bytes(b"")  # unpacked, and kept
    harness.data.locate("imagenet", tmp_path)
    (split / "n00000007.tar").write_bytes(b"")
    with pytest.raises(UserError, match=r"archive `n00000007\.tar` beside class folders"):
        harness.data.locate("imagenet", tmp_path)
