"""Cells -> jobs, through submitit: in this process (`inline`) or in local processes, never more than `jobs` at once.

The loop below keeps the slots full, hears what the jobs report, and waits for cells that another run has claimed. All
that matters is in the store, so this process may die at any moment: its jobs finish the cell they are at.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness import durable, environment, process
from harness.errors import UserError
from harness.jobs import fronts
from harness.jobs.deaths import Deaths
from harness.jobs.job import Job, Work, in_own_process, in_this_process, recomputing
from harness.spec import Cell
from harness.store import Store

if TYPE_CHECKING:
    import submitit

    from baselines.recompute import Recompute

POLL = 0.2
BLOCKED = "blocked"
"""Status of a cell that begins from one which has ended without a result."""
GRACE = 20.0
"""Seconds that interrupted jobs have to stop."""
YEARS = 60 * 24 * 365 * 10
"""Minutes; submitit's local executor would stop a job after two of them."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to run; nothing here changes a number, but `threads`, which is fixed and recorded."""

    on: str = "local"
    jobs: int = 1
    threads: int = 1
    data_root: Path | None = None
    plugins: tuple[str, ...] = ()
    recompute: str = "nothing"
    """What is computed a second time to train in less memory."""
    gpus: tuple[str, ...] = ()
    """Handed out to the slots in turn; empty: leave the visible devices as they are."""


@dataclass(frozen=True, kw_only=True)
class Watch:
    """Whom to tell. Each gets the cell; `ended` its status too: `done`, `failed`, `cancelled`, ``error: ...``."""

    began: Callable[[Cell], None] = lambda cell: None
    ended: Callable[[Cell, str], None] = lambda cell, status: None
    paused: Callable[[Cell], None] = lambda cell: None
    """Began, and is not being trained any more, yet has not ended: its process died, or another run was faster."""
    elsewhere: Callable[[Sequence[Cell]], None] = lambda cells: None
    """The cells that another run trains, each time the loop looks."""
    stopping: Callable[[], None] = lambda: None


@dataclass
class Slot:
    """One job that runs: what it has reported, and the cell it is at."""

    job: submitit.Job[dict[str, str]]
    events: Path
    heard: int = 0
    """Characters of `events` read so far."""
    cell: Cell | None = None
    told: bool = False
    """To stop."""


