"""Stop cells that wait or run: on a cluster by scancel, processes of this host by SIGTERM. What they did is kept."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness import opened, process, slurm
from harness.errors import UserError
from harness.jobs import queue
from harness.jobs.fronts import ask_to_leave, fronts
from harness.jobs.queue import CANCELLED, UNKNOWN, Queue, Task
from harness.plan import data_of
from harness.requests import Cancel
from harness.spec import Cell
from harness.store import Store, claim
from harness.verbs import session

HEAR = 0.5
"""Seconds that a run takes to hear what it is asked: what it begins meanwhile is stopped as well."""


@dataclass(frozen=True, kw_only=True)
class Cancelled:
    """What to tell the user."""

    lines: tuple[str, ...]
    problems: tuple[UserError, ...] = field(default=())


def cancel(request: Cancel) -> Cancelled:
    """Cancel the cells of the tables, figures and keys named, or all of the store. Raises UserError."""
    if bool(request.asked.targets) == request.all:
        raise UserError("say what to cancel", "cancel", "type TABLE, FIGURE or CELL; or --all, alone")
    store, jobs = Store(request.asked.store), queue.look(request.asked.store)
    labels = {cell.key: cell.label for cell in _cells(request, store)}
    lines, problems = [], [*jobs.problems]
    try:
        lines += _on_clusters(labels, jobs)
    except UserError as error:
        problems.append(error)
    lines += _here(labels, store, jobs)
    return Cancelled(lines=tuple(lines or ["nothing to cancel: no such cell waits or runs"]), problems=tuple(problems))


def _cells(request: Cancel, store: Store) -> Iterator[Cell]:
    if request.all:
        yield from store.cells()
        return
    for made in session.plans_of(request.asked, store, data_of(store.cells())):
        yield from made.cells


def _on_clusters(labels: Mapping[str, str], jobs: Queue) -> Iterator[str]:
    """scancel what is in the queue; a job that other cells share goes with them, which is said."""
    wanted = [task for task in jobs.tasks if task.job and any(key in labels for key in task.cells)]
    here = slurm.cluster() if wanted else ""
    reachable = [task for task in wanted if task.array.cluster == here and task.state != UNKNOWN]
    slurm.cancel(task.job for task in reachable)
    for task in reachable:
        with contextlib.suppress(OSError), opened.appending(task.folder / CANCELLED) as file:
            file.write(f"{task.job}\n")
        yield f"cancelled job {task.job} ({task.state.lower()}): {_names(task.cells, labels)}{_others(task, labels)}"
    for task in (task for task in wanted if task not in reachable):
        yield f"not reached from here: job {task.job} on cluster {task.array.cluster}"


def _here(labels: Mapping[str, str], store: Store, jobs: Queue) -> Iterator[str]:
    """Runs of this host leave the cells; processes that train them are told to save and stop."""
    held, told = _holders(labels, store, jobs), False
    for front in fronts(store.root):
        if mine := front.cells & labels.keys():
            ask_to_leave(front, mine)
            told = True
            if waiting := [key for key in labels if key in mine and key not in held and not _settled(store.root / key)]:
                yield f"the run of process {front.pid} leaves {_names(waiting, labels)}"
    if told:
        time.sleep(HEAR)
    for key, found in (held | _holders(labels, store, jobs)).items():
        if found.place != process.PLACE:
            yield f"not reached from here: process {found.pid} on {found.host}, {labels[key]}"
        elif found.here and not process.writes(found.pid, store.log(key)):
            yield f"left alone: process {found.pid} is none of ours that trains {labels[key]}, whatever its claim says"
        else:
            if found.here:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(found.pid, signal.SIGTERM)
            yield f"stopped process {found.pid}: {labels[key]}"


def _holders(labels: Mapping[str, str], store: Store, jobs: Queue) -> dict[str, claim.Holder]:
    """Who trains the cells, the jobs that we submitted aside."""
    found = {key: claim.holder(store.root / key) for key in labels}
    return {key: held for key, held in found.items() if held is not None and held.job not in jobs.places}


def _settled(folder: Path) -> bool:
    return any(os.path.lexists(folder / name) for name in ("result.json", "failed.json"))


def _names(keys: Collection[str], labels: Mapping[str, str]) -> str:
    named = [labels[key] for key in keys if key in labels]
    return ", ".join(named) if len(named) < 4 else f"{len(named)} cells"


def _others(task: Task, labels: Mapping[str, str]) -> str:
    others = sum(key not in labels for key in task.cells)
    return f", and {others} more that share it" if others else ""
