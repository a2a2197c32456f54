"""What the cache vouches for: the content of files. That they are the same ones only spares reading them again."""

from __future__ import annotations

import os
import shutil
import stat
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_sets import TinyCifar, all_of, write_batches, write_tree

import harness.data
from harness.data import cache, mounts, pictures, trees
from harness.data.base import Samples
from harness.data.images import ImageSet
from harness.errors import UserError
from harness.spec import Recipe

TIME = (1_700_000_000 * 10**9,) * 2


def timeless(root: Path) -> Path:
    """All times as an archive with SOURCE_DATE_EPOCH has them."""
    for path in (root, *root.rglob("*")):
        os.utime(path, ns=TIME)
    return root


def noisy(samples: TinyCifar) -> TinyCifar:
    """Every label another: the same bytes in all, and the same sizes."""
    return {split: Samples(part.images, (part.labels + 1) % 10) for split, part in samples.items()}


@pytest.mark.parametrize("write", [write_batches, write_tree])
def test_folders_of_equal_names_sizes_and_times_are_two(write, tmp_path: Path, tiny_cifar: TinyCifar) -> None:
    clean, other = (
        timeless(write(tmp_path / name, part)) for name, part in (("a", tiny_cifar), ("b", noisy(tiny_cifar)))
    )
    assert harness.data.identify("cifar10", clean) != harness.data.identify("cifar10", other)
    labels = [
        list(all_of(harness.data.load("cifar10", root, Recipe(epochs=1), 1, device="cpu").train))[1]
        for root in (clean, other)
    ]
    assert not np.array_equal(*labels)


def test_one_folder_in_the_place_of_another_is_another(tmp_path: Path, tiny_cifar: TinyCifar) -> None:
    here = timeless(write_batches(tmp_path / "here", tiny_cifar))
    there = timeless(write_batches(tmp_path / "there", noisy(tiny_cifar)))
    before = harness.data.identify("cifar10", here)
    here.rename(tmp_path / "away")
    there.rename(here)
    assert harness.data.identify("cifar10", here) != before
    shutil.rmtree(here)
    (tmp_path / "away").rename(here)
    assert harness.data.identify("cifar10", here) == before


@pytest.mark.parametrize("name", ["cifar10", "imagenet"])
def test_an_image_replaced_in_place_is_another(name: str, tmp_path: Path, tiny_cifar: TinyCifar) -> None:
    root = write_tree(tmp_path, tiny_cifar)
    shutil.copytree(root / "cifar10" / "train", root / "imagenet" / "train")
    shutil.copytree(root / "cifar10" / "train", root / "imagenet" / "val")
    before = harness.data.identify(name, timeless(root))
    file = next((root / name / "train" / "ship").iterdir())
    with file.open("r+b") as stream:  # the same inode, and the folder is not touched
        Image.new("RGB", (32, 32)).save(stream, "PNG")
        stream.truncate()
    os.utime(file, ns=TIME)
    assert harness.data.identify(name, root) != before


def test_pixels_changed_at_one_size_and_time_are_seen(tmp_path: Path, tiny_cifar: TinyCifar) -> None:
    root = timeless(write_batches(tmp_path, tiny_cifar))
    before = harness.data.identify("cifar10", root)
    file = root / "cifar-10-batches-py" / "test_batch"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=TIME)
    assert harness.data.identify("cifar10", root) != before


def test_a_change_in_the_tick_of_reading_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"0")
    for number in range(1, 30):  # as fast as can be, so that many changes share a tick of the clock
        key = cache.signed([file], tmp_path)()
        file.write_bytes(bytes((number,)))
        assert cache.signed([file], tmp_path)() != key


