"""The store: nothing is written twice, half-written or lost, and a cell has one trainer at a time."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import signal
import time
from pathlib import Path

import msgspec
import pytest
from stand_in import make_cell, make_failure, make_result, train

from harness import durable
from harness.errors import UserError
from harness.process import HOST, PLACE, alive, born
from harness.spec import Recipe
from harness.store import Store, claim
from harness.store.holder import STALE_AFTER, Holder
from harness.store.result import Progress

STRANGER = "57a46e8" + "0" * 9
PROCESSES = multiprocessing.get_context("fork")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "runs")


def test_a_result_comes_back_as_it_went(store: Store) -> None:
    result = make_result(make_cell(), proofs=2)
    assert store.write_result(result)
    assert store.result(result.cell) == result
    assert list(store.results()) == [result]
    assert list(store.cells()) == [result.cell]


def test_a_cell_that_was_read_back_has_the_key_it_had(store: Store) -> None:
    spelled_out = msgspec.json.decode(b'{"epochs":3,"lr":0.1,"optimiser":"sgd","momentum":0.9}', type=Recipe)
    cell = msgspec.structs.replace(make_cell(), recipe=spelled_out)
    assert cell.key == make_cell().key
    store.write_result(make_result(cell))
    assert store.result(cell) is not None


def test_a_result_is_never_overwritten(store: Store) -> None:
    cell = make_cell()
    store.write_result(make_result(cell, accuracy=90.0))
    assert not store.write_result(make_result(cell, accuracy=10.0))
    found = store.result(cell)
    assert found is not None and found.accuracy == 90.0


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff\xfe"])
def test_a_damaged_result_is_one_line_and_is_kept(store: Store, damage: bytes) -> None:
    cell = make_cell()
    store.write_result(make_result(cell))
    path = store.folder(cell) / "result.json"
    path.write_bytes(damage)
    assert store.result(cell) is None
    assert store.result(cell) is None
    (problem,) = store.problems
    assert str(path) in str(problem) and "run" in str(problem) and "\n" not in str(problem)
    assert store.write_result(make_result(cell))
    assert (store.folder(cell) / "result.json.corrupt-1").read_bytes() == damage
    assert Store(store.root).result(cell) is not None


def test_a_result_in_the_wrong_folder_is_not_believed(store: Store) -> None:
    right, wrong = make_cell(0), make_cell(1)
    store.write_result(make_result(right))
    (store.folder(right)).rename(store.folder(wrong))
    assert store.result(wrong) is None
    assert "another cell" in str(store.problems[0])


def test_outcome_is_result_then_running_then_failure_then_nothing(store: Store) -> None:
    cell = make_cell()
    assert store.outcome(cell) is None
    store.write_failure(make_failure(cell))
    assert store.outcome(cell) == make_failure(cell)
    held = store.claim(cell)
    assert held is not None
    running = store.outcome(cell)
    assert isinstance(running, Progress) and (running.epoch, running.pid) == (0, os.getpid())
    store.write_result(make_result(cell), held)
    assert store.outcome(cell) == make_result(cell)
    held.release()


def test_progress_of_an_earlier_process_is_not_shown_as_now(store: Store) -> None:
    cell = make_cell()
    store.folder(cell).mkdir(parents=True)
    old = Progress(epoch=2, epochs=3, accuracy=1.0, images_per_second=1.0, seconds_left=1.0, host=HOST, pid=1)
    store.write_progress(cell, old)
    with store.claim(cell) or pytest.fail("not claimed"):
        running = store.running(cell)
    assert running is not None and running.epoch == 0


def test_an_unknown_time_left_can_be_read_back(store: Store) -> None:
    cell = make_cell()
    store.folder(cell).mkdir(parents=True)
    said = Progress(epoch=1, epochs=3, accuracy=None, images_per_second=1.0, seconds_left=float("inf"), host="h", pid=1)
    store.write_progress(cell, said)
    assert store.progress(cell) is not None and not store.problems


def test_forgiven_failures_are_kept_and_counted(store: Store) -> None:
    cell = make_cell()
    for attempt in (1, 2, 3):
        store.write_failure(make_failure(cell))
        failure = store.failure(cell)
        assert failure is not None and failure.attempts == attempt
        assert store.forgive(cell)
        assert store.failure(cell) is None
    assert not store.forgive(cell)


def test_full_disk_is_one_line_and_leaves_nothing_half_written(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    cell = make_cell()
    store.folder(cell).mkdir(parents=True)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match=r"no space left.*free some space"):
        store.write_result(make_result(cell))
    assert [path.name for path in store.folder(cell).iterdir()] == []


def test_unwritable_store_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match=r"cannot be written.*--store"):
        Store(tmp_path / "file" / "runs").prepare()


def test_left_over_temporary_files_of_dead_writers_go(store: Store) -> None:
    cell = make_cell()
    folder = store.folder(cell)
    folder.mkdir(parents=True)
    dead = PROCESSES.Process(target=time.sleep, args=(0,))
    dead.start()
    dead.join()
    left = folder / f".result.json~{PLACE}~{dead.pid}~0.tmp"
    ours = durable.temporary(folder / "result.json")
    left.touch(), ours.touch()
    with store.claim(cell) or pytest.fail("not claimed"):
        assert not left.exists() and ours.exists()


# Claims


def test_one_claim_at_a_time_and_again_after_release(store: Store) -> None:
    cell = make_cell()
    first = store.claim(cell)
    assert first is not None and store.claim(cell) is None
    first.release()
    first.release()
    with store.claim(cell) or pytest.fail("not free after release"):
        pass
    assert not list(store.folder(cell).glob("claim*"))


def test_two_claims_may_be_released_in_any_order_of_takeover(store: Store) -> None:
    """A stale holder that comes back must not remove its successor's claim."""
    folder = _stranger(store, age=STALE_AFTER + 1)
    successor = claim.acquire(folder)
    assert successor is not None
    claim.Claim(folder / "claim", STRANGER).release()
    assert claim.acquire(folder) is None
    successor.release()
    assert not list(folder.glob("claim*"))


