"""One trainer at a time, through deaths, requeues, clocks that differ, and file servers that answer late."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_slurm import FakeSlurm
from stand_in import make_cell, make_result

from harness import durable, opened, process
from harness.jobs import orphans
from harness.process import HOST
from harness.store import Store, claim, holder

PROCESSES = multiprocessing.get_context("fork")
STRANGER = "57a46e8" + "0" * 9
JOB = {"SLURM_JOB_ID": "77", "SLURM_ARRAY_JOB_ID": "70", "SLURM_ARRAY_TASK_ID": "4", "SLURM_CLUSTER_NAME": "fake"}


@pytest.fixture
def in_job(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """This process is in the job of `JOB`, which was requeued so many times."""

    def enter(restarts: int = 0, **other: str) -> None:
        for name, value in (JOB | {"SLURM_RESTART_COUNT": str(restarts)} | other).items():
            monkeypatch.setenv(name, value)

    return enter


def stranger(folder: Path, *, age: float = 0.0, name: str = "claim", **fields: object) -> str:
    """A claim of a process on another host; its token."""
    held = {"host": "elsewhere", "pid": 1, "born": "1", "since": 0.0, "token": STRANGER} | fields
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
    assert not claim.free(folder, "a" * 16) and claim.holder(folder) is not None
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
    stranger(fresh, age=holder.STALE_AFTER / 2), stranger(old, age=holder.STALE_AFTER + 5)
    holder._clocks.clear()
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + ahead)
    assert claim.holder(fresh) is not None and claim.holder(old) is None
    assert not list(folder.parent.glob(".*"))


def test_a_handle_that_went_stale_is_opened_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stranger(folder)
    stale(monkeypatch, times=durable.TRIES - 1)
    held = claim.holder(folder)
    assert held is not None and held.token == STRANGER


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
    read, left = opened.read, [times]

    def flaky(path: Path | str, most: int = 0) -> bytes:
        if Path(path).name == name and left[0] > 0:
            left[0] -= 1
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        return read(path, most)

    monkeypatch.setattr(opened, "read", flaky)


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


def refuse(path: Path, target: Path) -> None:
    raise OSError(errno.EPERM, os.strerror(errno.EPERM))


def test_without_hard_links_one_still_wins(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "hardlink_to", refuse)
    first = claim.acquire(folder)
    assert first is not None and claim.acquire(folder) is None


# What a stranger, or a power cut, has left


@pytest.mark.parametrize(
    "token",
    ["x/../../../victim", "../victim", "/etc/victim", "a" * 255, "a\0b", "", "a" * 15, "a" * 16 + "\n", "A" * 16],
)
def test_a_token_is_no_path(token: str, folder: Path) -> None:
    """One that is none makes its claim unreadable: that lasts until it is silent for long, as any other's."""
    (folder.parent / "victim").write_text("mine")
    (folder / "claim-x").mkdir()
    stranger(folder, token=token, age=holder.STALE_AFTER + 5)
    mine = claim.acquire(folder)
    assert mine is not None
    (folder / "claim-x").rmdir()
    mine.release()
    assert (folder.parent / "victim").read_text() == "mine" and not list(folder.iterdir())


@pytest.mark.parametrize("said", [{"pid": 2**31}, {"pid": -1}, {"pid": 0}, {"pid": 10**30}, {"host": "h" * 10**5}])
def test_a_holder_that_cannot_be_is_unreadable(said: dict[str, object], folder: Path) -> None:
    stranger(folder, place=process.PLACE, **said)
    held = claim.holder(folder)
    assert held is not None and not held.readable and not held.here
    os.utime(folder / "claim", (1.0, 1.0))
    assert claim.holder(folder) is None


@pytest.mark.parametrize("kind", ["empty", "deep", "link", "FIFO", "folder"])
def test_what_is_no_claim_lasts_as_long_as_one(kind: str, folder: Path) -> None:
    make: dict[str, Callable[[Path], object]] = {
        "empty": Path.touch,
        "deep": lambda path: path.write_text("[" * 10**5),
        "link": lambda path: path.symlink_to("/dev/zero"),
        "FIFO": os.mkfifo,
        "folder": Path.mkdir,
    }
    make[kind](folder / "claim")
    assert claim.acquire(folder) is None
    os.utime(folder / "claim", (1.0, 1.0), follow_symlinks=False)
    with claim.acquire(folder) or pytest.fail("not taken over"):
        assert claim.holder(folder) is not None