def test_the_same_files_are_read_once_and_the_same_content_is_decoded_once(
    tmp_path: Path, tiny_cifar: TinyCifar, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_tree(tmp_path / "a", tiny_cifar)
    before = harness.data.identify("cifar10", root)
    shutil.copytree(root, tmp_path / "b")  # as on another machine, or another mount
    monkeypatch.setattr(trees, "read_image", lambda *_: pytest.fail("decoded again"))
    assert harness.data.identify("cifar10", tmp_path / "b") == before
    monkeypatch.setattr(cache, "_sha256", lambda *_: pytest.fail("read again"))
    assert harness.data.identify("cifar10", root) == harness.data.identify("cifar10", tmp_path / "b") == before


def test_in_a_mounted_image_nothing_is_taken_for_the_same(
    tmp_path: Path, tiny_cifar: TinyCifar, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_batches(tmp_path, tiny_cifar)
    before = harness.data.identify("cifar10", root)
    monkeypatch.setattr(cache, "signature", lambda files: "the numbers of another image")
    monkeypatch.setattr(cache, "is_image", lambda folder: True)
    shutil.rmtree(root / "cifar-10-batches-py")
    assert harness.data.identify("cifar10", write_batches(tmp_path, noisy(tiny_cifar))) != before


def test_mounts_are_told_by_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device = tmp_path.stat().st_dev
    line = f"36 35 {os.major(device)}:{os.minor(device)} / /data ro shared:1 - {{}} /dev/loop0 ro\n"
    monkeypatch.setattr(mounts, "MOUNTS", tmp_path / "mounts")
    for kind, image in (("squashfs", True), ("fuse.squashfuse_ll", True), ("ext4", False), ("nfs4", False)):
        (tmp_path / "mounts").write_text("1 2 250:9 / / rw - iso9660 x rw\n" + line.format(kind))
        assert mounts.is_image(tmp_path) is image
    (tmp_path / "mounts").unlink()
    assert not mounts.is_image(tmp_path)


def small(shape: tuple[int, int, int], classes: tuple[str, ...] = ("x", "y")) -> ImageSet:
    return ImageSet(
        name="small", classes=len(classes), mean=(0.5,) * shape[0], std=(0.25,) * shape[0], size=4,
        find=lambda root: trees.find_tree(root, shape, classes),
    )  # fmt: skip


def test_what_is_made_of_the_files_is_part_of_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A set whose shape was changed got the images of the old one."""
    for split in ("train", "test"):
        for name in ("x", "y"):
            (tmp_path / split / name).mkdir(parents=True)
            Image.new("RGB", (4, 4), (9, 99, 200)).save(tmp_path / split / name / "0.png")
    colour = small((3, 4, 4)).load(tmp_path, Recipe(epochs=1), 1, "cpu")  # type: ignore[arg-type]
    grey = small((1, 4, 4)).load(tmp_path, Recipe(epochs=1), 1, "cpu")  # type: ignore[arg-type]
    assert (colour.shape, grey.shape) == ((3, 4, 4), (1, 4, 4))
    entries = len(list(cache.folder().glob("small-*")))
    monkeypatch.setattr(pictures, "decoder", lambda: "another")
    small((1, 4, 4)).identify(tmp_path)
    assert len(list(cache.folder().glob("small-*"))) == entries + 1


def test_files_that_change_while_they_are_read_are_told(
    tmp_path: Path, tiny_cifar: TinyCifar, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_tree(tmp_path, tiny_cifar)
    file, read = next((root / "cifar10" / "train" / "ship").iterdir()), trees.read_image

    def meanwhile(*given: object) -> np.ndarray:
        Image.new("RGB", (32, 32)).save(other := tmp_path / f"{threading.get_ident()}.png")
        other.replace(file)  # at once: another thread may be reading it
        return read(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(trees, "read_image", meanwhile)
    with pytest.raises(UserError, match="cifar10: changes while it is read; wait until it is all there"):
        harness.data.identify("cifar10", root)
    assert not list(cache.folder().glob("cifar10-*"))


@pytest.mark.parametrize(("granted", "shared"), [(0o2775, 0o664), (0o755, 0o644), (0o700, 0o644)])
def test_entries_take_what_the_folder_grants_its_group(granted: int, shared: int, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "group" / "cache"))
    (tmp_path / "group").mkdir()
    (tmp_path / "group").chmod(granted)
    before = os.umask(0o022)
    try:
        cache.arrays("entry", ("a",), lambda: {"a": np.arange(3)})
    finally:
        os.umask(before)
    entry = stat.S_IMODE((tmp_path / "group/cache/entry.npz").stat().st_mode)
    assert entry == shared, oct(entry)
    folder = (tmp_path / "group/cache").stat().st_mode
    assert folder & 0o070 == (granted & 0o070 or 0o050) and bool(folder & stat.S_ISGID) == bool(granted & stat.S_ISGID)


@pytest.mark.skipif(os.geteuid() != 0, reason="takes two users")
def test_two_users_of_a_group_share_an_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second reads what the first made, and can put another in its place."""
    group, top = 4321, tmp_path
    for folder in (top, *list(top.parents)[:-2]):
        folder.chmod(0o755)
    (top / "group").mkdir()
    os.chown(top / "group", 0, group)
    (top / "group").chmod(0o2775)
    monkeypatch.setenv("HARNESS_CACHE", str(top / "group" / "cache"))

    def as_user(user: int, made: int) -> int:
        child = os.fork()
        if not child:
            try:
                os.setgroups([group]), os.setgid(group), os.setuid(user), os.umask(0o022)
                found = cache.arrays("entry", ("a",), lambda: {"a": np.array([made])})["a"]
                cache._keep(cache.folder() / "other.npz", {"a": np.array([made])})
                os._exit(int(found[0]))
            finally:
                os._exit(99)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    assert (as_user(4001, 1), as_user(4002, 2)) == (1, 1)
    with np.load(top / "group/cache/other.npz") as other:
        assert other["a"].tolist() == [2]
