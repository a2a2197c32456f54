"""What the tests here share: a tiny table, a profile of the test cluster, a store, and the user who types commands."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from outcomes import metrics
from testcluster import Cluster
from tiny import PROTOCOL, TABLE, write_tiny

from harness.store import Store

PATIENCE = 300.0
"""Seconds that anything may take before the test gives up."""


class Stage:
    """A user with a folder of their own on the cluster's login node."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster, self.folder = cluster, folder
        self.store = Store(folder / "runs")
        self.arguments: list[str] = []

    def table(self, protocol: str = PROTOCOL, *, table: str = TABLE, seeds: int = 3) -> None:
        """What `run` is given: two rows of so many seeds."""
        self.arguments = [*write_tiny(self.folder, table, protocol), "--seeds", ",".join(map(str, range(seeds)))]

    def profile(self, name: str, **fields: str | int) -> Path:
        """For `--on`."""
        fields = {"partition": "main", "time": "20", "memory": "1G"} | fields
        path = self.folder / f"{name}.toml"
        path.write_text("".join(f"{key} = {value!r}\n" for key, value in fields.items()))
        return path

    def run(self, *options: object, store: Path | None = None) -> subprocess.CompletedProcess[str]:
        """`run` with the table's arguments."""
        words = [sys.executable, "-m", "harness", "run", *self.arguments, "--store", store or self.store.root, *options]
        return subprocess.run([*map(str, words)], capture_output=True, text=True, check=False, timeout=3600)

    def front(self, *options: object) -> subprocess.Popen[bytes]:
        """The same, not waited for; it leads a process group."""
        command = [sys.executable, "-m", "harness", "run", *self.arguments, "--store", self.store.root, *options]
        silent = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        return subprocess.Popen([str(word) for word in command], start_new_session=True, **silent)

    def inline(self) -> Store:
        """The table trained in one undisturbed process."""
        done = self.run("--on", "inline", store=self.folder / "inline")
        assert done.returncode == 0, done.stderr
        return Store(self.folder / "inline")

    def said(self, *command: str) -> list[str]:
        """Lines that a command of SLURM prints."""
        done = self.cluster.run(*command)
        assert done.returncode == 0, (command, done.stderr)
        return done.stdout.splitlines()

    def jobs(self, *states: str) -> list[str]:
        """Jobs in these states, or all in the queue: ``12``, and ``12_3`` for a task of an array."""
        chosen = ["--states", ",".join(states)] if states else []
        return self.said("squeue", "--noheader", "--array", "--format=%i", *chosen)

    def restarts(self, job: str) -> int:
        """How often `job` was requeued; -1 if SLURM has forgotten it."""
        said = self.cluster.run("scontrol", "show", "job", "--oneliner", job).stdout
        found = [word.partition("=")[2] for word in said.split() if word.startswith("Restarts=")]
        return int(found[0]) if found else -1

    def until_idle(self, seconds: float = PATIENCE) -> None:
        until(lambda: not self.jobs(), seconds, "the queue did not become empty")

    def compare(self, reference: Store) -> None:
        """Every cell once, its numbers those of `reference` to the bit, nothing left over. AssertionError if not."""
        ours, theirs = ({r.cell.key: metrics(r) for r in store.results()} for store in (self.store, reference))
        assert set(ours) == set(theirs) and ours
        assert [key for key in ours if ours[key] != theirs[key]] == []
        left = [str(path.relative_to(self.store.root)) for path in self.store.root.rglob("*") if leftover(path)]
        assert left == []
        for key in ours:
            log = (self.store.folder(key) / "log.txt").read_text()
            assert log.count(" done: best ") == 1, log


def leftover(path: Path) -> bool:
    """A file that a finished store has no use for."""
    return path.name.startswith(("claim", "checkpoint", "failed", "result.json.")) or path.name.endswith(".tmp")


def until(ready: Callable[[], bool], seconds: float, otherwise: str) -> None:
    """Raises AssertionError if that takes longer."""
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.1)


def variables(pid: int) -> dict[str, str]:
    """Environment that a process began with; empty if it is gone."""
    try:
        content = (Path("/proc") / str(pid) / "environ").read_bytes()
    except OSError:
        return {}
    return dict(pair.split("=", 1) for pair in os.fsdecode(content).split("\0") if "=" in pair)


def job(said: dict[str, str]) -> str:
    """Of a process with these variables, as `Stage.jobs` says it; empty if it is in none."""
    if array := said.get("SLURM_ARRAY_JOB_ID"):
        return f"{array}_{said['SLURM_ARRAY_TASK_ID']}"
    return said.get("SLURM_JOB_ID", "")
