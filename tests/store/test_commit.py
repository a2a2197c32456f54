"""A result is written by who holds the cell, once, and by nobody who has lost it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from stand_in import make_cell, make_result
from test_claim import PROCESSES, elsewhere, refuse

from harness import durable
from harness.store import Store, claim
from harness.store.result import Progress


def committed(folder: Path) -> bytes | None:
    path = folder / "result.json"
    return path.read_bytes() if path.exists() else None


def taken_over(folder: Path, mine: claim.Claim, monkeypatch: pytest.MonkeyPatch) -> claim.Claim:
    """By another place, after a long silence of ours."""
    os.utime(mine._path, (1.0, 1.0))
    elsewhere(monkeypatch, host="other")
    other = claim.acquire(folder)
    assert other is not None
    return other


def test_a_result_is_committed_by_the_holder(folder: Path) -> None:
    with claim.acquire(folder) or pytest.fail("not free") as mine:
        assert mine.commit(folder / "result.json", b"ours")
        mine.beat()
        assert not mine.commit(folder / "result.json", b"again")
    assert committed(folder) == b"ours" and [path.name for path in folder.iterdir()] == ["result.json"]


@pytest.mark.parametrize("ended", [False, True])
def test_who_has_lost_the_cell_writes_nothing(ended: bool, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = claim.acquire(folder)
    assert mine is not None
    other = taken_over(folder, mine, monkeypatch)
    if ended:
        other.release()
    for act in (mine.beat, lambda: mine.commit(folder / "result.json", b"ours")):
        with pytest.raises(claim.Lost):
            act()
    mine.release()
    assert committed(folder) is None and (ended or claim.holder(folder) is not None)
    assert ended == (not list(folder.iterdir()))


def test_nor_does_it_under_a_claim_that_was_begun_anew(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = claim.acquire(folder)
    assert mine is not None
    taken_over(folder, mine, monkeypatch).release()
    with claim.acquire(folder) or pytest.fail("not free"):
        with pytest.raises(claim.Lost):
            mine.commit(folder / "result.json", b"ours")
        mine.release()
        assert len(list(folder.iterdir())) == 1


def test_while_a_result_is_committed_nobody_takes_over(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The moment between the two steps, in which it may be stopped, or die."""
    mine = claim.acquire(folder)
    assert mine is not None
    promote, rivals = durable.promote, []

    def late(made: Path, path: Path) -> bool:
        os.utime(mine._path, (1.0, 1.0))
        rivals.append(claim.acquire(folder))
        mine.beat()
        return promote(made, path)

    monkeypatch.setattr(durable, "promote", late)
    assert mine.commit(folder / "result.json", b"ours") and rivals == [None]
    monkeypatch.setattr(durable, "promote", lambda made, path: os.kill(os.getpid(), signal.SIGKILL))
    dies = PROCESSES.Process(target=mine.commit, args=(folder / "other.json", b"lost"))
    dies.start()
    dies.join()
    assert claim.acquire(folder) is None
    (seal,) = folder.glob("claim-*")
    os.utime(seal, (1.0, 1.0))
    with claim.acquire(folder) or pytest.fail("not taken over"):
        pass
    assert committed(folder) == b"ours" and [path.name for path in folder.iterdir()] == ["result.json"]


def test_without_hard_links_it_is_committed_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "hardlink_to", refuse)
    with claim.acquire(folder) or pytest.fail("not free") as mine:
        assert mine.commit(folder / "result.json", b"ours")
        assert not mine.commit(folder / "result.json", b"again")
    assert committed(folder) == b"ours" and len(list(folder.iterdir())) == 1


def test_of_a_late_finisher_nothing_stays(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another has trained the cell since; what the late one says is not asked for."""
    store, cell = Store(folder.parent / "runs"), make_cell()
    mine = store.claim(cell)
    assert mine is not None
    other = taken_over(store.folder(cell), mine, monkeypatch)
    store.write_result(make_result(cell, 80.0), other)
    other.release()
    said = Progress(epoch=3, epochs=3, accuracy=1.0, images_per_second=1.0, seconds_left=0.0, host="h", pid=1)
    store.write_progress(cell, said)
    assert not store.write_result(make_result(cell, 10.0), mine)
    found = store.result(cell)
    assert found is not None and found.accuracy == 80.0
    assert sorted(path.name for path in store.folder(cell).iterdir()) == ["cell.json", "result.json"]
