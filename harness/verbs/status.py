"""done / running / queued / failed / missing: of every table in the store, and of every cell of one table."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness import amounts
from harness.amounts import duration
from harness.columns import columns
from harness.jobs.queue import UNKNOWN, Queue, Task
from harness.plan import Plan, naming
from harness.spec import Cell
from harness.store import Store
from harness.store.result import Failure, Progress, Result, Summary

KINDS = ("done", "running", "queued", "failed", "missing")
ORDER = ("failed", "running", "queued", "missing", "done")
"""What wants attention comes first."""
LAST_WORDS = 2000
"""Characters at the end of a job's own log in which its last line is looked for."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One cell: where it stands, a line about it, and what the line is made of."""

    cell: Cell
    kind: str
    text: str
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

    def entry(self, cell: Cell, outcome: Result | Summary | Failure | Progress | None) -> Entry:
        """Where `cell` stands, by what the store says of it and the queue."""
        task = self.queue.by_cell.get(cell.key)
        if isinstance(outcome, Result | Summary):
            return _done(cell, outcome)
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
        parts = [f"{failure.kind} at epoch {failure.epoch}: {failure.reason}{times}", f"log: {log}"]
        return Entry(
            cell=cell,
            kind="failed",
            text="; ".join([*parts, *([f"retry: {retry}"] if retry else [])]),
            job=task.job if task is not None else "",
            epoch=failure.epoch,
            reason=failure.reason,
            log=log,
            retry=retry,
        )

    def _missing(self, cell: Cell) -> Entry:
        """Never begun, stopped on the way, or given to a job that has ended without a word."""
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

    def _log(self, cell: Cell, task: Task | None) -> str:
        """The cell's, or that of the job which did not come so far."""
        log = self.store.log(cell)
        return str(task.log if task is not None and task.job and not log.exists() and task.log.exists() else log)


@dataclass(frozen=True, kw_only=True)
class Standing:
    """One table under one protocol and preset."""

    plan: Plan
    entries: tuple[Entry, ...]
    """In table order."""
    command: str
    """What to type to train what is missing; empty for cells of no table."""

    @property
    def title(self) -> str:
        preset = f", preset {self.plan.preset}" if self.plan.preset else ""
        return f"{self.plan.table.name}{preset}, protocol {self.plan.protocol}"

    @property
    def begun(self) -> bool:
        return any(entry.kind != "missing" or entry.text for entry in self.entries)

    @property
    def going(self) -> bool:
        """Something runs or waits in a queue."""
        return any(entry.kind in ("running", "queued") for entry in self.entries)

    @functools.cached_property
    def counts(self) -> dict[str, int]:
        found = Counter(entry.kind for entry in self.entries)
        return {kind: found[kind] for kind in KINDS}


def headline(standings: Sequence[Standing]) -> str:
    """All cells in a line, each counted once."""
    entries = {entry.cell.key: entry for standing in standings for entry in standing.entries}.values()
    found = Counter(entry.kind for entry in entries)
    parts = [f"{found['done']} of {len(entries)} cells done"]
    parts += [f"{found[kind]} {kind}" for kind in ("failed", "running", "queued", "missing") if found[kind]]
    return ", ".join(parts)


def overview(standings: Sequence[Standing]) -> list[tuple[str, ...]]:
    """Rows for people, a header first."""
    rows: list[tuple[str, ...]] = [("table", "preset", "protocol", *KINDS)]
    for standing in standings:
        plan = standing.plan
        counts = [str(count) if count else "-" for count in standing.counts.values()]
        rows.append((plan.table.name, plan.preset or "-", plan.protocol, *counts))
    return rows


def details(standing: Standing, *, every: bool) -> list[tuple[str, ...]]:
    """Cells that run or need somebody, with what matters of each; with `every`, all of them."""
    chosen = [entry for entry in standing.entries if every or entry.notable]
    chosen.sort(key=lambda entry: ORDER.index(entry.kind))
    name = naming([standing.plan])
    rows = [(entry.kind, entry.cell.key, name(entry.cell), entry.text) for entry in chosen]
    queued = [entry for entry in standing.entries if entry.kind == "queued"]
    return (
        rows if every or not queued else [*rows, ("queued", "", amounts.count(len(queued), "cell"), _waiting(queued))]
    )


def advice(standing: Standing) -> Iterator[str]:
    """What to type next."""
    if standing.command and standing.counts["missing"]:
        yield f"train what is missing: {standing.command}"
    if standing.command and standing.counts["failed"]:
        yield f"try the failed ones again: {standing.command} --retry failed"


