"""The index of a large store: whatever is in it, or is wrong with it, the files are what is believed."""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from stand_in import make_cell, make_failure, make_result

from harness.cli import main
from harness.spec import Cell
from harness.store import Store, index
from harness.store.result import Done

LONG_AGO = 10**18
"""Nanoseconds since 1970: a year of this century."""


@pytest.fixture(autouse=True)
def _small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every store has an index, of files however new; in a cache of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(index, "WORTH", 1)
    monkeypatch.setattr(index, "SETTLED", -(10**18))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three finished cells."""
    store = Store(tmp_path / "runs")
    for seed in range(3):
        store.write_result(make_result(make_cell(seed), 80.0 + seed))
    return store.root


def told(root: Path) -> tuple[list[Cell], list[object], list[str]]:
    """What a store says of all that is in it, and what is wrong with it."""
    store = Store(root)
    cells = list(store.cells())
    return cells, list(store.briefs(cells).values()), sorted(map(str, store.problems))


def believed(root: Path) -> tuple[list[Cell], list[object], list[str]]:
    """The same from the files alone."""
    shutil.rmtree(index.place(root, "").parent, ignore_errors=True)
    return told(root)


def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Fills with the records that are read from now on."""
    from harness import durable

    seen, read = [], durable.read

    def noting(path: Path | str, *rest: int) -> bytes:
        seen.append(Path(path).name)
        return read(path, *rest)

    monkeypatch.setattr(durable, "read", noting)
    return seen


def test_what_was_read_is_not_read_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = told(root)
    seen = opened(monkeypatch)
    assert told(root) == first == ([make_cell(s) for s in sorted(range(3), key=lambda s: make_cell(s).key)], *first[1:])
    assert not {"cell.json", "result.json"} & set(seen)
    for cell in Store(root).cells():  # what it brings along is what it would compute
        bare = msgspec.structs.replace(cell)
        assert cell.key == bare.key and cell.seedless == bare.throughout(seed=0)


def test_a_small_store_has_none(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "WORTH", 256)
    told(root)
    assert not index.place(root, "cells").exists()


def test_a_file_that_was_changed_a_moment_ago_is_read_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "SETTLED", 10**12)
    told(root)
    seen = opened(monkeypatch)
    told(root)
    assert seen.count("cell.json") == 3 and "result.json" in seen


# --- Files that change ------------------------------------------------------------------------------------------------


def other(root: Path) -> bytes:
    """A result of the first cell as long as that which is there."""
    return msgspec.json.encode(make_result(make_cell(0), 70.0))


def in_place(root: Path, path: Path) -> None:
    """By an editor that puts the times back."""
    before = path.stat()
    path.write_bytes(other(root))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)


def replaced(root: Path, path: Path) -> None:
    before = path.stat()
    (root / "new").write_bytes(other(root))
    os.utime(root / "new", ns=(before.st_atime_ns, before.st_mtime_ns))
    (root / "new").replace(path)


def removed(root: Path, path: Path) -> None:
    path.unlink()


def failed(root: Path, path: Path) -> None:
    path.unlink()
    path.with_name("failed.json").write_bytes(msgspec.json.encode(make_failure(make_cell(0))))


def cut_off(root: Path, path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def behind_a_link(root: Path, path: Path) -> None:
    """The very file, its number and times as they were."""
    path.parent.rename(root / "elsewhere")
    path.parent.symlink_to(root / "elsewhere")


def a_link_itself(root: Path, path: Path) -> None:
    path.rename(root / "elsewhere")
    path.symlink_to(root / "elsewhere")


def cell_of_another(root: Path, path: Path) -> None:
    path.with_name("cell.json").write_bytes(msgspec.json.encode(make_cell(7)))


def cell_gone(root: Path, path: Path) -> None:
    path.with_name("cell.json").unlink()


def folder_gone(root: Path, path: Path) -> None:
    shutil.rmtree(path.parent)


CHANGES = (
    in_place,
    replaced,
    removed,
    failed,
    cut_off,
    behind_a_link,
    a_link_itself,
    cell_of_another,
    cell_gone,
    folder_gone,
)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_file_that_changed_is_believed(root: Path, change: Callable[[Path, Path], None]) -> None:
    before = told(root)
    change(root, root / make_cell(0).key / "result.json")
    after = told(root)
    assert after != before
    assert after == believed(root)


# --- An index that is wrong -------------------------------------------------------------------------------------------


def written(path: Path, **changes: object) -> bytes:
    said = msgspec.msgpack.decode(index.unseal(path.read_bytes()), type=index._Written)
    for name, value in changes.items():
        setattr(said, name, value)
    return index.seal(msgspec.msgpack.encode(said))


def flipped(content: bytes) -> bytes:
    return content[:-40] + bytes([content[-40] ^ 1]) + content[-39:]  # in its numbers


WRONG = {
    "empty": lambda path: b"",
    "cut off": lambda path: path.read_bytes()[:-1],
    "one bit": lambda path: flipped(path.read_bytes()),
    "no index at all": lambda path: os.urandom(5000),
    "of another store": lambda path: written(path, head=index.head(path.parent), accuracy=bytes(24)),
    "by other code": lambda path: written(path, head=f"{index.head(path)[:-1]}?", accuracy=bytes(24)),
    "without columns": lambda path: index.seal(msgspec.msgpack.encode([1, 2, 3])),
    "columns of other lengths": lambda path: written(path, accuracy=bytes(8)),
    "signs of other lengths": lambda path: written(path, results=bytes(33)),
    "no cell": lambda path: written(path, kinds=(b"{}",)),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_an_index_that_is_wrong_is_as_none(root: Path, wrong: str, capsys: pytest.CaptureFixture) -> None:
    first = told(root)
    path = index.place(root, "cells")
    path.write_bytes(WRONG[wrong](path))
    assert told(root) == first
    assert told(root) == first == believed(root)
    assert not capsys.readouterr().err


def test_an_index_that_cannot_be_one_is_left_alone(root: Path) -> None:
    first = told(root)
    path = index.place(root, "cells")
    for put in (lambda: path.mkdir(), lambda: os.mkfifo(path), lambda: path.symlink_to("/dev/zero")):
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
        put()
        assert told(root) == first


def test_a_store_that_came_to_where_another_was(root: Path, tmp_path: Path) -> None:
    told(root)
    root.rename(tmp_path / "old")
    shutil.copytree(tmp_path / "old", root)
    for path in root.glob("*/result.json"):
        path.write_bytes(path.read_bytes().replace(b"80.0", b"60.0"))
    assert told(root) == believed(root)


def test_no_cache_can_be_written(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "full").write_text("no folder")
    first = told(root)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "full"))
    assert told(root) == first


