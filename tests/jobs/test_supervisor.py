"""What a SLURM job does, run as srun would run it: submitit's entry point with SLURM's environment, signals and all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import stand_in
from fake_slurm import FakeSlurm
from stand_in import make_cell
from submitit.core.utils import DelayedSubmission

from harness.jobs import supervisor
from harness.jobs.job import Job, Work
from harness.jobs.supervisor import Supervisor
from harness.process import alive
from harness.spec import Cell
from harness.store import Store

JOB = "7"


@pytest.fixture
def fake(tmp_path: Path) -> FakeSlurm:
    made = FakeSlurm(tmp_path / "slurm")
    made.set(queue=[{"job": JOB, "name": "a", "state": "RUNNING"}])
    return made


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "runs")
    made.prepare()
    return made


Begin = Callable[[Job, Sequence[Cell]], subprocess.Popen[bytes]]


@pytest.fixture
def begin(fake: FakeSlurm, store: Store, tmp_path: Path) -> Iterator[Begin]:
    """Start the job; a second time, as it is requeued."""
    running: list[subprocess.Popen[bytes]] = []

    def start(job: Job, cells: Sequence[Cell]) -> subprocess.Popen[bytes]:
        work = Work(job=job, cells=tuple(cells), store_root=store.root, data_root=None, plugins=(), threads=1)
        if not (pickle := tmp_path / f"{JOB}_submitted.pkl").exists():
            submission = DelayedSubmission(Supervisor(work))
            submission.set_timeout(60, 3)
            submission.dump(pickle)
        told = {"SLURM_JOB_ID": JOB, "SLURM_CLUSTER_NAME": "fake", "SUBMITIT_EXECUTOR": "slurm"}
        told |= {"PATH": f"{fake.bin}{os.pathsep}{os.environ['PATH']}", "SLURM_RESTART_COUNT": str(len(running))}
        told["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[1]), str(Path.cwd())])
        command = [sys.executable, "-m", "submitit.core._submit", str(tmp_path)]
        output = (tmp_path / "said.txt").open("ab")
        running.append(subprocess.Popen(command, env=os.environ | told, stdout=output, stderr=subprocess.STDOUT))
        output.close()
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.wait()


def wait_for(holds: Callable[[], object], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


@contextmanager
def training(begin: Begin, store: Store, count: int = 2) -> Iterator[tuple[subprocess.Popen[bytes], list[int]]]:
    """The job, and the processes of its cells, all of them at work."""
    cells = [make_cell(seed) for seed in range(count)]
    for path in store.root.glob("*/progress.json"):  # of an earlier beginning
        path.unlink()
    process = begin(stand_in.train_slowly, cells)
    wait_for(lambda: len(list(store.root.glob("*/progress.json"))) == count)
    held = [holder.pid for cell in cells if (holder := store.holder(cell)) is not None]
    assert len(held) == count
    yield process, held
    wait_for(lambda: not any(map(alive, held)), 5.0)


def test_cells_run_at_once_and_a_failed_one_harms_no_other(begin: Begin, store: Store) -> None:
    cells = [make_cell(seed) for seed in range(3)]
    assert begin(stand_in.fail_odd_seeds, cells).wait(timeout=60) == 0
    assert [store.result(cell) is not None for cell in cells] == [True, False, True]
    failure = store.failure(cells[1])
    assert failure is not None and failure.kind == "diverged"


def test_a_killed_one_is_tried_again_then_recorded_and_harms_no_other(begin: Begin, store: Store) -> None:
    cells = [make_cell(seed) for seed in range(3)]
    assert begin(stand_in.die_odd_seeds, cells).wait(timeout=60) == 0
    assert store.result(cells[0]) and store.result(cells[2])
    failure = store.failure(cells[1])
    assert failure is not None and failure.kind == "killed" and "3 times" in failure.reason


def test_one_that_was_killed_once_is_finished_in_place(begin: Begin, store: Store) -> None:
    assert begin(stand_in.die_at_first, [make_cell()]).wait(timeout=60) == 0
    assert store.result(make_cell()) is not None


def test_each_cell_has_its_own_log(begin: Begin, store: Store) -> None:
    cells = [make_cell(seed) for seed in range(2)]
    assert begin(stand_in.show_threads, cells).wait(timeout=60) == 0
    assert [store.log(cell).read_text().splitlines() for cell in cells] == [["threads 1"]] * 2


def test_what_is_wrong_around_a_cell_is_in_its_log(begin: Begin, store: Store) -> None:
    assert begin(stand_in.stumble, [make_cell()]).wait(timeout=60) == 0
    assert store.log(make_cell()).read_text().splitlines()[-1] == "error: ValueError: a mistake of the harness itself"


def test_on_usr2_the_cells_stop_and_the_job_is_requeued_and_goes_on(
    begin: Begin, store: Store, fake: FakeSlurm, tmp_path: Path
) -> None:
    with training(begin, store) as (process, held):
        for pid in (*held, process.pid):  # as SLURM sends it: to every process of the step
            os.kill(pid, signal.SIGUSR2)
        assert process.wait(timeout=10) != 0
    said = (tmp_path / "said.txt").read_text()
    assert fake.called("scontrol") == [["requeue", JOB]] and said.count("interrupted vanilla") == 2
    assert not list(store.root.glob("*/claim*"))
    with training(begin, store) as (process, _):  # what submitit wrote for the requeued job can be run
        process.terminate()


def test_a_second_usr2_changes_nothing(begin: Begin, store: Store, fake: FakeSlurm) -> None:
    with training(begin, store) as (process, _):
        for _ in range(5):
            process.send_signal(signal.SIGUSR2)
            time.sleep(0.01)
        process.wait(timeout=10)
    assert fake.called("scontrol") == [["requeue", JOB]]


@pytest.mark.parametrize("state", ["RUNNING", "COMPLETING", ""])
def test_sigterm_stops_it_and_it_is_requeued_only_if_it_was_to_run_on(
    begin: Begin, store: Store, fake: FakeSlurm, state: str
) -> None:
    """A preempting system sends it, and lets the job end by itself; scancel does, and does not want it back."""
    with training(begin, store) as (process, held):
        fake.set(queue=[{"job": JOB, "name": "a", "state": state}] if state else [])
        for pid in (*held, process.pid):
            os.kill(pid, signal.SIGTERM)
        assert process.wait(timeout=10) == 0
    assert fake.called("scontrol") == ([["requeue", JOB]] if state == "RUNNING" else [])
    assert not list(store.root.glob("*/claim*"))


@pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel of Linux")
def test_the_cells_do_not_outlive_a_supervisor_that_is_killed(begin: Begin, store: Store) -> None:
    with training(begin, store) as (process, _):
        process.kill()


def test_a_requeued_job_takes_its_own_cells_over(begin: Begin, store: Store) -> None:
    """Killed with its claims held, as when a node is lost; the claims name the job."""
    with training(begin, store) as (process, held):
        for pid in (*held, process.pid):
            os.kill(pid, signal.SIGKILL)
    assert list(store.root.glob("*/claim"))
    with training(begin, store) as (process, _):
        held_by = store.holder(make_cell())
        assert held_by is not None and held_by.job == f"fake:{JOB}"
        process.terminate()


@pytest.mark.parametrize(
    ("visible", "processes", "shares"), [("0,1", 2, ["0", "1"]), ("4,5,6,7", 2, ["4,5", "6,7"]), ("", 2, ["", ""])]
)
def test_each_process_of_a_node_has_its_own_gpus(
    monkeypatch: pytest.MonkeyPatch, visible: str, processes: int, shares: list[str]
) -> None:
    for rank, share in enumerate(shares):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        supervisor.share_gpus(rank, processes)
        assert os.environ["CUDA_VISIBLE_DEVICES"] == share


def test_the_processes_of_a_cell_are_told_of_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """A node's name need not be one that the network knows."""
    given = {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "4", "SLURM_JOB_NUM_NODES": "2", "SLURM_NODEID": "1"}
    given |= {"SLURM_JOB_NODELIST": "no-such-node[1-2]", "SLURM_PROCID": "3", "SLURM_LOCALID": "1"}
    given |= {"SLURM_LAUNCH_NODE_IPADDR": "10.0.0.1", "SUBMITIT_EXECUTOR": "slurm", "CUDA_VISIBLE_DEVICES": "2,3"}
    told = ("MASTER_ADDR", "MASTER_PORT", "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    for name in told:
        monkeypatch.setenv(name, "before")
    monkeypatch.delenv("MASTER_PORT")
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    supervisor.join()
    found = {name: os.environ[name] for name in told if name != "MASTER_PORT"}
    expected = {"MASTER_ADDR": "10.0.0.1", "RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}
    assert found == expected and os.environ["CUDA_VISIBLE_DEVICES"] == "3"