@pytest.mark.parametrize(("age", "free"), [(0.0, False), (STALE_AFTER / 2, False), (STALE_AFTER + 1, True)])
def test_a_claim_of_another_host_lasts_while_it_beats(store: Store, age: float, free: bool) -> None:
    assert (claim.acquire(_stranger(store, age)) is not None) == free


def test_a_beat_keeps_a_claim(store: Store) -> None:
    folder = _stranger(store, age=STALE_AFTER + 1)
    claim.Claim(folder / "claim", STRANGER).beat()
    assert claim.acquire(folder) is None


def test_a_process_number_used_again_is_not_the_holder(store: Store) -> None:
    cell = make_cell()
    folder = store.folder(cell)
    folder.mkdir(parents=True)
    other = Holder(host=HOST, place=PLACE, pid=os.getpid(), born="1", since=0.0, token=STRANGER)
    (folder / "claim").write_bytes(msgspec.json.encode(other))
    assert alive(os.getpid(), born(os.getpid())) and store.holder(cell) is None
    assert store.claim(cell) is not None


def test_kill_9_of_the_holder_frees_the_cell(store: Store) -> None:
    cell = make_cell()
    holder = PROCESSES.Process(target=_hold, args=(store.root,))
    holder.start()
    _wait_until(lambda: store.holder(cell) is not None)
    assert store.claim(cell) is None
    assert holder.pid is not None
    os.kill(holder.pid, signal.SIGKILL)
    holder.join()
    with store.claim(cell) or pytest.fail("not taken over"):
        assert store.claim(cell) is None
    assert not list(store.folder(cell).glob("claim*"))


@pytest.mark.parametrize("stale", [0, 1, 3])
def test_of_many_takers_one_wins(store: Store, stale: int) -> None:
    """Also where the former holder died, and its successor, and so on."""
    folder = store.folder(make_cell())
    folder.mkdir(parents=True)
    path = folder / "claim"
    for link in range(stale):
        dead = Holder(host=HOST, place=PLACE, pid=2**22 + 1, born="1", since=0.0, token=f"{link:016x}")
        path.write_bytes(msgspec.json.encode(dead))
        path = folder / f"claim-{link:016x}"
    for _ in range(5):
        assert _winners(folder, takers=8) == 1


def test_many_processes_train_each_cell_once(store: Store) -> None:
    store.prepare()
    runners = [PROCESSES.Process(target=_train_all, args=(store.root, start)) for start in range(6)]
    for runner in runners:
        runner.start()
    for runner in runners:
        runner.join()
    begun = [line.split()[0] for line in (store.root / "trained.txt").read_text().splitlines() if "begins" in line]
    assert sorted(begun) == sorted({make_cell(seed).key for seed in range(8)})
    assert len(list(store.results())) == 8
    assert not list(store.root.glob("*/claim*")) and not list(store.root.glob("*/.*.tmp"))


def _stranger(store: Store, age: float) -> Path:
    folder = store.folder(make_cell())
    folder.mkdir(parents=True)
    holder = {"host": "elsewhere", "pid": 1, "born": "1", "since": 0.0, "token": STRANGER}
    (folder / "claim").write_text(json.dumps(holder))
    os.utime(folder / "claim", (time.time() - age,) * 2)
    return folder


def _hold(root: Path) -> None:
    with Store(root).claim(make_cell()) or pytest.fail("not claimed"):
        time.sleep(60)


def _train_all(root: Path, start: int) -> None:
    todo = [make_cell((start + n) % 8) for n in range(8)]
    while todo:
        todo = [cell for cell in todo if train(cell, root) == "busy"]


def _winners(folder: Path, takers: int) -> int:
    start, results = PROCESSES.Barrier(takers), PROCESSES.SimpleQueue()

    def take() -> None:
        start.wait()
        results.put(claim.acquire(folder) is not None)
        start.wait()  # nobody dies, and so frees the cell, before all have tried

    processes = [PROCESSES.Process(target=take) for _ in range(takers)]
    for process in processes:
        process.start()
    won = sum(results.get() for _ in processes)
    for process in processes:
        process.join()
    return won


def _wait_until(holds, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)
