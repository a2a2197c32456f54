"""Entries of the cache: made once, by one of those who want it, whatever has become of disk and entry."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_data_images import load, same
from tiny_sets import TinyCifar, write_batches, write_tree

import harness.data
from harness.data import cache, trees


def test_decoded_once(tmp_path: Path, tiny_cifar: TinyCifar, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_tree(tmp_path, tiny_cifar)
    identity = harness.data.identify("cifar10", root)
    with monkeypatch.context() as patch:
        patch.setattr(trees, "read_image", lambda *_: pytest.fail("decoded again"))
        assert load("cifar10", root).identity == harness.data.identify("cifar10", root) == identity
    file = next((root / "cifar10" / "train" / "ship").iterdir())
    Image.new("RGB", (32, 32)).save(file)  # a changed file is seen
    assert harness.data.identify("cifar10", root) != identity


def test_corrupted_cache_is_made_anew(
    tmp_path: Path, tiny_cifar: TinyCifar, cache_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = write_batches(tmp_path, tiny_cifar)
    before = load("cifar10", root)
    (entry,) = cache_folder.glob("cifar10-*")
    whole = entry.read_bytes()
    middle = whole[: len(whole) // 2]
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 255
    for damaged in (middle, b"", b"rubbish", bytes(flipped)):
        entry.write_bytes(damaged)
        after = load("cifar10", root)
        assert same(before.train, after.train) and same(before.test, after.test)
        assert entry.stat().st_size == len(whole)
    assert "unreadable" in caplog.text
    assert {path.suffix for path in cache_folder.iterdir()} == {".npz"}


def test_unwritable_cache_stops_nothing(
    tmp_path: Path, tiny_cifar: TinyCifar, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    root = write_batches(tmp_path, tiny_cifar)
    (tmp_path / "file").touch()
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "file" / "below"))
    assert load("cifar10", root).train.samples == 40
    assert "cannot cache" in caplog.text


def test_full_disk_leaves_no_half_entry(
    tmp_path: Path, tiny_cifar: TinyCifar, cache_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: object, **_: object) -> None:
        file.write(b"half")  # type: ignore[attr-defined]
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache.np, "savez", full)
    assert load("cifar10", write_batches(tmp_path, tiny_cifar)).train.samples == 40
    assert list(cache_folder.iterdir()) == []


def test_cache_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HARNESS_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.folder() == tmp_path / "snn-harness"


def test_only_wanted_arrays_are_read(cache_folder: Path) -> None:
    made = {"a": np.arange(3), "b": np.arange(4)}
    assert set(cache.arrays("entry", ("a",), lambda: made)) == {"a"}
    assert cache.arrays("entry", ("b",), lambda: pytest.fail("made again"))["b"].tolist() == [0, 1, 2, 3]


def test_one_makes_an_entry_while_the_others_wait(tmp_path: Path, cache_folder: Path) -> None:
    code = """
import sys, time
import numpy as np
from harness.data import cache
def make():
    print("made", flush=True)
    time.sleep(0.5)
    return {"a": np.arange(3)}
assert cache.arrays("entry", ("a",), make)["a"].tolist() == [0, 1, 2]
"""
    top = Path(harness.data.__file__).parents[2]
    command = [sys.executable, "-c", code]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=top) for _ in range(3)]
    assert sorted(run.communicate()[0].strip() for run in runs) == ["", "", "made"]
    assert [run.returncode for run in runs] == [0, 0, 0]
    assert [path.name for path in cache_folder.iterdir()] == ["entry.npz"]


def test_a_failed_make_leaves_the_way_free(cache_folder: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        cache.arrays("entry", ("a",), lambda: 1 / 0)  # type: ignore[arg-type, return-value]
    assert list(cache_folder.iterdir()) == []
    assert cache.arrays("entry", ("a",), lambda: {"a": np.arange(2)})["a"].tolist() == [0, 1]


def test_parallel_processes_share_one_entry(tmp_path: Path, tiny_cifar: TinyCifar, cache_folder: Path) -> None:
    root = write_tree(tmp_path, tiny_cifar)
    code = (
        f"import harness.data; from pathlib import Path; print(harness.data.identify('cifar10', Path({str(root)!r})))"
    )
    top = Path(harness.data.__file__).parents[2]
    command = [sys.executable, "-c", code]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=top) for _ in range(3)]
    printed = {run.communicate()[0].strip() for run in runs}
    assert printed == {harness.data.identify("cifar10", root)}
    assert len(list(cache_folder.glob("cifar10-*"))) == 1
