"""What `doctor --data DIR` says of hand-laid folders: found, complete, official or variant, how to get the rest."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_sets import TinyCifar, random_events, write_batches, write_recording, write_tree

import harness.data
from harness.data import base, images
from harness.data.sets import cifar10, cifar10dvs, imagenet
from harness.data.sets.cifar10 import CLASSES
from harness.verbs import doctor


def said(name: str, root: Path) -> tuple[str, str]:
    finding = doctor._dataset(name, root)
    assert finding.what == f"data {name}" and "\n" not in finding.detail
    return finding.state, finding.detail


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "cifar10dvs", "imagenet", "nmnist"])
def test_what_is_not_there_comes_with_what_to_type(name: str, tmp_path: Path) -> None:
    state, detail = said(name, tmp_path)
    assert state == "missing" and harness.data._get(name).get in detail and "--data DIR" in detail


def test_part_of_cifar(tmp_path: Path, tiny_cifar: TinyCifar) -> None:
    state, detail = said("cifar10", write_tree(tmp_path, tiny_cifar))
    assert state == "note"
    assert detail.startswith("incomplete, 40 + 20 of 50,000 + 10,000 samples, variant-")
    assert detail.endswith("image tree in " + f"{tmp_path / 'cifar10'}; for the rest {cifar10.GET}")


def test_official_and_complete_and_other_pixels(
    tmp_path: Path, tiny_cifar: TinyCifar, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_batches(tmp_path, tiny_cifar)
    small = replace(cifar10.DATASET, complete={"train": 40, "test": 20})
    monkeypatch.setitem(harness.data._SETS, "cifar10", small)
    state, detail = said("cifar10", root)
    assert state == "ok" and ": not the published samples, 40 + 20 samples, pickled batches in " in detail
    for split, files in cifar10.MD5.items():
        for name in files:
            content = (root / cifar10.BATCHES / name).read_bytes()
            monkeypatch.setitem(cifar10.MD5[split], name, hashlib.md5(content).hexdigest())
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "another"))
    assert said("cifar10", root)[1].startswith("official, 40 + 20 samples, pickled batches in ")


def test_part_of_imagenet(tmp_path: Path) -> None:
    for split in ("train", "val"):
        (tmp_path / "imagenet" / split / "n01440764").mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / "imagenet" / split / "n01440764" / "a.JPEG")
    state, detail = said("imagenet", tmp_path)
    assert state == "note" and "incomplete, 1 + 1 of 1,281,167 + 50,000 samples, variant-" in detail
    assert "image files of 1 classes in" in detail and detail.endswith(imagenet.GET)


def test_part_of_cifar10dvs_and_the_older_form(tmp_path: Path) -> None:
    for label, name in enumerate(CLASSES):
        for number in (0, 1):
            file = tmp_path / "CIFAR10DVS" / name / f"cifar10_{name}_{number}.aedat4"
            write_recording(file, random_events(50, seed=10 * label + number))
    state, detail = said("cifar10dvs", tmp_path)
    assert state == "note" and "incomplete, 10 + 10 of 9,000 + 1,000 samples, variant-" in detail
    assert detail.endswith(cifar10dvs.GET)
    (tmp_path / "CIFAR10DVS" / "cat" / "cifar10_cat_2.aedat").touch()
    state, detail = said("cifar10dvs", tmp_path)
    assert state == "missing" and "cifar10_cat_2.aedat: a recording in the older .aedat form" in detail


def test_complete_where_no_fingerprint_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = {split: base.Samples(np.zeros((2, 1, 4, 4), np.uint8), np.arange(2)) for split in base.SPLITS}
    source = base.Source("arrays", tmp_path, "0123", lambda: samples)
    dots = images.ImageSet(
        name="dots",
        classes=2,
        find=lambda _: source,
        mean=(0.5,),
        std=(0.5,),
        size=4,
        complete={"train": 2, "test": 2},
    )
    monkeypatch.setitem(harness.data._SETS, "dots", dots)
    state, detail = said("dots", tmp_path)
    assert state == "ok" and detail.startswith("complete by number, 2 + 2 samples; variant-")
    assert "no published fingerprint is known" in detail


def test_what_is_there_twice_is_said_of_any_set(tmp_path: Path, tiny_cifar: TinyCifar) -> None:
    train, test = tiny_cifar["train"], tiny_cifar["test"]
    for place in (1, 2):
        train.images[place], train.labels[place] = train.images[0], train.labels[0]
    test.images[0], test.labels[0] = train.images[5], train.labels[5]
    test.images[2], test.labels[2] = test.images[1], (test.labels[1] + 1) % 10
    detail = said("cifar10", write_batches(tmp_path, tiny_cifar))[1]
    assert "; 2 of train a second time; 1 of test also in train; 1 with more than one label; for the rest" in detail


def test_recordings_are_held_against_what_a_run_wants(tmp_path: Path) -> None:
    for folder in ("Train", "Test"):
        for label in range(10):
            file = tmp_path / "NMNIST" / folder / str(label) / "0.bin"
            file.parent.mkdir(parents=True)
            rows = (bytes((place % 34, label, 0, place >> 8, place & 255)) for place in range(120))
            file.write_bytes(b"".join(rows))
    one = tmp_path / "NMNIST" / "Train" / "3" / "0.bin"
    one.write_bytes(one.read_bytes()[: 5 * 7])
    detail = said("nmnist", tmp_path)[1]
    assert "9 of test also in train" in detail
    assert "1 recordings of fewer than 100 events, the shortest of 7: refused where there are more timesteps" in detail
    one.write_bytes(bytes((40, 3, 0, 0, 1)) * 9)
    state, detail = said("nmnist", tmp_path)
    assert state == "missing" and "3/0.bin: an event lies outside the sensor of 34×34 pixels" in detail


def test_a_class_without_samples_is_said(tmp_path: Path, tiny_cifar: TinyCifar) -> None:
    train = tiny_cifar["train"]
    train.labels[train.labels == 4] = 5
    assert "; no training sample of class 4; " in said("cifar10", write_batches(tmp_path, tiny_cifar))[1]


def test_a_recording_in_capitals_is_not_of_the_older_form(tmp_path: Path) -> None:
    for label, name in enumerate(CLASSES):
        for number in (0, 1):
            file = tmp_path / "CIFAR10DVS" / name / f"cifar10_{name}_{number}.aedat4"
            write_recording(file, random_events(120, seed=10 * label + number))
            file.rename(file.with_suffix(".AEDAT4"))
    assert said("cifar10dvs", tmp_path)[1].startswith("incomplete, 10 + 10 of 9,000 + 1,000 samples")
