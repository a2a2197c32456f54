"""Where one cell stands, by what the store says of it and its queue: done, running, queued, failed or missing."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from harness.amounts import duration
from harness.jobs.queue import UNKNOWN, Queue, Task
from harness.printable import shortened
from harness.spec import Cell
from harness.store import Store
from harness.store.result import Done, Failure, Progress, Result

LAST_WORDS = 2000
"""Characters at the end of a job's own log in which its last line is looked for."""


READABLE = 400
"""Characters of a line that people are to read."""
FINISHED = (Done, Result)
REASON = 200
"""Of these, what a failure or the end of a log has to say; `show`, `logs` and `--format json` say all of it."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One cell: where it stands, a line about it, and what the line is made of.

    No data class: of a large store a hundred thousand are made, each in a tenth of the time.
    """

    cell: Cell
    kind: str
    text: str = ""
    job: str = ""
    node: str = ""
    epoch: int | None = None
    accuracy: float | None = None
    images_per_second: float | None = None
    seconds: float | None = None
    """It took, or (while it runs) it will still take."""
    preempted: int = 0
    """How often its job was requeued."""
    reason: str = ""
    log: str = ""
    retry: str = ""
    """What to type to try a failed one again."""

    @property
    def line(self) -> str:
        """What is said of it; of those that are done, which most are and few are shown, made as it is asked for."""
        if self.accuracy is None or self.seconds is None or self.kind != "done":
            return self.text
        return f"{self.accuracy:.2f} % in {duration(self.seconds)}"

    @property
    def notable(self) -> bool:
        """To be shown without being asked for: it runs, or needs somebody."""
        return self.kind in ("running", "failed") or (self.kind == "missing" and bool(self.reason))


@dataclass(frozen=True, kw_only=True)
class Sight:
    """All that is looked at: the store, its jobs on clusters, and how a cell is tried again."""

    store: Store
    queue: Queue = field(default_factory=Queue)
    waiting: Mapping[str, int] = field(default_factory=dict)
    """Cell key -> the process of this host that is to train it in its run."""
    retry: Callable[[Cell, Task | None], str] = lambda cell, task: ""

    @functools.cached_property
    def ended(self) -> frozenset[str]:
        """Jobs that are over, as claims name them."""
        return frozenset(task.place for task in self.queue.over if task.job)

    def entry(self, cell: Cell, outcome: Result | Done | Failure | Progress | None) -> Entry:
        """Where `cell` stands, by what the store says of it and the queue."""
        if isinstance(outcome, FINISHED):
            return _done(cell, outcome)
        task = self.queue.by_cell.get(cell.key)
        if isinstance(outcome, Progress):
            if not self._over(outcome, task):
                return _running(cell, outcome, task)
            outcome = self.store.failure(cell)
        if task is not None:
            return self._queued(cell, task)
        if outcome is not None:
            return self._failed(cell, outcome)
        if cell.key in self.waiting:
            return Entry(cell=cell, kind="queued", text=f"in the run of process {self.waiting[cell.key]} here")
        return self._missing(cell)

    def _over(self, said: Progress, task: Task | None) -> bool:
        """Whether SLURM knows that the job which claimed the cell has stopped, silent though its claim is."""
        if task is not None and task.place == said.job:
            waits = task.state in ("PENDING", "REQUEUED", "REQUEUE_HOLD")
            return waits or (task.state != UNKNOWN and task.restarts > said.restarts)
        return said.job in self.ended

    def _queued(self, cell: Cell, task: Task) -> Entry:
        said = self.store.progress(cell)
        parts = [f"job {task.job}" if task.job else "being submitted"]
        parts += [f"preempted ×{task.restarts}"] if task.restarts else []
        parts += [f"had reached epoch {said.epoch}/{said.epochs}"] if said is not None and said.epoch else []
        if task.runs:
            parts.append(f"starting on {task.node}")
        elif task.state == UNKNOWN:
            parts.append("its cluster cannot be asked")
        else:
            parts.append(task.reason or task.state.lower())
        return Entry(
            cell=cell,
            kind="queued",
            text=", ".join(parts),
            job=task.job,
            node=task.node,
            epoch=said.epoch if said is not None else None,
            preempted=task.restarts,
            reason="" if task.runs else task.reason,
        )

    def _failed(self, cell: Cell, failure: Failure) -> Entry:
        task = self.queue.ended.get(cell.key)
        log, retry = self._log(cell, task), self.retry(cell, task)
        times = f" (attempt {failure.attempts})" if failure.attempts > 1 else ""
        why = shortened(failure.reason, REASON)
        parts = [f"{failure.kind} at epoch {failure.epoch}: {why}{times}", f"log: {log}"]
        return Entry(
            cell=cell,
            kind="failed",
            text=_with_retry("; ".join(parts), retry),
            job=task.job if task is not None else "",
            epoch=failure.epoch,
            reason=failure.reason,
            log=log,
            retry=retry,
        )

    def _missing(self, cell: Cell) -> Entry:
        """Never begun, stopped on the way, or given to a job that has ended without a word."""
        if (blocked := self._blocked(cell)) is not None:
            return blocked
        said, task = self.store.progress(cell), self.queue.ended.get(cell.key)
        begun = "" if said is None else f"stopped at epoch {said.epoch}/{said.epochs}, to be gone on with"
        if task is None:
            return Entry(cell=cell, kind="missing", text=begun, epoch=said.epoch if said is not None else None)
        reason, log = _how_it_ended(task), str(task.log if task.log.exists() else self.store.log(cell))
        return Entry(
            cell=cell,
            kind="missing",
            text="; ".join(part for part in (reason, begun, f"log: {log}" if Path(log).exists() else "") if part),
            job=task.job,
            epoch=said.epoch if said is not None else None,
            reason=reason,
            log=log,
        )

    def _blocked(self, cell: Cell) -> Entry | None:
        """One that begins, maybe by way of others, from a cell that has failed."""
        for origin in cell.lineage[:-1]:
            failure = self.failure_of(origin)
            if failure is not None:
                retry = self.retry(origin, self.queue.ended.get(origin.key))
                why = f"blocked: {origin.key} {origin.label}, which it begins from, failed: {failure.reason}"
                text = _with_retry(shortened(why, REASON), retry)
                return Entry(cell=cell, kind="missing", text=text, reason=why, retry=retry)
        return None

    @functools.cached_property
    def failure_of(self) -> Callable[[Cell], Failure | None]:
        """Of a cell without a result; each is looked up once."""
        return functools.cache(lambda cell: self.store.failure(cell) if self.store.result(cell) is None else None)

    def _log(self, cell: Cell, task: Task | None) -> str:
        """The cell's, or that of the job which did not come so far."""
        log = self.store.log(cell)
        return str(task.log if task is not None and task.job and not log.exists() and task.log.exists() else log)


