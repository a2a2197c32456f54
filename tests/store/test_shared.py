"""A store of a group: two users with umask 022 or 077 train, resume, record and tidy up in it, one after the other."""

from __future__ import annotations

import codecs
import os
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest
import stand_in
import submitit
from stand_in import make_cell, make_failure, make_result
from two_users import FIRST, GROUP, SECOND, as_user, meeting, needs_root

from harness import durable, opened, process
from harness.data import cache
from harness.jobs import fronts
from harness.jobs.launch import Options, Watch, run
from harness.store import Store
from harness.store.holder import Holder

__all__ = ["meeting"]
LATE = (submitit, codecs.lookup("cp437"))
"""Imported here: the home of the interpreter may be closed to other users."""
pytestmark = needs_root
CELL = make_cell()


@pytest.fixture(params=[0o022, 0o077], ids=["umask 022", "umask 077"])
def umask(request: pytest.FixtureRequest) -> int:
    return request.param


def begin(root: Path, stop: bool = True) -> None:
    """Claim, log, say how far it is; then die, or record."""
    store = Store(root)
    store.prepare()
    mine = store.claim(CELL)
    assert mine is not None
    with opened.appending(store.log(CELL)) as file:
        file.write(f"{os.getuid()}\n")
    if stop:
        os._exit(0)
    store.write_failure(make_failure(CELL))
    store.forgive(CELL)
    store.write_result(make_result(CELL), mine)
    mine.release()


def test_one_goes_on_where_the_other_died(meeting: Path, umask: int) -> None:
    assert as_user(FIRST, lambda: begin(meeting / "runs"), umask=umask) == ""
    as_user(SECOND, lambda: begin(meeting / "runs", stop=False), umask=umask)
    store = Store(meeting / "runs")
    assert store.result(CELL) is not None
    assert store.log(CELL).read_text().split() == [str(FIRST), str(SECOND)]
    assert not list(store.folder(CELL).glob("claim*"))
    for path in (meeting / "runs").rglob("*"):
        assert path.stat().st_gid == GROUP and path.stat().st_mode & 0o060 == 0o060, path


def test_both_can_run(meeting: Path, umask: int) -> None:
    """The first leaves `.jobs` behind, as kill -9 does."""

    def leave() -> None:
        folder = fronts.folder_of(meeting / "runs", 2**22 + 1, "1")
        durable.make_folder(folder)
        fronts.announce(folder, [CELL.key])

    def train() -> str:
        return str(run([CELL], Store(meeting / "runs"), Options(on="inline"), Watch(), stand_in.train))

    as_user(FIRST, leave, umask=umask)
    assert "done" in as_user(SECOND, train, umask=umask)
    assert not (meeting / "runs" / ".jobs").exists()


def test_one_takes_over_from_the_other_s_machine(meeting: Path, umask: int) -> None:
    """A claim of another place, silent since long ago."""

    def claimed() -> None:
        Store(meeting / "runs").announce([CELL])
        held = Holder(host="elsewhere", pid=1, born="1", since=0.0, token="7" * 16, place="elsewhere")
        path = meeting / "runs" / CELL.key / "claim"
        path.write_bytes(msgspec.json.encode(held))
        os.utime(path, (time.time() - 1000,) * 2)

    as_user(FIRST, claimed, umask=umask)
    as_user(SECOND, lambda: begin(meeting / "runs", stop=False), umask=umask)
    assert Store(meeting / "runs").result(CELL) is not None


def test_a_claim_in_another_s_name_kills_nobody(meeting: Path) -> None:
    """What `cancel` asks: whether the process is ours, and writes the log of the cell."""
    log = meeting / "log.txt"
    with opened.appending(log):
        assert process.writes(os.getpid(), log)
        assert as_user(SECOND, lambda: process.writes(os.getppid(), log)) == "False"
    assert not process.writes(os.getpid(), log)


def test_the_cache_is_for_both(meeting: Path, umask: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(meeting / "cache"))
    as_user(FIRST, lambda: cache.arrays("x", ["a"], lambda: {"a": np.arange(3)}), umask=umask)
    found = as_user(SECOND, lambda: cache.arrays("x", ["a"], lambda: pytest.fail("made again"))["a"], umask=umask)
    assert found == "[0 1 2]"
    as_user(SECOND, lambda: cache.arrays("x", ["b"], lambda: {"b": np.arange(2)}), umask=umask)
    assert {path.name for path in (meeting / "cache").iterdir()} == {"x.npz"}