def page(standings: Sequence[Standing], *, every: bool) -> str:
    """All of it for people: the numbers, then cell by cell what matters (or, with `every`, all), then what to type."""
    lines = [headline(standings), "", columns(overview(standings))]
    for standing in standings:
        rows, advised = details(standing, every=every), list(advice(standing))
        if rows or advised:
            lines += ["", standing.title, *([columns(rows, indent="  ")] if rows else [])]
            lines += [f"  {line}" for line in advised]
    return "\n".join(lines)


def records(standings: Sequence[Standing]) -> list[dict[str, Any]]:
    """For JSON: each table with each of its cells."""
    return [
        {
            "table": standing.plan.table.name,
            "preset": standing.plan.preset,
            "protocol": standing.plan.protocol,
            **standing.counts,
            "cells": [_record(entry, name(entry.cell)) for entry in standing.entries],
            "retry": f"{standing.command} --retry failed" if standing.command and standing.counts["failed"] else None,
        }
        for standing in standings
        for name in [naming([standing.plan])]
    ]


def describe(cell: Cell, outcome: Result | Failure | Progress | None, store: Store) -> tuple[str, str]:
    """Kind, and a line about it, by the store alone."""
    entry = Sight(store=store).entry(cell, outcome)
    return entry.kind, entry.text


def _done(cell: Cell, result: Result | Summary) -> Entry:
    return Entry(
        cell=cell,
        kind="done",
        text=f"{result.accuracy:.2f} % in {duration(result.seconds)}",
        epoch=cell.recipe.epochs,
        accuracy=result.accuracy,
        seconds=result.seconds,
    )


def _running(cell: Cell, said: Progress, task: Task | None) -> Entry:
    job = said.job.partition(":")[2]
    node = task.node if task is not None and task.place == said.job and task.node else said.host
    restarts = max(said.restarts, task.restarts if task is not None else 0)
    parts = [f"epoch {said.epoch}/{said.epochs}" if said.epoch else "starting"]
    if said.epoch:
        parts += [] if said.accuracy is None else [f"{said.accuracy:.2f} %"]
        parts += [f"{said.images_per_second:,.0f} images/s", f"{duration(said.seconds_left)} left"]
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


def _record(entry: Entry, name: str) -> dict[str, Any]:
    told = {
        name: getattr(entry, name)
        for name in ("job", "node", "epoch", "accuracy", "images_per_second", "seconds", "preempted", "reason")
    }
    known = {name: value for name, value in told.items() if value not in (None, "", 0)}
    paths = {name: value for name in ("log", "retry") if (value := getattr(entry, name))}
    head = {"state": entry.kind, "key": entry.cell.key, "label": name, "detail": entry.text}
    return {**head, **known, **paths}


def _waiting(queued: Sequence[Entry]) -> str:
    """``14 jobs: 12 Priority, 2 Resources``; those preempted among them are counted too."""
    reasons = Counter(entry.reason or "starting" for entry in {entry.job: entry for entry in queued}.values())
    told = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
    preempted = sum(bool(entry.preempted) for entry in queued)
    jobs = sum(reasons.values())
    return f"{amounts.count(jobs, 'job')}: {told}" + (
        f"; {amounts.count(preempted, 'cell')} preempted" if preempted else ""
    )


def _how_it_ended(task: Task) -> str:
    """A job that has left no result of a cell."""
    if not task.job:
        return "its job was never submitted"
    if task.cancelled:
        return f"job {task.job} was cancelled"
    how = task.reason or _last_line(task)
    return f"job {task.job} ended without a result" + (f": {how}" if how else "")


def _last_line(task: Task) -> str:
    """Of what an ended job itself, or SLURM about it, has said; submitit's and srun's own words say nothing of why."""
    try:
        with task.log.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - LAST_WORDS))
            lines = file.read().decode(errors="replace").split("\n")
    except OSError:
        return ""
    told = (line.strip() for line in reversed(lines) if not line.startswith(("submitit INFO", "srun:")))
    return next((line for line in told if line), "")


def with_reasons(queue: Queue, keys: Collection[str]) -> Queue:
    """How the jobs of these cells ended, where accounting knows."""
    from harness.jobs import queue as jobs

    wanted = [task for task in queue.over if any(key in keys for key in task.cells)]
    known = {(task.array.name, task.index): task for task in jobs.with_reasons(wanted)} if wanted else {}
    return replace(queue, over=tuple(known.get((task.array.name, task.index), task) for task in queue.over))
