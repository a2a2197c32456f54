"""Healthy results of others: what we cannot read is refused in a line, stays as it is, and its cell is not trained."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from stand_in import make_cell, make_failure, make_result
from two_users import FIRST, as_user, meeting, needs_root

from harness import opened
from harness.errors import UserError
from harness.store import Store
from harness.store.result import RESULT_VERSION

__all__ = ["meeting"]
CELL = make_cell()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "runs")
    made.write_result(make_result(CELL))
    return made


def file(store: Store) -> Path:
    return store.folder(CELL) / "result.json"


def changed(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    def apply(path: Path) -> None:
        said = json.loads(path.read_bytes())
        change(said)
        path.write_text(json.dumps(said))

    return apply


def elsewhere(path: Path) -> None:
    """The file is a link to a healthy one."""
    path.rename(path.with_name("kept.json"))
    path.symlink_to("kept.json")


def folder_elsewhere(path: Path) -> None:
    home = path.parent
    home.rename(home.parent.parent / "kept")
    home.symlink_to(home.parent.parent / "kept")


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


HEALTHY: dict[str, tuple[Callable[[Path], object], str]] = {
    "newer": (changed(lambda said: said.update(version=RESULT_VERSION + 1)), "newer version of the harness (format 2)"),
    "newer, of another form": (
        lambda path: path.write_text('{"version": 7}'),
        "newer version of the harness (format 7)",
    ),
    "an unknown field": (changed(lambda said: said["cell"]["recipe"].update(warmup=5)), "unknown field `warmup`"),
    "no result": (lambda path: path.write_text('{"a": 1}'), "missing required field"),
    "a list": (lambda path: path.write_text("[]"), "expected `object`"),
    "deep": (lambda path: path.write_text('{"samples":' * 10**5 + "1" + "}" * 10**5), "is not understood"),
    "five thousand digits": (changed(lambda said: said.update(best_epoch=None)), "out of range - at `$.best_epoch`"),
    "another cell's": (changed(lambda said: said["cell"].update(seed=7)), "holds the result of another cell"),
    "a link": (elsewhere, "cannot be read (a link)"),
    "in a linked folder": (folder_elsewhere, "lies in a folder that is a link"),
    "a FIFO": (fifo, "cannot be read (a FIFO)"),
    "a folder": (lambda path: (path.unlink(), path.mkdir()), "cannot be read (a folder)"),
    "huge": (lambda path: os.truncate(path, opened.MOST + 1), "larger than 32 MiB"),
}


@pytest.mark.parametrize("kind", HEALTHY)
def test_it_is_refused_and_kept(kind: str, store: Store) -> None:
    make, told = HEALTHY[kind]
    make(file(store))
    if kind == "five thousand digits":  # json itself does not write them
        file(store).write_text(file(store).read_text().replace('"best_epoch": null', f'"best_epoch": {"1" * 5000}'))
    _refused(store, told)


def _refused(store: Store, told: str) -> None:
    before = sorted((path.name, path.lstat().st_ino) for path in store.folder(CELL).iterdir())
    assert store.result(CELL) is None and store.outcome(CELL) is None
    (problem,) = store.problems
    assert told.lower() in str(problem).lower() and "`run` leaves it and its cell alone" in str(problem)
    assert not store.set_aside(CELL)
    for attempt in (lambda: store.claim(CELL), lambda: store.write_result(make_result(CELL))):
        with pytest.raises(UserError, match=r"result\.json"):
            attempt()
    assert sorted((path.name, path.lstat().st_ino) for path in store.folder(CELL).iterdir()) == before


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES, errno.ENOLCK])
def test_a_disk_that_does_not_answer_is_no_damaged_file(
    number: int, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = opened.read

    def fail(path: Path | str, most: int = 0) -> bytes:
        if str(path).endswith("result.json"):
            raise OSError(number, os.strerror(number))
        return read(path, most)

    monkeypatch.setattr(opened, "read", fail)
    _refused(store, os.strerror(number))


@needs_root
@pytest.mark.parametrize("closed", ["result.json", "."])
def test_what_is_a_colleague_s_alone(closed: str, meeting: Path) -> None:
    """A file with mode 600, a folder that may not be looked into."""
    store = Store(meeting)
    store.write_result(make_result(CELL))
    (store.folder(CELL) / closed).chmod(0o700)
    assert "cannot be read (permission denied)" in as_user(FIRST, lambda: _told(Store(meeting)))


def _told(store: Store) -> str:
    assert store.outcome(CELL) is None and not store.set_aside(CELL) and store.holder(CELL) is None
    assert not store.probes(CELL).landscape
    (problem,) = {str(problem) for problem in store.problems}
    return problem


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff\xfe", b"\0" * 4096, b'{"version": 1, "cell"'])
def test_what_cannot_be_decoded_makes_room(damage: bytes, store: Store) -> None:
    file(store).write_bytes(damage)
    assert store.result(CELL) is None and store.refused(CELL) is None
    assert "moves it aside and trains the cell again" in str(store.problems[0])
    assert store.write_result(make_result(CELL))
    assert Store(store.root).result(CELL) is not None
    assert (store.folder(CELL) / "result.json.corrupt-1").read_bytes() == damage


def test_a_failure_that_cannot_be_read_is_kept(store: Store) -> None:
    cell = make_cell(1)
    store.write_failure(make_failure(cell))
    (store.folder(cell) / "failed.json").write_text('{"kind": "new"}')
    store.write_failure(make_failure(cell))
    assert (store.folder(cell) / "failed.1.json").read_text() == '{"kind": "new"}'
    assert store.failure(cell) is not None


def test_a_description_of_a_newer_version_is_kept(store: Store) -> None:
    path = store.folder(CELL) / "cell.json"
    path.write_text('{"new": 1}')
    store.announce([CELL])
    assert path.read_text() == '{"new": 1}'
    path.write_text("{")
    store.announce([CELL])
    assert Store(store.root).cell(CELL.key) == CELL


def test_a_store_that_is_not_there_says_so(tmp_path: Path) -> None:
    store = Store(tmp_path / "none")
    assert store.result(CELL) is None
    assert [str(problem) for problem in store.problems] == [
        f"{tmp_path / 'none'}: there is no such folder; nothing was read from it"
    ]
