"""In-memory image sets: containers, identity, subsets, seeded epochs, bad files."""

from __future__ import annotations

import gzip
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_sets import TinyCifar, all_of, write_batches, write_tree

import harness.data
from harness.data import fingerprint, memory, pickles
from harness.data.base import Samples
from harness.data.sets import cifar10, cifar100, digits, fashion_mnist
from harness.errors import UserError
from harness.spec import Recipe

AUGMENTED = Recipe(epochs=1, augmentation=("crop", "flip", "cutout"))


def load(name: str, root: Path | None, recipe: Recipe = AUGMENTED) -> harness.data.Data:
    return harness.data.load(name, root, recipe, 1, device="cpu")


def same(left: object, right: object, **how: object) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(all_of(left, **how), all_of(right, **how), strict=True))  # type: ignore[arg-type]


def test_tree_and_batches_are_one_and_the_same(tmp_path: Path, tiny_cifar: TinyCifar) -> None:
    trees_root, batches_root = write_tree(tmp_path / "a", tiny_cifar), write_batches(tmp_path / "b", tiny_cifar)
    tree, batches = load("cifar10", trees_root), load("cifar10", batches_root)
    assert harness.data.identify("cifar10", trees_root) == harness.data.identify("cifar10", batches_root)
    assert tree.identity == batches.identity == harness.data.identify("cifar10", trees_root)
    assert tree.identity.startswith("variant-") and len(tree.identity) == len("variant-") + 12
    assert tree.train.fingerprint == batches.train.fingerprint
    assert same(tree.train, batches.train, epoch=(3, 4)) and same(tree.test, batches.test)


def test_one_changed_pixel_is_another_set(tmp_path: Path, tiny_cifar: TinyCifar) -> None:
    before = harness.data.identify("cifar10", write_batches(tmp_path / "a", tiny_cifar))
    tiny_cifar["test"].images[0, 0, 0, 0] ^= 1
    assert harness.data.identify("cifar10", write_batches(tmp_path / "b", tiny_cifar)) != before


def test_fingerprint_is_the_stated_formula(tiny_cifar: TinyCifar) -> None:
    import hashlib

    part = tiny_cifar["test"]
    each = sorted(
        hashlib.sha256(bytes([label]) + image.tobytes()).digest()
        for image, label in zip(part.images, part.labels, strict=True)
    )
    assert (
        fingerprint.combine(fingerprint.digests(part.images, part.labels)) == hashlib.sha256(b"".join(each)).hexdigest()
    )


def test_official_digits_and_their_split() -> None:
    data = load("digits", None, Recipe(epochs=1))
    assert (data.identity, data.classes, data.shape) == ("official", 10, (1, 16, 16))
    assert (data.train.samples, data.test.samples) == (1437, 360)
    pixels, labels = all_of(data.test, batch=100)
    assert pixels.dtype == np.float32 and labels.dtype == np.int64
    assert np.bincount(labels).tolist() == [36] * 10
    pixels, _ = all_of(data.train, batch=100)
    assert abs(pixels.mean()) < 1e-4 and abs(pixels.std() - 1) < 1e-4


def test_digits_splits_share_no_picture() -> None:
    raw = digits.read()
    seen = [{image.tobytes() for image in raw[split].images} for split in ("train", "test")]
    assert not seen[0] & seen[1]


def test_real_cifar10_is_official() -> None:
    root = Path(os.environ.get("HARNESS_DATA") or "nowhere")
    try:
        harness.data.locate("cifar10", root)
    except UserError:
        pytest.skip("no CIFAR-10 in $HARNESS_DATA")
    data = load("cifar10", root)
    assert data.identity == "official"
    assert data.train.fingerprint == cifar10.DATASET.official["train"]  # type: ignore[index]
    pixels, labels = all_of(data.train, batch=5000)
    assert np.bincount(labels).tolist() == [5000] * 10
    assert np.abs(pixels.mean((0, 2, 3))).max() < 1e-3


def test_published_checksums_are_torchvisions() -> None:
    from torchvision.datasets import CIFAR10, CIFAR100

    for ours, theirs in ((cifar10, CIFAR10), (cifar100, CIFAR100)):
        assert theirs.base_folder == ours.BATCHES
        assert list(ours.MD5["train"].items()) == [tuple(pair) for pair in theirs.train_list]
        assert list(ours.MD5["test"].items()) == [tuple(pair) for pair in theirs.test_list]