class Front:
    """The loop and its memory."""

    def __init__(self, cells: Sequence[Cell], store: Store, options: Options, watch: Watch, job: Job) -> None:
        self.open = {cell.key: cell for cell in cells}
        """Cells that have not ended."""
        self.ended: dict[str, str] = {}
        self._store, self._options, self._watch, self._job = store, options, watch, job
        self._slots: dict[int, Slot] = {}
        self._deaths = Deaths(store)
        self._there = set[str]()
        """Keys of cells that others begin from, whose results are in the store."""
        self._numbers = itertools.count()
        self.scratch = store.root / fronts.HOME
        """Where submitit keeps its files."""
        self._left_behind: list[tuple[int, str]] = []
        """Jobs of a run whose front has died: they finish their cell, and count among those that run at once."""

    def loop(self, folder: Path) -> None:
        """Until every cell has ended. Raises KeyboardInterrupt on Ctrl-C, after the jobs have stopped."""
        if self._options.on != "inline":
            root = self._store.root.resolve()
            self._left_behind = [job for dead in fronts.dead(root) for job in fronts.jobs(dead)]
        try:
            while self.open or self._slots:
                self._listen()
                self._leave(folder)
                self._fill(folder)
                if self.open or self._slots:
                    time.sleep(POLL)
        except KeyboardInterrupt:
            self._watch.stopping()
            self._stop()
            raise

    def _leave(self, folder: Path) -> None:
        """What `cancel` asks for: cells that wait end, jobs that are at one are told to stop, and then it waits."""
        if not (keys := fronts.cancelled(folder)):
            return
        for cell in self._waiting():
            if cell.key in keys:
                self._end(cell, "cancelled")
        for slot in self._slots.values():
            if slot.cell is not None and slot.cell.key in keys and not slot.told:
                slot.told = True
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(slot.job.job_id), signal.SIGTERM)

    def _fill(self, folder: Path) -> None:
        """Give free slots the cells that nobody trains; the jobs share them out by their claims."""
        free = [number for number in range(self._options.jobs) if number not in self._slots]
        if not free or not self.open:
            return
        self._left_behind = [job for job in self._left_behind if process.alive(*job)]
        del free[max(0, self._options.jobs - len(self._slots) - len(self._left_behind)) :]
        waiting = self._waiting()
        elsewhere = [cell for cell in waiting if self._store.holder(cell) is not None]
        able = [cell for cell in waiting if cell not in elsewhere and self._can_begin(cell)]
        begun = {cell.key for cell in (*elsewhere, *able)}
        later = [cell for cell in waiting if cell.key in self.open and cell.key not in begun]
        self._watch.elsewhere(elsewhere)
        at_none_yet = sum(slot.cell is None for slot in self._slots.values())
        for number, first in zip(free, range(at_none_yet, len(able)), strict=False):
            try:
                with _interrupts_held():  # until it is noted, so that no job is forgotten
                    self._submit(number, [*able[first:], *able[:first], *later], folder)  # each begins with another
            except OSError as error:
                self._end(able[first], f"error: {_unstarted(folder, error)}")
        if self._options.on == "inline":
            self._listen()

    def _can_begin(self, cell: Cell) -> bool:
        """Whether what it begins from is trained; a cell of which that will never be ends as blocked."""
        origin = cell.origin
        if origin is None or origin.key in self._there:
            return True
        if origin.key in self.open or self._store.holder(origin) is not None:
            return False
        if self._store.result(origin) is not None:
            self._there.add(origin.key)
            return True
        self._end(cell, BLOCKED)
        return False

    def _waiting(self) -> list[Cell]:
        """Cells that have not ended, and that none of our jobs is at."""
        ours = {slot.cell.key for slot in self._slots.values() if slot.cell is not None}
        return [cell for key, cell in self.open.items() if key not in ours]

    def _submit(self, number: int, cells: Sequence[Cell], folder: Path) -> None:
        import submitit

        options, me = self._options, os.getpid()
        work = Work(
            job=self._job,
            cells=tuple(cells),
            store_root=self._store.root.resolve(),
            data_root=options.data_root,
            plugins=options.plugins,
            threads=options.threads,
            gpu=options.gpus[number % len(options.gpus)] if options.gpus else None,
            front=(me, process.born(me)),
        )
        events = folder / f"{next(self._numbers)}.events"
        if options.on == "inline":
            job = submitit.DebugExecutor(folder=self.scratch).submit(in_this_process, work, self._teller(number))
        else:
            executor = submitit.LocalExecutor(folder=self.scratch)
            executor.update_parameters(timeout_min=YEARS)
            with environment.large_pages_for_children():
                job = executor.submit(in_own_process, work, events)
        self._slots[number] = Slot(job=job, events=events)

    def _listen(self) -> None:
        """Hear what the jobs report, and free the slots of those that have ended."""
        for number, slot in list(self._slots.items()):
            over = slot.job.done()  # asked first: all it reported is there when it is over
            for what, key, status in _news(slot):
                self._hear(number, what, key, status)
            if over:
                self._close(number, slot)

    def _teller(self, number: int) -> Callable[[str, str, str], None]:
        return lambda what, key, status: self._hear(number, what, key, status)

    def _hear(self, number: int, what: str, key: str, status: str) -> None:
        cell = self.open.get(key)
        if cell is None:
            return
        slot = self._slots[number]
        if what == "began":
            slot.cell = cell
            self._watch.began(cell)
            return
        slot.cell = None
        if status in ("busy", "interrupted"):
            self._pause(cell)
        else:
            self._end(cell, status)

    def _close(self, number: int, slot: Slot) -> None:
        statuses = _statuses(slot.job)
        if isinstance(statuses, dict):
            for key, status in statuses.items():  # again, should a report have been lost
                self._hear(number, "ended", key, status)
            if "interrupted" in statuses.values() and self._options.on == "inline":  # the Ctrl-C was ours
                raise KeyboardInterrupt
        elif cell := slot.cell or next(iter(self._waiting()), None):  # at none yet: the next is as good as any to blame
            slot.cell = None
            if statuses is None:
                self._after_death(cell)
            else:
                self._end(cell, f"error: {statuses}")
        del self._slots[number]

    def _after_death(self, cell: Cell) -> None:
        status = self._deaths.after(cell)
        if status is None:
            self._pause(cell)
        else:
            self._end(cell, status)

    def _pause(self, cell: Cell) -> None:
        """Unless another of our jobs is at it: the one that was faster to claim it."""
        if all(slot.cell is not cell for slot in self._slots.values()):
            self._watch.paused(cell)

    def _end(self, cell: Cell, status: str) -> None:
        del self.open[cell.key]
        self.ended[cell.key] = status
        self._watch.ended(cell, status)

    def _stop(self) -> None:
        """Ask every job to stop after what it is at, and wait until all have."""
        jobs = [slot.job for slot in self._slots.values()] if self._options.on != "inline" else []
        deadline = time.monotonic() + GRACE
        while (alive := [job for job in jobs if not job.done()]) and time.monotonic() < deadline:
            for job in alive:  # again and again: one that is just starting does not listen yet
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(job.job_id), signal.SIGTERM)
            time.sleep(POLL)


