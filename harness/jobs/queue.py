"""What the store knows of its jobs on clusters, and what squeue says of them: which cells wait or run there.

<store>/.jobs/slurm/<name>/array.json   one submission: the job's name, its tasks and their cells
                           ...          submitit's files and the logs of its jobs

A record is written before sbatch is called and jobs are recognised by their name, so that none is ever forgotten;
one call of squeue is enough, and no accounting is needed.
"""

from __future__ import annotations

import contextlib
import functools
import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import msgspec

from harness import durable, slurm
from harness.errors import UserError
from harness.store import claim

HOME = Path(".jobs") / "slurm"
"""Folder of the store."""
ENDING = "COMPLETING"
CANCELLED = "cancelled"
"""File beside a record: the jobs that were cancelled, a line each."""
UNKNOWN = "UNKNOWN"
"""`Task.state` as long as its cluster cannot be asked."""


class Array(msgspec.Struct, frozen=True, kw_only=True):
    """One submission: an array of jobs, or a single job."""

    name: Annotated[str, msgspec.Meta(pattern=r"\A\w[\w.-]{0,200}\Z")]
    """The job's name in SLURM, and its folder's: it is handed to SLURM's commands."""
    profile: str
    on: str = ""
    """What `--on` is given to use that profile again: its name, or the path of its file."""
    cluster: str
    """SLURM's name of the cluster."""
    submitted: str
    """When."""
    tasks: tuple[tuple[str, ...], ...]
    """Keys of the cells of each job, in order of the array's indices."""
    job: Annotated[str, msgspec.Meta(pattern=r"\A\d*\Z")] = ""
    """Its number; empty until sbatch has told it."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """One job of an array and its cells. `state` is SLURM's word, UNKNOWN, or empty for one that is over."""

    array: Array
    index: int
    folder: Path
    job: str
    """``123_4``; ``123`` where it is no array; empty if it never got a number."""
    state: str = ""
    restarts: int = 0
    """How often it was requeued: preempted, out of time, its node lost."""
    seconds_left: float | None = None
    """Of its time limit, while it runs."""
    node: str = ""
    reason: str = ""
    """Why it waits, or (with accounting) how it ended."""

    @property
    def cells(self) -> tuple[str, ...]:
        """Their keys; several where they share a GPU."""
        return self.array.tasks[self.index]

    @property
    def runs(self) -> bool:
        return self.state == "RUNNING"

    @property
    def waits(self) -> bool:
        """In the queue, and not running now: pending, requeued, suspended, just ending, or nobody can say."""
        return bool(self.state) and not self.runs

    @property
    def place(self) -> str:
        """As the claim of a cell says it: ``cluster:123_4``."""
        return f"{self.array.cluster}:{self.job}"

    @property
    def cancelled(self) -> bool:
        """Whether `cancel` was asked for it."""
        try:
            return self.job in durable.read(self.folder / CANCELLED).decode().split()
        except (OSError, UnicodeDecodeError):
            return False

    @property
    def log(self) -> Path:
        """What the job itself said, apart from its cells: the place to look if it died before it began one."""
        return self.folder / f"{self.job}_0_log.out"


@dataclass(frozen=True, kw_only=True)
class Queue:
    """All jobs of a store. Every look is one call of squeue."""

    tasks: tuple[Task, ...] = ()
    """In the queue now, or on a cluster that cannot be asked."""
    over: tuple[Task, ...] = ()
    """Not in the queue any more; their cells may all be done."""
    problems: tuple[UserError, ...] = ()
    """Why a cluster could not be asked."""

    @functools.cached_property
    def by_cell(self) -> Mapping[str, Task]:
        """Cell key -> the job that will train it, or does."""
        return {key: task for task in self.tasks for key in task.cells}

    @functools.cached_property
    def ended(self) -> Mapping[str, Task]:
        """Cell key -> the last job that had it and is over, for cells that are in no queue."""
        return {key: task for task in self.over for key in task.cells if key not in self.by_cell}

    @functools.cached_property
    def places(self) -> frozenset[str]:
        """`Task.place` of all that may still be alive."""
        return frozenset(task.place for task in self.tasks)


