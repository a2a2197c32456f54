"""Names, descriptions, missing sets, and what may be imported for them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import harness.data
from harness.data.sets import fashion_mnist
from harness.errors import UserError
from harness.spec import Recipe

ALL = ["cifar10", "cifar100", "cifar10dvs", "digits", "digits-events", "fashion-mnist", "imagenet", "nmnist"]
ON_DISK = {
    "cifar10": "cifar-10-batches-py",
    "cifar100": "cifar-100-python",
    "cifar10dvs": ".aedat4",
    "fashion-mnist": "apt-get install dataset-fashion-mnist",
    "imagenet": "WNID",
    "nmnist": "NMNIST/{Train,Test}",
}


def test_every_set_is_listed_and_described() -> None:
    assert harness.data.names() == ALL
    assert all(len(harness.data.describe(name)) > 20 for name in ALL)


@pytest.mark.parametrize("name", ALL)
def test_registered_name_is_the_file_name(name: str) -> None:
    assert harness.data._get(name).name == name


def test_listing_and_planning_import_no_torch() -> None:
    code = """
import sys, harness.data as data
[data.describe(name) for name in data.names()]
assert not {"numpy.testing", "sklearn", "tonic", "timm"} & set(sys.modules)
data.locate("digits"); data.identify("digits")
assert not {"torch", "torchvision", "tonic", "timm"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(harness.data.__file__).parents[2])


@pytest.mark.parametrize("name", ON_DISK)
def test_missing_set_says_what_where_and_how(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fashion_mnist, "DEBIAN", tmp_path / "no-debian")
    for call in (harness.data.locate, harness.data.identify):
        with pytest.raises(UserError) as caught:
            call(name, tmp_path)
        message = str(caught.value)
        assert ON_DISK[name] in message
        assert str(tmp_path) in message
        assert "\n" not in message


def test_unknown_names_are_corrected(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="did you mean `cifar10`"):
        harness.data.locate("cifra10", tmp_path)
    with pytest.raises(UserError, match="did you mean `cutout`"):
        harness.data.load("digits", None, Recipe(epochs=1, augmentation=("cutuot",)), 1, device="cpu")


def test_root_comes_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_DATA", str(tmp_path))
    with pytest.raises(UserError, match=re.escape(str(tmp_path))):
        harness.data.locate("cifar10")
    monkeypatch.delenv("HARNESS_DATA")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"^data: "):
        harness.data.locate("cifar10")


def test_a_name_can_be_taken_only_once() -> None:
    with pytest.raises(ValueError, match="registered already"):
        harness.data.register(harness.data._get("digits"))