def test_cifar100_is_official_by_checksum_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import hashlib
    import pickle

    folder = tmp_path / "cifar-100-python"
    folder.mkdir()
    for name, count in (("train", 200), ("test", 100)):
        fine = [number % 100 for number in range(count)]
        pixels = np.random.default_rng(count).integers(0, 256, (count, 3072), dtype=np.uint8)
        batch = {"data": pixels, "fine_labels": fine, "coarse_labels": [0] * count}
        (folder / name).write_bytes(pickle.dumps(batch, protocol=2))
    data = load("cifar100", tmp_path)
    assert data.identity.startswith("variant-") and data.classes == 100
    assert next(all_of(data.test)).shape == (100, 3, 32, 32)
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "another"))
    sums = {name: hashlib.md5((folder / name).read_bytes()).hexdigest() for name in ("train", "test")}
    for name, value in sums.items():
        monkeypatch.setitem(cifar100.MD5[name], name, value)
    assert harness.data.identify("cifar100", tmp_path) == "official"


def idx(array: np.ndarray) -> bytes:
    return bytes((0, 0, 8, array.ndim)) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


def write_fashion(root: Path, *, packed: bool) -> Path:
    folder = root / "fashion-mnist"
    folder.mkdir(parents=True)
    random = np.random.default_rng(1)
    for prefix, count in (("train", 30), ("t10k", 10)):
        arrays = {
            "images-idx3": random.integers(0, 256, (count, 28, 28), dtype=np.uint8),
            "labels-idx1": np.arange(count, dtype=np.uint8) % 10,
        }
        for part, array in arrays.items():
            name = f"{prefix}-{part}-ubyte"
            if packed:
                (folder / f"{name}.gz").write_bytes(gzip.compress(idx(array)))
            else:
                (folder / name).write_bytes(idx(array))
    return root


def test_idx_files_plain_or_packed(tmp_path: Path) -> None:
    plain, packed = (write_fashion(tmp_path / str(kind), packed=kind) for kind in (False, True))
    left, right = load("fashion-mnist", plain), load("fashion-mnist", packed)
    assert left.identity == right.identity and left.shape == (1, 28, 28)
    assert same(left.train, right.train, epoch=(0, 1))


def test_damaged_idx_names_the_file(tmp_path: Path) -> None:
    folder = write_fashion(tmp_path, packed=False) / "fashion-mnist"
    file = folder / "t10k-images-idx3-ubyte"
    file.write_bytes(file.read_bytes()[:-5])
    with pytest.raises(UserError, match="t10k-images-idx3-ubyte: damaged"):
        load("fashion-mnist", tmp_path)
    file.unlink()
    with pytest.raises(UserError, match="t10k-images-idx3-ubyte: IDX file is missing"):
        harness.data.locate("fashion-mnist", tmp_path)


@pytest.mark.skipif(not fashion_mnist.DEBIAN.is_dir(), reason="dataset-fashion-mnist is not installed")
def test_debians_fashion_mnist_is_official(tmp_path: Path) -> None:
    data = load("fashion-mnist", tmp_path, Recipe(epochs=1))
    assert (data.identity, data.train.samples, data.test.samples) == ("official", 60_000, 10_000)
    pixels, _ = all_of(data.train, batch=10_000)
    assert abs(pixels.mean()) < 1e-4 and abs(pixels.std() - 1) < 1e-4


def test_normalisation_is_the_usual_one(tmp_path: Path, tiny_cifar: TinyCifar) -> None:
    from torchvision.transforms import functional as reference

    data = load("cifar10", write_tree(tmp_path, tiny_cifar))
    ordered, _ = fingerprint.sorted_samples(tiny_cifar["test"])
    scaled = torch.from_numpy(ordered.images).float() / 255
    expected = reference.normalize(scaled, [0.4914, 0.4822, 0.4465], [0.2023, 0.1994, 0.2010])
    pixels, labels = all_of(data.test)
    np.testing.assert_allclose(pixels, expected.numpy(), atol=1e-6)
    assert np.array_equal(labels, ordered.labels)


def test_epochs_repeat_and_differ(tmp_path: Path, tiny_cifar: TinyCifar) -> None:
    root = write_tree(tmp_path, tiny_cifar)
    first, again = load("cifar10", root).train, load("cifar10", root).train
    torch.manual_seed(0)
    once = list(all_of(first, epoch=(1, 2)))
    torch.manual_seed(99)  # the global generator plays no part
    assert all(np.array_equal(a, b) for a, b in zip(once, all_of(again, epoch=(1, 2)), strict=True))
    for other in ((1, 3), (2, 2), (2, 1)):
        assert not np.array_equal(once[0], next(all_of(first, epoch=other)))
    assert np.bincount(once[1]).tolist() == [4] * 10  # every sample once
    assert [len(labels) for _, labels in first.epoch(0, 0, 16)] == [16, 16, 8]
    assert [len(labels) for _, labels in first.batches(16)] == [16, 16, 8]


