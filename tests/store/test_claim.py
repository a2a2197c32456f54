"""One trainer at a time, through deaths, requeues, clocks that differ, and file servers that answer late."""

from __future__ import annotations

import contextlib
import errno
import json
import multiprocessing
import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from fake_slurm import FakeSlurm
from stand_in import make_cell, make_result

from harness import durable, process
from harness.jobs import orphans
from harness.process import HOST
from harness.store import Store, claim

PROCESSES = multiprocessing.get_context("fork")
JOB = {"SLURM_JOB_ID": "77", "SLURM_ARRAY_JOB_ID": "70", "SLURM_ARRAY_TASK_ID": "4", "SLURM_CLUSTER_NAME": "fake"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "runs" / "0123456789abcdef"
    made.mkdir(parents=True)
    return made


@pytest.fixture
def in_job(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """This process is in the job of `JOB`, which was requeued so many times."""

    def enter(restarts: int = 0, **other: str) -> None:
        for name, value in (JOB | {"SLURM_RESTART_COUNT": str(restarts)} | other).items():
            monkeypatch.setenv(name, value)

    return enter


def stranger(folder: Path, *, age: float = 0.0, name: str = "claim", **fields: object) -> str:
    """A claim of a process on another host; its token."""
    held = {"host": "elsewhere", "pid": 1, "born": "1", "since": 0.0, "token": "stranger"} | fields
    path = folder / name
    path.write_text(json.dumps(held))
    os.utime(path, (time.time() - age,) * 2)
    return str(held["token"])


# Who


@pytest.mark.parametrize(
    ("environ", "job", "restarts"),
    [
        ({}, "", 0),
        ({"SLURM_JOB_ID": "12", "SLURM_CLUSTER_NAME": "alps"}, "alps:12", 0),
        (JOB | {"SLURM_RESTART_COUNT": "3"}, "fake:70_4", 3),
        (JOB | {"SLURM_RESTART_COUNT": ""}, "fake:70_4", 0),
    ],
)
def test_a_process_knows_its_job(environ: dict[str, str], job: str, restarts: int) -> None:
    assert (process.job(environ), process.restarts(environ)) == (job, restarts)


def test_a_claim_names_the_job(folder: Path, in_job: Callable[..., None]) -> None:
    in_job(2)
    with claim.acquire(folder) or pytest.fail("not free"):
        held = claim.holder(folder)
    assert held is not None and (held.job, held.restarts, held.pid) == ("fake:70_4", 2, os.getpid())


def test_a_claim_of_an_earlier_version_is_read(folder: Path) -> None:
    stranger(folder)
    held = claim.holder(folder)
    assert held is not None and (held.host, held.job, held.restarts) == ("elsewhere", "", 0)


# SLURM


@pytest.mark.parametrize(
    ("held", "restarts", "taken"),
    [
        ({"job": "fake:70_4", "restarts": 0}, 1, True),
        ({"job": "fake:70_4", "restarts": 1}, 1, False),  # another process of the same beginning: a rival
        ({"job": "fake:70_4", "restarts": 2}, 1, False),
        ({"job": "fake:70_5", "restarts": 0}, 1, False),
        ({"job": "other:70_4", "restarts": 0}, 1, False),
        ({"job": "", "restarts": 0}, 1, False),
    ],
)
def test_a_requeued_job_takes_over_at_once_what_it_had(
    held: dict[str, object], restarts: int, taken: bool, folder: Path, in_job: Callable[..., None]
) -> None:
    stranger(folder, **held)
    in_job(restarts)
    assert (claim.acquire(folder) is not None) == taken


def test_outside_of_slurm_nothing_is_requeued(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_RESTART_COUNT", "5")
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    stranger(folder)
    assert claim.acquire(folder) is None


def test_the_former_beginning_hears_that_it_has_lost(folder: Path, in_job: Callable[..., None]) -> None:
    in_job(0)
    former = claim.acquire(folder)
    assert former is not None
    former.beat()
    in_job(1)
    assert claim.acquire(folder) is not None
    with pytest.raises(claim.Lost, match=HOST):
        former.beat()
    former.release()
    assert claim.holder(folder) is not None


def test_a_claim_is_freed_by_its_token_alone(folder: Path) -> None:
    token = stranger(folder)
    assert not claim.free(folder, "another") and claim.holder(folder) is not None
    assert claim.free(folder, token)
    assert not list(folder.iterdir())
    assert claim.free(folder, token)  # it is


def test_claims_of_jobs_that_left_the_queue_are_freed(folder: Path, fake: FakeSlurm) -> None:
    cells = {name: folder.parent / name for name in ("gone", "queued", "cluster", "local", "free")}
    for path in cells.values():
        path.mkdir()
    stranger(cells["gone"], job="fake:70_3")
    stranger(cells["queued"], job="fake:70_4")
    stranger(cells["cluster"], job="other:70_3")
    stranger(cells["local"])
    fake.set(queue=[{"job": "70_4", "name": "harness-x", "state": "RUNNING"}])
    assert orphans.free(folder.parent, cells) == ("gone",)
    assert sorted(name for name, path in cells.items() if (path / "claim").exists()) == ["cluster", "local", "queued"]
    assert len(fake.called("squeue")) == 1


def test_nothing_is_freed_while_slurm_is_silent(folder: Path, fake: FakeSlurm) -> None:
    stranger(folder, job="fake:70_3")
    fake.set(broken={"squeue": "slurm_load_jobs error: Unable to contact slurm controller"})
    assert orphans.free(folder.parent, [folder.name]) == ()
    assert claim.holder(folder) is not None


def test_claims_of_other_users_are_left_alone(folder: Path, fake: FakeSlurm, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster may hide their jobs from us."""
    stranger(folder, job="fake:70_3")
    monkeypatch.setattr(claim, "owner", lambda folder: os.getuid() + 1)
    assert orphans.free(folder.parent, [folder.name]) == ()


# Clocks and file servers


@pytest.mark.parametrize("ahead", [-7200.0, 7200.0])
def test_our_clock_does_not_matter(folder: Path, ahead: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the file server's does: here the local disk, whose times are true."""
    fresh, old = folder, folder.parent / "old"
    old.mkdir()
    stranger(fresh, age=claim.STALE_AFTER / 2), stranger(old, age=claim.STALE_AFTER + 5)
    claim._clocks.clear()
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + ahead)
    assert claim.holder(fresh) is not None and claim.holder(old) is None
    assert not list(folder.parent.glob(".*"))


def test_a_handle_that_went_stale_is_opened_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stranger(folder)
    stale(monkeypatch, times=durable.TRIES - 1)
    held = claim.holder(folder)
    assert held is not None and held.token == "stranger"


def test_what_stays_unreadable_counts_as_held(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stranger(folder)
    stale(monkeypatch, times=1000)
    assert claim.acquire(folder) is None


def test_a_stale_handle_is_no_damaged_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(folder.parent)
    store.write_result(make_result(make_cell()))
    stale(monkeypatch, times=1, name="result.json")
    assert store.result(make_cell()) is not None and not store.problems


def stale(monkeypatch: pytest.MonkeyPatch, times: int, name: str = "claim") -> None:
    """Reading the file fails so many times as it does on NFS when it was replaced."""
    read, left = durable._whole, [times]

    def flaky(path: Path | str) -> bytes:
        if Path(path).name == name and left[0] > 0:
            left[0] -= 1
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        return read(path)

    monkeypatch.setattr(durable, "_whole", flaky)


@pytest.mark.parametrize("answer", [True, False])
def test_a_lost_answer_of_the_server_loses_no_claim(
    folder: Path, answer: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NFS repeats a request whose answer was lost; then it says that the file exists, which is ours."""
    create = durable.create
    monkeypatch.setattr(durable, "create", lambda path, content: create(path, content) and answer)
    with claim.acquire(folder) or pytest.fail("our own claim was taken for another's"):
        pass
    assert not list(folder.iterdir())


def test_without_hard_links_one_still_wins(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, target: Path) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    first = claim.acquire(folder)
    assert first is not None and claim.acquire(folder) is None


# Races


@pytest.mark.parametrize("seed", range(3))
def test_through_all_kinds_of_death_nobody_is_there_twice(folder: Path, seed: int) -> None:
    """Processes on three hosts, one of them a job that is requeued after each death, take turns and die at random."""
    kinds = ["home", "home", "away", "away", "job"]
    workers = [_Worker(folder, kind, seed * 100 + number) for number, kind in enumerate(kinds)]
    deadline = time.monotonic() + 60
    while sum(worker.deaths for worker in workers) < 25 or not all(worker.deaths for worker in workers):
        assert time.monotonic() < deadline, "nobody gets in any more"
        for worker in workers:
            worker.revive()
        time.sleep(0.005)
    for worker in workers:
        worker.end()
    entries = (folder.parent / "entries").read_text().split()
    assert len(entries) > 25 and "twice" not in entries


class _Worker:
    """A process that enters, leaves and dies, and is begun again."""

    def __init__(self, folder: Path, kind: str, seed: int) -> None:
        self.kind, self.deaths = kind, 0
        self._folder, self._seed = folder, seed
        self._process = self._begin()

    def revive(self) -> None:
        if self._process.is_alive():
            return
        self._process.join()
        if self.kind == "away" and (self._folder / "token").exists():
            with contextlib.suppress(FileNotFoundError):  # somebody who knows better frees it
                claim.free(self._folder, (self._folder / "token").read_text())
        self.deaths += 1
        self._process = self._begin()

    def end(self) -> None:
        self._process.kill()
        self._process.join()

    def _begin(self):
        begun = PROCESSES.Process(target=_enter_and_die, args=(self._folder, self.kind, self._seed, self.deaths))
        begun.start()
        return begun


def _enter_and_die(folder: Path, kind: str, seed: int, restarts: int) -> None:
    chance = random.Random(seed * 1000 + restarts)
    host = {"home": HOST, "away": f"away{seed}", "job": "node"}[kind]
    claim.HOST = durable.HOST = host
    if kind == "job":
        os.environ.update(JOB, SLURM_RESTART_COUNT=str(restarts))
    while True:
        mine = claim.acquire(folder)
        if mine is None:
            time.sleep(chance.random() * 0.004)
            continue
        inside = folder.parent / "inside"
        try:
            os.close(os.open(inside, os.O_CREAT | os.O_EXCL))
            word = kind
        except FileExistsError:
            word = "twice"
        with (folder.parent / "entries").open("a") as file:
            file.write(f"{word}\n")
        time.sleep(chance.random() * 0.004)
        inside.unlink(missing_ok=True)
        if chance.random() < 0.3:
            if kind == "away":
                _leave_behind(folder, mine, chance)
            os._exit(1)
        mine.release()


def _leave_behind(folder: Path, mine: claim.Claim, chance: random.Random) -> None:
    """The claim of a host that dies: its heartbeat long ago, or one that somebody knows to be dead."""
    if chance.random() < 0.5:
        os.utime(mine._path, (time.time() - claim.STALE_AFTER - 5,) * 2)
    else:
        token = msgspec.json.decode(mine._path.read_bytes(), type=claim.Holder).token
        durable.write(folder / "token", token.encode(), fsync=False)