@pytest.mark.parametrize("shape", ["itself", "two", "three", "empty"])
def test_a_circle_of_claims_ends(shape: str, folder: Path) -> None:
    """And is taken over like any other claim, by one."""
    old = {"age": holder.STALE_AFTER + 5}
    a, b, c = ("a" * 16, "b" * 16, "c" * 16)
    links = {"itself": [a, a], "two": [a, b, a], "three": [a, b, c, a], "empty": []}[shape]
    for name, token in zip(["claim", *(f"claim-{token}" for token in links)], links, strict=False):
        stranger(folder, name=name, token=token, **old)
    for name in ("claim", "claim-unreadable") if shape == "empty" else ():
        (folder / name).touch()
        os.utime(folder / name, (1.0, 1.0))
    assert claim.holder(folder) is None
    first, second = claim.acquire(folder), claim.acquire(folder)
    assert first is not None and second is None
    first.beat()
    first.release()
    assert not list(folder.iterdir())


def test_a_heartbeat_that_is_to_come_is_none(folder: Path) -> None:
    """`touch -d 2099` blocks a cell no longer than any other silence does."""
    stranger(folder)
    later = time.time() + 10**9
    os.utime(folder / "claim", (later, later))
    assert claim.acquire(folder) is None  # it was touched just now
    holder._clocks[folder.parent] = (time.monotonic(), time.time() - time.monotonic() + holder.STALE_AFTER + 5)
    assert claim.acquire(folder) is not None


def test_the_file_server_s_clock_may_be_set_back(folder: Path) -> None:
    """Then a heartbeat, and when it was given, are both to come until the next one."""
    stranger(folder)
    holder._clocks[folder.parent] = (time.monotonic(), time.time() - time.monotonic() - 7200)
    assert claim.acquire(folder) is None


# Places


def elsewhere(monkeypatch: pytest.MonkeyPatch, place: str = "another", host: str = HOST) -> None:
    monkeypatch.setattr(process, "PLACE", place)
    monkeypatch.setattr(process, "HOST", host)


def test_an_equal_name_in_another_name_space_is_no_death(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Containers and virtual machines share names; a process number says nothing there."""
    mine = claim.acquire(folder)
    assert mine is not None
    elsewhere(monkeypatch)
    assert claim.acquire(folder) is None
    mine.beat()


def test_a_claim_from_before_this_machine_was_started_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Need not be waited for: a namesake that runs would have said so since."""
    stranger(folder, host=HOST, age=200.0)
    monkeypatch.setattr(process, "uptime", lambda: 300.0)
    assert claim.holder(folder) is not None
    monkeypatch.setattr(process, "uptime", lambda: 100.0)
    assert claim.holder(folder) is None
    stranger(folder, host=HOST, age=holder.BEAT_EVERY + 5)
    monkeypatch.setattr(process, "uptime", lambda: 1.0)
    assert claim.holder(folder) is not None
    stranger(folder, host="other", age=200.0)
    assert claim.holder(folder) is not None


UNSHARE = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c"]
can_unshare = pytest.mark.skipif(
    os.geteuid() != 0 or subprocess.run([*UNSHARE[:4], "true"], capture_output=True).returncode != 0,
    reason="no PID name spaces here",
)


@can_unshare
def test_a_process_of_another_name_space_is_waited_for(folder: Path) -> None:
    """In earnest: neither sees the other's processes, both have the host's name."""
    program = f"""
from pathlib import Path
from harness import process
from harness.store import claim
folder = Path({str(folder)!r})
held = claim.holder(folder)
print(process.HOST == held.host, process.PLACE == held.place, claim.acquire(folder))
"""
    with claim.acquire(folder) or pytest.fail("not free"):
        said = subprocess.run([*UNSHARE, program], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["True", "False", "None"]