def test_subset_is_even_and_ignores_file_order(tmp_path: Path, tiny_cifar: TinyCifar) -> None:
    recipe = Recipe(epochs=1, train_samples=23, test_samples=10)
    left = load("cifar10", write_tree(tmp_path / "a", tiny_cifar), recipe)
    reversed_order = {split: Samples(part.images[::-1], part.labels[::-1]) for split, part in tiny_cifar.items()}
    right = load("cifar10", write_batches(tmp_path / "b", reversed_order), recipe)
    _, labels = all_of(left.train)
    assert sorted(np.bincount(labels)) == [2] * 7 + [3] * 3
    assert np.bincount(list(all_of(left.test))[1]).tolist() == [1] * 10
    assert left.train.fingerprint == right.train.fingerprint and same(left.train, right.train)
    whole = load("cifar10", tmp_path / "a")
    assert left.identity == whole.identity and left.train.fingerprint != whole.train.fingerprint
    with pytest.raises(UserError, match="takes 41 samples of cifar10's train set, which has 40"):
        load("cifar10", tmp_path / "a", Recipe(epochs=1, train_samples=41))


def test_spread_fills_up_from_larger_classes() -> None:
    labels = np.array([0, 1, 1, 1, 2, 2])
    assert fingerprint.spread(labels, 5).tolist() == [0, 1, 2, 4, 5]


