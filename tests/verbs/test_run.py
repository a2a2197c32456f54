"""`run` on a store as others, an earlier run or a typing error leave it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import stand_in
from stand_in import make_cell
from two_users import as_user, meeting, needs_root

from harness.cli import main
from harness.jobs import fronts, launch
from harness.store import Store
from harness.verbs import session

__all__ = ["meeting"]
CELLS = [make_cell(seed) for seed in range(2)]


@pytest.fixture(autouse=True)
def trains_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "worker", stand_in.train)
    monkeypatch.setattr(session, "at_hand", lambda *rest: lambda cells: {})


def run(store: Store, *options: str) -> int:
    return main(["run", *(cell.key for cell in CELLS), "--store", str(store.root), "--on", "inline", *options])


@pytest.fixture
def store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Store:
    """Both cells are trained."""
    made = Store(tmp_path / "runs")
    made.announce(CELLS)
    assert run(made) == 0
    capsys.readouterr()
    return made


def test_a_result_of_a_newer_version_stays_and_is_not_trained_anew(store: Store, capsys) -> None:
    path = store.folder(CELLS[0]) / "result.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | {"version": 2}))
    before = path.read_bytes()
    (store.folder(CELLS[1]) / "result.json").write_bytes(b"")
    assert run(store) == 1
    said = capsys.readouterr().err
    assert "2/2 done" in said, "the other one is trained"
    assert path.read_bytes() == before and (store.root / "trained.txt").read_text().count(CELLS[0].key) == 2
    assert run(store) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert str(path) in line and "newer version" in line and "leaves it" in line


@needs_root
def test_a_finished_store_that_may_only_be_read_is_printed(meeting: Path, capsys) -> None:
    store = Store(meeting / "runs")
    store.announce(CELLS)
    assert run(store) == 0
    for path in [meeting, *meeting.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    before = sorted(meeting.rglob("*"))
    capsys.readouterr()
    assert as_user(61009, lambda: f"{run(store)} {capsys.readouterr()}").startswith("0 ")
    assert sorted(meeting.rglob("*")) == before


def test_what_a_killed_run_left_goes_though_nothing_is_to_be_trained(store: Store) -> None:
    left = fronts.folder_of(store.root, 2**22 + 1, "1")
    left.mkdir(parents=True)
    (left / f"{2**22 + 1}_submitted.pkl").touch()
    assert run(store) == 0
    assert not (store.root / ".jobs").exists()


@pytest.mark.parametrize(("host", "days", "stays"), [("other", 1, True), ("other", 8, False)])
def test_the_runs_of_other_machines_go_when_they_are_silent(host: str, days: int, stays: bool, store: Store) -> None:
    left = store.root / ".jobs" / f"{host}~elsewhere~{os.getpid()}~1"
    left.mkdir(parents=True)
    at = left.stat().st_mtime - days * 24 * 3600
    os.utime(left, (at, at))
    assert run(store) == 0
    assert left.exists() == stays


LINKS: dict[str, Callable[[Store, Path], Path]] = {
    "log": lambda store, cell: cell / "log.txt",
    "cell": lambda store, cell: cell,
    "jobs": lambda store, cell: store.root / ".jobs",
}


@pytest.mark.parametrize("what", LINKS)
def test_nothing_is_written_through_a_link(what: str, store: Store, tmp_path: Path, capsys) -> None:
    folder = store.folder(CELLS[0])
    (folder / "result.json").unlink()
    path, victim = LINKS[what](store, folder), tmp_path / "victim"
    if what == "log":
        path.unlink()
        victim.write_text("mine")
    elif what == "jobs":
        victim.mkdir()
    else:
        path.rename(victim)
    path.symlink_to(victim)
    before = [(each, each.stat().st_mtime_ns) for each in sorted([victim, *victim.rglob("*")])]
    assert run(store) != 0
    assert "link" in capsys.readouterr().err
    assert [(each, each.stat().st_mtime_ns) for each in sorted([victim, *victim.rglob("*")])] == before


@pytest.mark.parametrize("verb", ["table", "claims", "export", "figure"])
def test_a_store_that_is_not_there_is_said(verb: str, tmp_path: Path, capsys) -> None:
    named = {"table": ["table1"], "export": ["table1", "--out", str(tmp_path)], "figure": ["figure2"]}.get(verb, [])
    out = ["--out", str(tmp_path)] if verb == "figure" else []
    main([verb, *named, *out, "--preset", "smoke", "--store", str(tmp_path / "none")])
    assert f"{tmp_path / 'none'}: there is no such folder; nothing was read from it" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_a_store_that_is_a_link_to_nowhere_is_named(tmp_path: Path, capsys) -> None:
    (tmp_path / "runs").symlink_to(tmp_path / "gone")
    store = Store(tmp_path / "kept")
    store.announce(CELLS)
    assert main(["run", str(store.folder(CELLS[0])), "--store", str(tmp_path / "runs"), "--on", "inline"]) == 2
    said = capsys.readouterr().err
    assert f"is a link to {tmp_path / 'gone'}, which is not there" in said and said.count("\n") == 1
