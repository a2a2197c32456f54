"""`run --on CLUSTER`: submit the cells that neither wait nor run anywhere; if asked to, follow them to their end."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from harness import slurm
from harness.clusters import mib
from harness.errors import UserError, UserErrors
from harness.forecast.history import Past, Place, past
from harness.forecast.memory import Device, memory
from harness.forecast.time import on_a_cluster
from harness.jobs import orphans, queue
from harness.jobs.deaths import settled
from harness.jobs.launch import Watch
from harness.jobs.submit import Batch, How, batches, limit, script, submit
from harness.plan import Name, label
from harness.spec import Cell
from harness.store import Store

POLL = 2.0
ASK_EVERY = 15.0
"""Seconds between two calls of squeue while following."""
SETTLE = 60.0
"""Seconds to wait for jobs that are just ending: they may be requeued, or gone."""
TURN = 600.0
"""Seconds to wait for another process that submits jobs of the same store."""

Tell = Callable[[str], None]
"""Gets a line about what was done."""


@dataclass(kw_only=True)
class Sent:
    """What became of the cells."""

    submitted: list[Cell] = field(default_factory=list)
    queued: list[Cell] = field(default_factory=list)
    """In the queue before, waiting or running."""
    elsewhere: list[Cell] = field(default_factory=list)
    """Trained by a process that is none of our jobs."""
    problems: list[UserError] = field(default_factory=list)

    @property
    def under_way(self) -> list[Cell]:
        return [*self.queued, *self.elsewhere, *self.submitted]


def send(cells: Callable[[], Sequence[Cell]], store: Store, how: How, tell: Tell) -> Sent:
    """Submit what is missing of `cells`, which are asked for when it is our turn.

    Raises UserError if nothing could be asked or submitted; an array that is refused after others is a problem.
    """
    deadline = time.monotonic() + TURN
    while time.monotonic() < deadline:
        with queue.submitting(store.root) as mine:
            if mine:
                return _send(cells(), store, how, tell)
        tell("waiting for another `run` that is submitting jobs of this store")
        time.sleep(POLL)
    raise UserError("another `run` has been submitting jobs of this store for 10 minutes", str(store.root))


def place(how: How) -> Place:
    profile = how.profile
    return Place(cluster=profile.name, gpu=profile.gpus > 0, pack=profile.pack, processes=profile.processes)


def look(store: Store) -> queue.Queue:
    """Raises UserError if squeue does not answer: better nothing than everything twice."""
    found = queue.look(store.root)
    if any(task.state == queue.UNKNOWN and task.array.cluster == slurm.cluster() for task in found.tasks):
        raise UserErrors(found.problems)
    return found


def split(cells: Sequence[Cell], found: queue.Queue, store: Store) -> Sent:
    """Which of `cells` wait or run; the others are `submitted`: to be."""
    sent = Sent()
    for cell in cells:
        if cell.key in found.by_cell:
            sent.queued.append(cell)
        elif store.holder(cell) is not None:
            sent.elsewhere.append(cell)
        else:
            sent.submitted.append(cell)
    return sent


def able(sent: Sent, store: Store) -> tuple[list[Cell], list[UserError]]:
    """Of what is to be submitted, the cells whose origin is there, in the queue or submitted too; why not the others.

    Nothing is submitted that could never be trained.
    """
    coming, found, vain = {cell.key for cell in sent.queued}, [], []
    for cell in sent.submitted:  # each behind its origin
        origin = cell.origin
        if origin is None or origin.key in coming or store.result(origin) is not None:
            coming.add(cell.key)
            found.append(cell)
            continue
        why = "another run trains" if store.holder(origin) is not None else "has no result"
        what = f"begins from {origin.key} {origin.label}, which {why}; it is not submitted"
        vain.append(UserError(what, f"{cell.key} {cell.label}", "type the same again when that is done"))
    return found, vain


def waves(cells: Sequence[Cell]) -> list[list[Cell]]:
    """First those that begin from nothing which is still to be submitted, then those that begin from them, …"""
    depth: dict[str, int] = {}
    for cell in cells:
        depth[cell.key] = depth[cell.origin.key] + 1 if cell.origin is not None and cell.origin.key in depth else 0
    return [
        [cell for cell in cells if depth[cell.key] == level] for level in range(max(depth.values(), default=-1) + 1)
    ]


def awaited(batch: Batch, jobs: Mapping[str, str]) -> list[str]:
    """Numbers of the arrays, of those in `jobs` by the key of a cell, that must have ended before `batch` begins."""
    origins = (cell.origin.key for cells in batch.jobs for cell in cells if cell.origin is not None)
    return list(dict.fromkeys(jobs[key] for key in origins if jobs.get(key)))


def follow(cells: Sequence[Cell], store: Store, watch: Watch) -> dict[str, str]:
    """Until every cell has ended, or its job has; cell key -> `done`, `failed`, ``error: ...``."""
    open_, ended, began = {cell.key: cell for cell in cells}, dict[str, str](), set[str]()
    asked = time.monotonic()
    while open_:
        due = time.monotonic() - asked > ASK_EVERY
        found = queue.look(store.root) if due else None  # before the store: a job's result is there when it is gone
        asked = time.monotonic() if due else asked
        for key, cell in list(open_.items()):
            status = settled(cell, store)
            runs = status is None and store.holder(cell) is not None
            if status is None and not runs and found is not None and key not in found.by_cell:
                status = f"error: {_lost(cell, found)}"
            if runs and key not in began:
                began.add(key)
                watch.began(cell)
            elif not runs and status is None and key in began:
                began.discard(key)
                watch.paused(cell)
            if status is not None:
                ended[key] = status
                del open_[key]
                watch.ended(cell, status)
        if open_:
            time.sleep(POLL)
    return ended


def tidy(store: Store, *, wait: bool = False) -> None:
    """Remove the records of jobs that are over and left nothing to do; with `wait`, of those that are ending too."""
    deadline = time.monotonic() + (SETTLE if wait else 0.0)
    while True:
        found = queue.look(store.root)
        settled = {key for task in (*found.over, *found.tasks) for key in task.cells if _settled(key, store)}
        if time.monotonic() >= deadline or not any(
            settled.issuperset(task.cells) for task in found.tasks if task.state in ("RUNNING", queue.ENDING)
        ):
            return queue.tidy(store.root, found, settled)
        time.sleep(POLL)


def preview(cells: Sequence[Cell], store: Store, how: How, name: Name = label) -> list[str]:
    """Lines for `--dry-run`: what is in the queue, the forecast, and the scripts that sbatch would get."""
    found = look(store)
    sent = split(cells, found, store)
    waiting, busy, todo = len(sent.queued), len(sent.elsewhere), sent.submitted
    lines = [f"{waiting} in the queue already, {busy} trained by another run, {len(todo)} to submit"]
    if not todo:
        return lines
    todo, vain = able(sent, store)
    known = past(todo, store, place(how))
    made = [batch for wave in waves(todo) for batch in batches(wave, how.profile, known)]
    jobs = {key: task.job.partition("_")[0] for key, task in found.by_cell.items()}
    jobs |= {cell.key: f"NUMBER_{n}" for n, batch in enumerate(made, 1) for cells in batch.jobs for cell in cells}
    lines += map(str, vain)
    lines += on_a_cluster(todo, known, how.profile, limit(how.profile), name)
    for number, batch in enumerate(made, start=1):
        lines += ["", f"# {number} of {len(made)}: {batch}", script(batch, how, awaited(batch, jobs)).rstrip()]
    return lines


def needs(cells: Sequence[Cell], how: How, name: Name = label) -> list[str]:
    """Lines: what memory the cells take there, and which will not fit."""
    from harness.measure.footprint import total

    profile = how.profile
    device = Device(
        noun="GPU" if profile.gpus else "process",
        gib=profile.gpu_memory if profile.gpus else mib(profile.memory) / 1024 if profile.memory else None,
        cells=profile.pack if profile.gpus else 1,
        processes=profile.processes,
        fewer=f"pack = 1 in {profile.name}.toml",
        more=f"{profile.name}.toml" if profile.pack == 1 else "",
    )
    return memory(cells, total, device, how.recompute, name)  # type: ignore[arg-type]


def _send(cells: Sequence[Cell], store: Store, how: How, tell: Tell) -> Sent:
    wanted = {cell.key for cell in cells}
    found = _at_rest(wanted, store, tell)
    orphans.free(store.root, wanted - found.by_cell.keys())
    sent = split(cells, found, store)
    sent.problems += found.problems
    todo, vain = able(sent, store)
    sent.submitted, sent.problems = [], [*sent.problems, *vain]
    store.announce(todo)
    known: dict[Cell, Past] = past(todo, store, place(how)) if todo else {}
    by_key = {cell.key: cell for cell in todo}
    jobs = {key: task.job.partition("_")[0] for key, task in found.by_cell.items()}
    for batch in (batch for wave in waves(todo) for batch in batches(wave, how.profile, known)):
        try:
            store.announce(cell for cells in batch.jobs for cell in cells)
            after = awaited(batch, jobs)
            array = submit(batch, how, after)
        except UserError as error:
            if not sent.submitted:
                raise
            sent.problems.append(error)
            break  # what is wrong with this one is wrong with the next
        sent.submitted += [by_key[key] for keys in array.tasks for key in keys]
        jobs |= {key: _number(array, store) for keys in array.tasks for key in keys}
        tell(f"submitted {array.job or array.name}: {batch}{f', after {chr(44).join(after)}' if after else ''}")
    tidy(store)
    return sent


def _number(array: queue.Array, store: Store) -> str:
    """Of the job; where sbatch has not told it, the queue may know it."""
    if array.job:
        return array.job
    tasks = [task for task in look(store).tasks if task.array.name == array.name and task.job]
    return tasks[0].job.partition("_")[0] if tasks else ""


def _settled(key: str, store: Store) -> bool:
    return any(os.path.lexists(store.folder(key) / name) for name in ("result.json", "failed.json"))


def _at_rest(wanted: set[str], store: Store, tell: Tell) -> queue.Queue:
    """The queue when none of the cells' jobs is just ending, as one that was cancelled does for a while."""
    deadline, told = time.monotonic() + SETTLE, False
    while True:
        found = look(store)
        ending = [task for task in found.tasks if task.state == queue.ENDING and wanted & set(task.cells)]
        if not ending or time.monotonic() > deadline:
            return found
        if not told:
            tell(f"waiting for {ending[0].job} to end" + (f" and {len(ending) - 1} more" if len(ending) > 1 else ""))
            told = True
        time.sleep(POLL)


def _lost(cell: Cell, found: queue.Queue) -> str:
    task = found.ended.get(cell.key)
    what = f"job {task.job} has ended without a result of it" if task is not None else "it is in no queue any more"
    return f"{what}; what it said: {task.log}" if task is not None else what