def describe(cell: Cell, outcome: Result | Failure | Progress | None, store: Store) -> tuple[str, str]:
    """Kind, and a line about it, by the store alone."""
    entry = Sight(store=store).entry(cell, outcome)
    return entry.kind, entry.line


def _done(cell: Cell, result: Result | Done) -> Entry:
    return Entry(
        cell=cell,
        kind="done",
        epoch=cell.recipe.epochs,
        accuracy=result.accuracy,
        seconds=result.seconds,
    )


def _running(cell: Cell, said: Progress, task: Task | None) -> Entry:
    job = said.job.partition(":")[2]
    node = task.node if task is not None and task.place == said.job and task.node else said.host
    restarts = max(said.restarts, task.restarts if task is not None else 0)
    parts = [f"epoch {said.epoch}/{said.epochs}" if said.epoch else said.words or "starting"]
    if said.epoch:
        parts += [] if said.accuracy is None else [f"{said.accuracy:.2f} %"]
        parts.append(said.words or f"{said.images_per_second:,.0f} images/s")
        parts.append(f"{duration(said.seconds_left)} left")
    parts.append(f"job {job} on {node}" if job else f"on {node} (process {said.pid})")
    limit = task.seconds_left if task is not None else None
    if said.epoch and limit is not None and limit < said.seconds_left:
        parts.append(f"the job's time ends in {duration(limit)}")
    parts += [f"preempted ×{restarts}"] if restarts else []
    return Entry(
        cell=cell,
        kind="running",
        text=", ".join(parts),
        job=job,
        node=node,
        epoch=said.epoch,
        accuracy=said.accuracy,
        images_per_second=said.images_per_second,
        seconds=said.seconds_left if said.epoch else None,
        preempted=restarts,
    )


def _with_retry(text: str, retry: str) -> str:
    """And what to type; where paths make that too long to read, `--format json` and the advice beneath have it."""
    told = f"{text}; retry: {retry}"
    return told if retry and len(told) <= READABLE else text


def _how_it_ended(task: Task) -> str:
    """A job that has left no result of a cell."""
    if not task.job:
        return "its job was never submitted"
    if task.cancelled:
        return f"job {task.job} was cancelled"
    how = shortened(task.reason or _last_line(task), REASON)
    return f"job {task.job} ended without a result" + (f": {how}" if how else "")


def _last_line(task: Task) -> str:
    """Of what an ended job itself, or SLURM about it, has said; submitit's and srun's own words say nothing of why."""
    if not task.log.is_file():
        return ""
    try:
        with task.log.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - LAST_WORDS))
            lines = file.read().decode(errors="replace").split("\n")
    except OSError:
        return ""
    told = (line.strip() for line in reversed(lines) if not line.startswith(("submitit INFO", "srun:")))
    return next((line for line in told if line), "")