def run(
    cells: Sequence[Cell], store: Store, options: Options, watch: Watch = Watch(), job: Job | None = None
) -> dict[str, str]:
    """Train `cells`; cell key -> `done`, `failed`, `blocked`, … Ctrl-C stops the jobs, then raises."""
    options = replace(options, jobs=min(options.jobs, max(1, len(cells))))
    front = Front(cells, store, options, watch, recomputing(job or worker, options.recompute))
    with _job_folder(store) as folder, _for_submitit(folder) as front.scratch:
        store.announce(cells)
        fronts.announce(folder, list(front.open))
        front.loop(folder)
    return front.ended


def worker(
    cell: Cell,
    store_root: Path,
    data_root: Path | None,
    plugins: tuple[str, ...],
    threads: int,
    recompute: Recompute = "nothing",
) -> str:
    """The real job; imported where it runs, since it brings torch."""
    from harness.train.worker import run_cell

    return run_cell(cell, store_root, data_root, plugins, threads, recompute)


def default_jobs(on: str, gpus: Sequence[str], threads: int = 1) -> int:
    """One a GPU, or as many as do not fight for cores; `inline` has one."""
    return 1 if on == "inline" else len(gpus) or max(1, environment.cores() // threads)


def _news(slot: Slot) -> list[tuple[str, str, str]]:
    """Whole lines that the job has reported since the last look."""
    try:
        text = slot.events.read_text()[slot.heard :]
    except FileNotFoundError:
        return []
    whole = text[: text.rfind("\n") + 1]
    slot.heard += len(whole)
    return [tuple(json.loads(line)) for line in whole.splitlines()]


def _statuses(job: submitit.Job[dict[str, str]]) -> dict[str, str] | str | None:
    """What the job returned; a line if it could not even be loaded; None if its process died without a word."""
    import submitit

    if isinstance(job, submitit.LocalJob) and not job.paths.result_pickle.exists():
        return None
    try:
        return job.result()
    except Exception as error:
        named = re.findall(r"^[\w.]+(?:Error|Exception)\b.*$", str(error), re.MULTILINE)
        return str(named[-1] if named else error)


def _unstarted(folder: Path, error: OSError) -> UserError:
    """Why a job could not be begun: its files, or its interpreter."""
    if error.filename == sys.executable:
        return UserError(f"cannot be started ({(error.strerror or str(error)).lower()})", sys.executable)
    return durable.unwritable(folder, error)


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """Processes started within do not get the terminal's Ctrl-C (they inherit the mask); ours comes when it ends."""
    caught: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: caught.append(number))
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        signal.signal(signal.SIGINT, before)
    if caught:
        raise KeyboardInterrupt


@contextlib.contextmanager
def _job_folder(store: Store) -> Iterator[Path]:
    """submitit's pickles and logs of this run: gone when it ends, as all that matters is in the store."""
    root = store.root.resolve()
    fronts.remove_dead(root)
    me = os.getpid()
    folder = fronts.folder_of(root, me, process.born(me))
    durable.make_folder(folder, within=root)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            folder.parent.rmdir()


@contextlib.contextmanager
def _for_submitit(folder: Path) -> Iterator[Path]:
    """`folder`, or a link to it where its path has a `%`: submitit would put numbers of jobs for ``%j``, ``%t``."""
    if "%" not in str(folder):
        yield folder
        return
    with tempfile.TemporaryDirectory() as place:
        link = Path(place) / fronts.HOME / folder.name.replace("%", "")
        link.parent.mkdir()
        link.symlink_to(folder)
        yield link