def look(root: Path) -> Queue:
    """The jobs of the store at `root`. Never raises: what cannot be asked is UNKNOWN, and said in `problems`."""
    arrays = list(records(root))
    if not arrays:
        return Queue()
    try:
        here, lines, problems = slurm.cluster(), slurm.queue([array.name for _, array in arrays]), []
    except UserError as error:
        here, lines, problems = None, [], [error]
    elsewhere = sorted({array.cluster for _, array in arrays if here is not None and array.cluster != here})
    problems += [UserError(f"cluster {name} cannot be asked from here, its jobs count as queued") for name in elsewhere]
    found: dict[str, dict[int, slurm.Line]] = defaultdict(dict)
    for line in lines:
        found[line.name][_index(line.job)] = line
    tasks, over = [], []
    for folder, array in arrays:
        for task in _tasks(folder, array, found[array.name], known=array.cluster == here):
            (tasks if task.state else over).append(task)
    return Queue(tasks=tuple(tasks), over=tuple(over), problems=tuple(problems))


def records(root: Path) -> Iterator[tuple[Path, Array]]:
    """(folder, record) of every submission, oldest first; one that cannot be read is left out."""
    for path in sorted((root / HOME).glob("*/array.json"), key=lambda path: path.parent.name):
        with contextlib.suppress(OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            yield path.parent, msgspec.json.decode(durable.read(path), type=Array)


def record(root: Path, array: Array) -> Path:
    """Write, or write anew once its number is known; returns its folder. Raises UserError."""
    root = root.resolve()
    folder = root / HOME / array.name
    durable.make_folder(folder, within=root)
    durable.write(folder / "array.json", msgspec.json.encode(array))
    return folder


def forget(root: Path, name: str) -> None:
    shutil.rmtree(root / HOME / name, ignore_errors=True)
    _remove_empty(root)


def tidy(root: Path, queue: Queue, settled: Iterable[str]) -> None:
    """Remove submissions of which no job is left, and whose cells are `settled` (keys) or have a newer job."""
    settled, alive = set(settled), {task.array.name for task in queue.tasks}
    last = {key: task.array.name for task in (*queue.over, *queue.tasks) for key in task.cells}
    for folder, array in records(root):
        keys = {key for cells in array.tasks for key in cells}
        if array.name not in alive and all(key in settled or last.get(key) != array.name for key in keys):
            forget(root, folder.name)


@contextlib.contextmanager
def submitting(root: Path) -> Iterator[bool]:
    """The right to submit jobs of this store, which one process has at a time; False while another has it."""
    home = root / HOME
    durable.make_folder(home, within=root)
    mine = claim.acquire(home)
    if mine is None:
        yield False
        return
    try:
        with mine:
            yield True
    finally:
        _remove_empty(root)


def _remove_empty(root: Path) -> None:
    for folder in (root / HOME, root / HOME.parent):
        with contextlib.suppress(OSError):
            folder.rmdir()


def _tasks(folder: Path, array: Array, lines: Mapping[int, slurm.Line], *, known: bool) -> Iterator[Task]:
    single = len(array.tasks) == 1
    for index in range(len(array.tasks)):
        line = lines.get(index)
        number = line.job.partition("_")[0] if line else array.job
        job = number if single or not number else f"{number}_{index}"
        common = {"array": array, "index": index, "folder": folder, "job": job}
        if line is not None:
            yield Task(
                **common,
                state=line.state,
                restarts=line.restarts,
                seconds_left=line.seconds_left if line.state == "RUNNING" else None,
                node=line.node,
                reason=line.reason,
            )
        else:
            yield Task(**common, state="" if known else UNKNOWN)


def _index(job: str) -> int:
    """Of ``123_4`` the 4; 0 where it is no array."""
    return int(index) if (index := job.partition("_")[2]).isdigit() else 0


def with_reasons(tasks: Sequence[Task]) -> list[Task]:
    """Jobs that are over, with how they ended, where accounting knows."""
    known = slurm.reasons([task.job for task in tasks if task.job])
    return [replace(task, reason=known.get(task.job, task.reason)) for task in tasks]