def test_a_store_that_is_only_to_be_read_stays_as_it_was(root: Path) -> None:
    before = sorted((path, path.lstat().st_mtime_ns) for path in root.rglob("*"))
    first = told(root)
    assert told(root) == first and index.place(root, "cells").exists()
    assert sorted((path, path.lstat().st_mtime_ns) for path in root.rglob("*")) == before


def _look(root: Path) -> bool:
    first = told(root)
    return all(told(root) == first for _ in range(20))


def test_two_that_write_it_at_once(root: Path) -> None:
    first = told(root)
    index.place(root, "cells").unlink()
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert all(pool.map(_look, [root] * 2))
    assert told(root) == first and not list(index.place(root, "cells").parent.glob(".*"))


# --- The same with and without ----------------------------------------------------------------------------------------


def random_store(root: Path, chance: random.Random) -> None:
    """Cells that are done, failed, begun, damaged, foreign; each made or changed since the last look."""
    store = Store(root)
    for seed in range(12):
        cell = make_cell(
            seed % 4, method=chance.choice(["vanilla", 'own, "quoted"', "=own"]), epochs=chance.choice([2, 3])
        )
        if chance.random() < 0.3:
            cell = msgspec.structs.replace(cell, origin=make_cell(cell.seed + chance.choice([0, 1])))
        folder = store.folder(cell)
        shutil.rmtree(folder, ignore_errors=True)
        store.announce([cell])
        kind = chance.choice(["done", "done", "done", "failed", "begun", "cut", "foreign", "no cell"])
        if kind in ("done", "cut", "no cell"):
            (folder / "result.json").write_bytes(
                msgspec.json.encode(make_result(cell, chance.uniform(10, 99), proofs=1))
            )
        if kind == "failed":
            store.write_failure(make_failure(cell))
        if kind == "foreign":
            (folder / "result.json").write_bytes(msgspec.json.encode(make_result(make_cell(99), 50.0)))
        if kind == "cut":
            os.truncate(folder / "result.json", 100)
        if kind == "no cell":
            (folder / "cell.json").unlink()


def answers(root: Path, out: Path, capsys: pytest.CaptureFixture) -> list[object]:
    """All that the verbs say and write."""
    said: list[object] = []
    for words in (["status", "--cells"], ["table", "table1"], ["claims"], ["export", "--out", str(out)]):
        said += [main([*words, "--store", str(root)]), *capsys.readouterr()]
    return [*said, *(path.read_bytes() for path in sorted(out.iterdir()))]


@pytest.mark.parametrize("seed", range(10))
def test_a_store_says_the_same_with_and_without(tmp_path: Path, seed: int) -> None:
    chance, root = random.Random(seed), tmp_path / "runs"
    for _ in range(3):
        random_store(root, chance)
        assert told(root) == told(root)
    assert told(root) == believed(root)


def test_verbs_say_the_same_with_and_without(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    chance, root, out = random.Random(0), tmp_path / "runs", tmp_path / "out"
    random_store(root, chance)
    answers(root, out, capsys)
    assert index.place(root, "cells").exists() and index.place(root, "lines").exists()
    random_store(root, chance)
    found = answers(root, out, capsys)
    shutil.rmtree(tmp_path / "cache")
    assert found == answers(root, out, capsys)


def test_briefs_are_of_results(root: Path) -> None:
    cells, briefs, _ = told(root)
    assert briefs == [Done(80.0 + cell.seed, 1.0) for cell in cells]
