"""What can happen to jobs, nodes, disk and front processes, done to cells while they train on the test cluster."""

from __future__ import annotations

import contextlib
import json
import os
import random
import resource
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from stage import PATIENCE, Stage, job, until, variables

from harness.jobs import queue
from harness.store import Store, claim

EPOCHS = 12
"""Of the cells that are trained; a conversion has one."""
TRIES = 5
"""How often a fault that does not hit is tried again."""


@dataclass(frozen=True)
class Training:
    """A cell that a job trains now."""

    key: str
    pid: int
    job: str
    node: str
    epoch: int
    """The last that this process has begun; 0 while it begins the training or takes it up."""


class Cluster:
    """Does the faults, each a method that returns whether it hit; keeps jobs in the queue while there are cells."""

    def __init__(self, stage: Stage, cells: int, seed: int, say: Callable[[str], None]) -> None:
        self.stage, self.cells, self.chance, self.say = stage, cells, random.Random(seed), say
        self.places = [
            stage.profile("spot", partition="spot", parallel=2),
            stage.profile("packed", partition="spot", parallel=1, pack=2),
        ]
        self.counts: Counter[str] = Counter()
        self.epochs: list[int] = []
        """That the victims had reached at least."""
        self.finished: list[Store] = []

    # What a user does

    def submit(self) -> None:
        done = self.stage.run("--on", self.chance.choice(self.places))
        assert done.returncode == 0, done.stderr
        self.counts["front runs"] += 1

    def victim(self) -> Training:
        """A cell in training; submits what is in no queue, begins a new store when all cells are done.

        Most moments are drawn from the whole training, one in six is soon after a process has taken the cell.
        """
        deadline = time.monotonic() + PATIENCE
        epoch = 0 if self.chance.randrange(6) == 0 else self.chance.randrange(1, EPOCHS - 2)
        while True:
            found = [cell for cell in self.training() if cell.epoch >= epoch]
            if found:
                time.sleep(self.chance.uniform(0, 1))
                chosen = self.chance.choice(found)
                if alive(chosen) and chosen.job in self.stage.jobs("RUNNING"):
                    self.epochs.append(epoch)
                    return chosen
            elif len(list(self.stage.store.results())) == self.cells:
                self.next_store()
            elif not self.stage.jobs():
                self.submit()
            assert time.monotonic() < deadline, self.stage.said("squeue")
            time.sleep(0.1)

    def training(self) -> list[Training]:
        root = self.stage.store.root
        return [found for folder in sorted(root.glob("[0-9a-f]*")) for found in _training(folder)]

    def next_store(self) -> None:
        self.stage.until_idle()
        self.finished.append(self.stage.store)
        self.stage.store = Store(self.stage.folder / f"runs{len(self.finished)}")

    # What happens to jobs

    def cancelled(self) -> bool:
        victim = self.victim()
        self.stage.cluster.run("scancel", victim.job)
        until(lambda: victim.job not in self.stage.jobs("RUNNING"), 60, "scancel had no effect")
        return not self.done(victim)

    def requeued(self) -> bool:
        victim = self.victim()
        self.stage.cluster.run("scontrol", "requeue", victim.job)
        return self.restarted(victim, 0)

    def told_to_go(self) -> bool:
        """USR2, as SLURM sends it before the end of the time."""
        victim = self.victim()
        before = self.stage.restarts(victim.job)
        self.stage.cluster.run("scancel", "--signal=USR2", victim.job)
        return self.restarted(victim, before)

    def preempted(self) -> bool:
        """By a job that wants both nodes whole."""
        victim = self.victim()
        before = self.stage.restarts(victim.job)
        whole = ("--nodes=2", "--ntasks-per-node=1", "--cpus-per-task=4", "--output=/dev/null")
        (said,) = self.stage.said("sbatch", *whole, "--partition=urgent", "--wrap", "sleep 1")
        until(lambda: said.split()[-1] not in self.stage.jobs(), PATIENCE, "the urgent job did not get its nodes")
        return self.restarted(victim, before)

    def restarted(self, victim: Training, before: int) -> bool:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self.stage.restarts(victim.job) > before:
                return True
            if victim.job not in self.stage.jobs():  # it was just ending
                return False
            time.sleep(0.1)
        raise AssertionError(f"{victim} was not requeued")

    # What happens to processes

    def worker_killed(self) -> bool:
        victim = self.victim()
        kill(victim.pid)
        return not self.done(victim)

    def job_killed(self) -> bool:
        """The process that watches over the job's cells."""
        victim = self.victim()
        with contextlib.suppress(OSError):
            kill(int((Path("/proc") / str(victim.pid) / "stat").read_text().rpartition(")")[2].split()[1]))
        return not self.done(victim)

    def killed_while_saving(self) -> bool:
        """When a checkpoint's temporary file is seen; a hit if it is still there afterwards."""
        victim = self.victim()
        folder, saving = self.stage.store.folder(victim.key), f".checkpoint*~{victim.pid}~*.tmp"
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and (Path("/proc") / str(victim.pid)).exists():
            if any(folder.glob(saving)):
                kill(victim.pid)
                return any(folder.glob(saving))
        return False

    # What happens to nodes and disks

    def slurmd_restarted(self) -> bool:
        """Its jobs go on."""
        victim = self.victim()
        self.stage.cluster.kill_node(victim.node)
        time.sleep(self.chance.uniform(0, 2))
        self.start(victim.node)
        return True

    def slurmd_lost(self) -> bool:
        """Long enough that its jobs are requeued to the other node, while their processes still run here."""
        victim = self.victim()
        self.stage.cluster.kill_node(victim.node)
        self.lost(victim.node)
        self.start(victim.node)
        return True

    def node_lost(self) -> bool:
        """With all that runs on it."""
        victim = self.victim()
        self.stage.cluster.kill_node(victim.node)
        folder = str(self.stage.cluster.configuration)
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                said = variables(int(entry.name))
                if said.get("SLURM_CONF") == folder and said.get("SLURMD_NODENAME") == victim.node:
                    kill(int(entry.name), wait=False)
        hit = not self.done(victim)
        self.lost(victim.node)
        self.start(victim.node)
        return hit

    def lost(self, node: str) -> None:
        until(lambda: self.state(node).startswith("down"), 120, f"nobody missed {node}")

    def start(self, node: str) -> None:
        self.stage.cluster.start_node(node)
        until(
            lambda: self.state(node) in ("idle", "mixed", "allocated", "completing"), 120, f"{node} did not come back"
        )

    def state(self, node: str) -> str:
        return self.stage.said("sinfo", "--noheader", "--Node", "--nodes", node, "--format=%T")[0]

    def disk_full(self) -> bool:
        """Whatever it writes next is cut: its files may not become larger than two kilobytes."""
        victim = self.victim()
        limit_files(victim.pid, 2048)
        until(lambda: not alive(victim), PATIENCE, f"{victim} went on without a disk")
        return not self.done(victim)

    def disk_full_at_the_result(self) -> bool:
        """Once the weights are written, just before the result is."""
        victim = self.victim()
        weights = self.stage.store.folder(victim.key) / "weights.pt"
        before = changed(weights)
        while changed(weights) == before and alive(victim):
            time.sleep(0.0005)
        limit_files(victim.pid, 256)
        until(lambda: not alive(victim), PATIENCE, f"{victim} went on without a disk")
        return changed(weights) != before and not self.done(victim)

    # What happens to the processes in front

    def nothing_queued(self) -> None:
        self.victim()
        self.stage.cluster.run("scancel", *self.stage.jobs())
        self.stage.until_idle()

    def two_fronts(self) -> bool:
        """At the same moment; no cell is submitted twice."""
        self.nothing_queued()
        missing = self.cells - len(list(self.stage.store.results()))
        fronts = [self.stage.front("--on", place) for place in self.places]
        assert all(front.wait(PATIENCE) == 0 for front in fronts)
        keys = Counter(key for task in queue.look(self.stage.store.root).tasks for key in task.cells)
        assert set(keys.values()) <= {1}, keys
        return missing > 0

    def front_killed(self) -> bool:
        """Anywhere between its first import and its wait for the end."""
        self.nothing_queued()
        front = self.stage.front("--on", self.chance.choice(self.places), "--wait")
        time.sleep(self.chance.uniform(0.2, 6))
        with contextlib.suppress(ProcessLookupError):
            os.killpg(front.pid, signal.SIGKILL)
        return front.wait() == -signal.SIGKILL

    def done(self, victim: Training) -> bool:
        return (self.stage.store.folder(victim.key) / "result.json").exists()

    # All of it

    def suffer(self, deck: Sequence[Callable[[Cluster], bool]]) -> None:
        """Each fault once; one that comes too late, as its cell is done, is tried again."""
        for number, fault in enumerate(deck, start=1):
            begin = time.monotonic()
            tries = next((n for n in range(1, TRIES + 1) if fault(self)), 0)
            hit = f"at try {tries}" if tries else "not hit"
            self.say(f"{number:3}  {fault.__name__.replace('_', ' '):<25} {hit}, {time.monotonic() - begin:.0f} s")
            self.counts[fault.__name__] += tries > 0
        done = self.stage.run("--on", self.places[0], "--wait")
        assert done.returncode == 0, done.stderr
        self.next_store()

    def compare(self, reference: Store) -> tuple[int, int, int]:
        """Every store that was finished holds what `reference` does: runs of cells, cells, and those gone on with."""
        runs = cells = resumed = 0
        for store in self.finished:
            self.stage.store = store
            self.stage.compare(reference)
            cells += len(list(store.results()))
            resumed += sum(result.resumed > 0 for result in store.results())
            runs += sum(path.read_text().count(" training samples, ") for path in store.root.glob("*/log.txt"))
        return runs, cells, resumed


def _training(folder: Path) -> Iterator[Training]:
    held = claim.holder(folder)
    said = variables(held.pid) if held is not None else {}
    if held is not None and job(said):
        yield Training(folder.name, held.pid, job(said), said["SLURMD_NODENAME"], _epoch(folder, held.pid))


def _epoch(folder: Path, pid: int) -> int:
    try:
        said = json.loads((folder / "progress.json").read_bytes())
    except FileNotFoundError:
        return 0
    return int(said["epoch"]) if said["pid"] == pid else 0


def alive(victim: Training) -> bool:
    try:
        state = (Path("/proc") / str(victim.pid) / "stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z" and job(variables(victim.pid)) == victim.job


def kill(pid: int, wait: bool = True) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    while wait and variables(pid):
        time.sleep(0.01)


def limit_files(pid: int, size: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, size))


def changed(path: Path) -> int:
    """When; 0 if it is not there."""
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_mtime_ns
    return 0
