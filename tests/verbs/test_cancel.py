"""`cancel`: jobs leave the cluster's queue, runs of this host leave cells, and what was not meant goes on."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import stand_in
from fake_slurm import FakeSlurm
from stand_in import make_cell, make_result
from test_status import claimed, line, submitted

from harness.cli import main
from harness.jobs import launch, queue
from harness.jobs.launch import Options, Watch
from harness.process import HOST, PLACE
from harness.store import Store
from harness.store.holder import Holder


@pytest.fixture(autouse=True)
def leave_the_environment_alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = dict(os.environ)
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[1]), str(Path.cwd())])
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "runs")
    made.prepare()
    return made


def cancel(store: Store, *arguments: str) -> int:
    return main(["cancel", *arguments, "--store", str(store.root)])


# On a cluster


def test_jobs_of_the_cells_named_leave_the_queue(store: Store, fake: FakeSlurm, capsys) -> None:
    first, second, third = (make_cell(seed) for seed in range(3))
    folder = submitted(store, (first,), (second,), (third,))
    fake.set(queue=[line("70_0", "RUNNING"), line("70_1", "PENDING"), line("70_2", "PENDING")])
    assert cancel(store, first.key[:8], second.label) == 0
    assert fake.called("scancel") == [["70_0", "70_1"]]
    assert capsys.readouterr().out.splitlines() == [
        f"cancelled job 70_0 (running): {first.label}",
        f"cancelled job 70_1 (pending): {second.label}",
    ]
    assert (folder / queue.CANCELLED).read_text().split() == ["70_0", "70_1"]


def test_all_is_everything_that_waits_or_runs(store: Store, fake: FakeSlurm) -> None:
    submitted(store, (make_cell(0),), (make_cell(1),))
    submitted(store, (make_cell(2),), name="harness-2", job="71")
    fake.set(queue=[line("70_1", "PENDING"), line("71", "RUNNING", name="harness-2")])
    assert cancel(store, "--all") == 0
    assert fake.called("scancel") == [["70_1", "71"]]


def test_a_job_that_others_share_says_so(store: Store, fake: FakeSlurm, capsys) -> None:
    submitted(store, tuple(make_cell(seed) for seed in range(3)))
    fake.set(queue=[line("70", "PENDING")])
    assert cancel(store, make_cell(1).key) == 0
    assert capsys.readouterr().out == f"cancelled job 70 (pending): {make_cell(1).label}, and 2 more that share it\n"


def test_what_scancel_refuses_is_one_line_and_1(store: Store, fake: FakeSlurm, capsys) -> None:
    submitted(store, (make_cell(),))
    fake.set(queue=[line("70", "PENDING")], broken={"scancel": "scancel: error: Access/permission denied"})
    assert cancel(store, "--all") == 1
    said = capsys.readouterr()
    assert said.err.count("\n") == 1 and "Access/permission denied" in said.err


# Here


class Run(threading.Thread):
    """A run of this process."""

    def __init__(self, store: Store, seeds: int, jobs: int = 1) -> None:
        super().__init__()
        self.cells = [make_cell(seed) for seed in range(seeds)]
        self.ended: dict[str, str] = {}
        self._store, self._jobs = store, jobs
        self.start()

    def run(self) -> None:
        # each job takes half a minute, unless it is stopped
        self.ended = launch.run(self.cells, self._store, Options(jobs=self._jobs), Watch(), stand_in.train_slowly)

    def wait_for(self, count: int) -> list[Holder]:
        deadline = time.monotonic() + 60
        while True:
            held = [h for cell in self.cells if (h := self._store.holder(cell)) is not None]
            if len(held) == count and all(self._store.progress(cell) for cell in self.cells[:count]):
                return held
            assert time.monotonic() < deadline, "the run did not begin"
            time.sleep(0.05)


@pytest.fixture(autouse=True)
def no_signal_handlers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run in a thread may set none."""
    import contextlib

    monkeypatch.setattr(launch, "_interrupts_held", contextlib.nullcontext)


def test_a_run_of_this_host_leaves_all_its_cells_and_ends(store: Store, capsys) -> None:
    run = Run(store, seeds=3)
    (held,) = run.wait_for(1)
    started = time.monotonic()
    assert cancel(store, "--all") == 0
    run.join(timeout=25)
    assert not run.is_alive() and time.monotonic() - started < 25
    assert run.ended == {cell.key: "cancelled" for cell in run.cells}
    out = capsys.readouterr().out
    assert f"stopped process {held.pid}: {run.cells[0].label}" in out
    waiting = {cell.label for cell in run.cells[1:]}
    (left,) = re.findall(rf"^the run of process {os.getpid()} leaves (.+), (.+)$", out, re.M)
    assert set(left) == waiting
    assert (store.root / "trained.txt").read_text().count("begins") == 1
    assert not list(store.root.glob("*/claim*"))


def test_what_was_not_named_goes_on(store: Store, capsys) -> None:
    run = Run(store, seeds=2)
    run.wait_for(1)
    assert cancel(store, run.cells[0].key) == 0
    assert "leaves" not in capsys.readouterr().out
    deadline = time.monotonic() + 30
    while store.holder(run.cells[1]) is None:
        assert time.monotonic() < deadline, "the second cell did not begin"
        time.sleep(0.05)
    assert store.holder(run.cells[0]) is None
    assert cancel(store, run.cells[1].key) == 0
    run.join(timeout=25)
    assert run.ended == {cell.key: "cancelled" for cell in run.cells}


def test_a_process_on_another_host_is_named_not_stopped(store: Store, capsys) -> None:
    claimed(store, make_cell())
    assert cancel(store, "--all") == 0
    assert f"not reached from here: process 5 on node7, {make_cell().label}" in capsys.readouterr().out


def test_a_process_that_is_another_now_is_not_stopped(store: Store, capsys, monkeypatch) -> None:
    """Ours is alive, but was not born when the claim says."""
    monkeypatch.setattr(os, "kill", lambda pid, number: pytest.fail("signalled") if number else None)
    store.announce([make_cell()])
    held = Holder(host=HOST, place=PLACE, pid=os.getpid(), born="1", since=0.0, token="7" * 16)
    (store.folder(make_cell()) / "claim").write_bytes(msgspec.json.encode(held))
    assert cancel(store, "--all") == 0
    assert capsys.readouterr().out == "nothing to cancel: no such cell waits or runs\n"


# What is typed


def test_nothing_to_cancel_is_said_and_0(store: Store, capsys) -> None:
    store.write_result(make_result(make_cell()))
    for arguments in (["--all"], [make_cell().key], ["table1", "--preset", "smoke"]):
        assert cancel(store, *arguments) == 0
        assert capsys.readouterr().out == "nothing to cancel: no such cell waits or runs\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "say what to cancel"),
        (("table1", "--all"), "say what to cancel"),
        (("tabel1",), "unknown table or figure `tabel1`; did you mean `table1`?"),
        (("vanilla/resnet20/digits/T2/seed9",), "no cell `vanilla/resnet20/digits/T2/seed9`"),
    ],
)
def test_what_cannot_be_meant_is_one_line_and_2(arguments: tuple[str, ...], message: str, store: Store, capsys) -> None:
    assert cancel(store, *arguments) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1