@pytest.mark.parametrize("size", [16, 24, 48])
def test_resizing_is_torchvisions_within_rounding(size: int) -> None:
    from torchvision.transforms.v2 import functional as reference

    pixels = torch.randint(0, 256, (7, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    ours, theirs = memory.resized(pixels, size), reference.resize(pixels.float(), [size, size], antialias=True)
    assert ours.dtype == torch.uint8 and (ours.float() - theirs).abs().max() <= 0.501
    assert load("digits", None, Recipe(epochs=1, size=size)).shape == (1, size, size)


def test_truncated_image_is_named(tmp_path: Path, tiny_cifar: TinyCifar) -> None:
    file = next((write_tree(tmp_path, tiny_cifar) / "cifar10" / "train" / "frog").iterdir())
    file.write_bytes(file.read_bytes()[:900])
    for call in (harness.data.identify, load):
        with pytest.raises(UserError) as caught:
            call("cifar10", tmp_path)
        assert str(file) in str(caught.value) and "\n" not in str(caught.value)


def test_bad_trees_are_named(tmp_path: Path, tiny_cifar: TinyCifar) -> None:
    folder = write_tree(tmp_path, tiny_cifar) / "cifar10"
    Image.new("RGB", (31, 32)).save(folder / "test" / "cat" / "odd.png")
    with pytest.raises(UserError, match=r"odd\.png: image of 31×32 pixels, 32×32 expected"):
        harness.data.identify("cifar10", tmp_path)
    shutil.rmtree(folder / "test" / "cat")
    (folder / "test" / "cat").mkdir()
    with pytest.raises(UserError, match=r"test/cat: class folder holds no"):
        harness.data.locate("cifar10", tmp_path)
    (folder / "test" / "cat").rmdir()
    with pytest.raises(UserError, match="no folder for class `cat`"):
        harness.data.locate("cifar10", tmp_path)
    (folder / "test" / "airplan").mkdir()
    (folder / "test" / "airplan" / "0.png").touch()
    with pytest.raises(UserError, match="unknown class folder `airplan`; did you mean `airplane`"):
        harness.data.locate("cifar10", tmp_path)
    shutil.rmtree(folder / "test")
    with pytest.raises(UserError, match="cifar10/test: no such folder"):
        harness.data.locate("cifar10", tmp_path)


def test_dangling_link_is_named(tmp_path: Path, tiny_cifar: TinyCifar) -> None:
    link = write_tree(tmp_path, tiny_cifar) / "cifar10" / "test" / "dog" / "link.png"
    link.symlink_to(tmp_path / "gone.png")
    with pytest.raises(UserError, match=r"link\.png: cannot be read \(No such file"):
        harness.data.locate("cifar10", tmp_path)


def test_bad_batches_are_named(tmp_path: Path, tiny_cifar: TinyCifar) -> None:
    import pickle

    file = write_batches(tmp_path, tiny_cifar) / "cifar-10-batches-py" / "data_batch_3"
    whole = file.read_bytes()
    for content in (whole[:1000], b"", pickle.dumps({"labels": []}), pickle.dumps(Path("/")), b"not a pickle"):
        file.write_bytes(content)
        with pytest.raises(UserError, match="data_batch_3: damaged batch"):
            harness.data.identify("cifar10", tmp_path)
    file.unlink()
    with pytest.raises(UserError, match="data_batch_3: batch file is missing"):
        harness.data.locate("cifar10", tmp_path)


def batch_of(file: Path) -> dict[str, object]:
    import pickle

    return pickle.loads(file.read_bytes())


@pytest.mark.parametrize(
    "spelled", ["protocol 5", "numpy numbers", "keys of bytes", "wider numbers", "N × 3 × 32 × 32"]
)
def test_batches_as_other_writers_spell_them_are_the_same(spelled: str, tmp_path: Path, tiny_cifar: TinyCifar) -> None:
    import pickle

    root = write_batches(tmp_path, tiny_cifar)
    before = harness.data.identify("cifar10", root)
    file = root / "cifar-10-batches-py" / "data_batch_2"
    batch = batch_of(file)
    if spelled == "numpy numbers":
        batch["labels"] = [np.int64(label) for label in batch["labels"]]  # type: ignore[attr-defined]
    elif spelled == "keys of bytes":
        batch = {key.encode(): value for key, value in batch.items()}  # type: ignore[assignment]
    elif spelled == "wider numbers":
        batch["data"], batch["labels"] = batch["data"].astype(np.int64), np.array(batch["labels"])  # type: ignore[attr-defined]
    elif spelled == "N × 3 × 32 × 32":
        batch["data"] = batch["data"].reshape(-1, 3, 32, 32)  # type: ignore[attr-defined]
    file.write_bytes(pickle.dumps(batch, protocol=5 if spelled == "protocol 5" else 2))
    assert harness.data.identify("cifar10", root) == before


@pytest.mark.parametrize(
    ("key", "change", "told"),
    [
        (
            "data",
            lambda a: a.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1),
            "`data` of 8 × 32 × 32 × 3 values; N × 3072",
        ),
        ("data", lambda a: a / 255, "`data` holds float64 values; whole numbers wanted"),
        ("data", lambda a: a.astype(np.float32), "`data` holds float32 values"),
        ("data", lambda a: a.astype(np.int16) - 9, r"`data` from -9 to \d+; bytes wanted"),
        ("data", lambda a: a.astype(np.int16) * 2, "`data` from 0 to 510; bytes wanted"),
        ("data", lambda a: a > 9, "`data` holds bool values"),
        ("data", lambda a: [1, [2]], "`data` is no array"),
        ("data", lambda a: a[:, :100], "`data` of 8 × 100 values"),
        ("labels", lambda a: [label + 1 for label in a], "labels from 1 to 10; those of 10 classes are 0 to 9"),
        ("labels", lambda a: [300, *a[1:]], "labels from 0 to 300; those of 10 classes"),
        ("labels", lambda a: [-1, *a[1:]], "labels from -1 to 9"),
        ("labels", lambda a: [float(label) for label in a], "`labels` holds float64 values"),
        ("labels", lambda a: a[1:], "`labels` of 7 numbers, but 8 images"),
        ("labels", lambda a: 3, "`labels` holds int64 values"),
    ],
)
def test_batches_that_hold_something_else_are_refused(
    key: str, change: object, told: str, tmp_path: Path, tiny_cifar: TinyCifar
) -> None:
    import pickle

    root = write_batches(tmp_path, tiny_cifar)
    for file in (root / "cifar-10-batches-py").iterdir():
        batch = batch_of(file)
        batch[key] = change(batch[key])  # type: ignore[operator]
        file.write_bytes(pickle.dumps(batch))
    with pytest.raises(
        UserError, match=told.replace("8 images", r"\d+ images").replace("8 ×", r"\d+ ×").replace(" 7 ", r" \d+ ")
    ):
        harness.data.identify("cifar10", root)


def test_labels_of_no_class_are_refused_in_every_container(tmp_path: Path) -> None:
    folder = write_fashion(tmp_path, packed=False) / "fashion-mnist"
    (folder / "t10k-labels-idx1-ubyte").write_bytes(idx(np.arange(1, 11, dtype=np.uint8)))
    with pytest.raises(UserError, match="test set: labels from 1 to 10; those of 10 classes are 0 to 9"):
        harness.data.identify("fashion-mnist", tmp_path)


def test_idx_files_with_a_dot_are_found_and_none_comes_with_the_four_names(tmp_path: Path, monkeypatch) -> None:
    folder = write_fashion(tmp_path, packed=False) / "fashion-mnist"
    before = harness.data.identify("fashion-mnist", tmp_path)
    for file in list(folder.iterdir()):
        file.rename(folder / file.name.replace("-idx", ".idx"))
    assert harness.data.identify("fashion-mnist", tmp_path) == before
    monkeypatch.setattr(fashion_mnist, "DEBIAN", tmp_path / "no-debian")
    with pytest.raises(UserError, match=r"train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images.*t10k-labels"):
        harness.data.locate("fashion-mnist", tmp_path / "elsewhere")


def test_pickles_cannot_run_code(tmp_path: Path) -> None:
    file = tmp_path / "batch"
    file.write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with file.open("rb") as stream, pytest.raises(pickles.pickle.UnpicklingError, match="no place"):
        pickles._Unpickler(stream).load()
