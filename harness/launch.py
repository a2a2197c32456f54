"""Cells -> jobs, through submitit: in this process (`inline`) or in local processes, never more than `jobs` at once.

The loop below keeps the slots full, takes note of what ended, and waits for cells that another run has claimed. All
that matters is in the store, so this process may die at any moment: its jobs finish the cell they are at.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import durable, environment, process
from harness.errors import UserError, did_you_mean
from harness.result import Failure
from harness.spec import Cell
from harness.store import Store

if TYPE_CHECKING:
    import submitit

PLACES = {
    "inline": "in this process, one cell after another",
    "local": "in processes of this machine, --jobs at once",
}
"""What `--on` knows, with a description."""

JOBS = ".jobs"
"""Folder of the store for submitit's pickles and logs."""
DEATHS = 3
"""A job that dies this often without finishing another epoch is recorded as killed."""
POLL = 0.2
GRACE = 20.0
"""Seconds that interrupted jobs have to stop."""
YEARS = 60 * 24 * 365 * 10
"""Minutes; submitit's local executor would stop a job after two of them."""

Job = Callable[[Cell, Path, Path | None, tuple[str, ...], int], str]
"""``worker.run_cell``: cell, store, data, plugins, threads -> `done`, `failed`, `busy` or `interrupted`."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to run; nothing here changes a number, but `threads`, which is fixed and recorded."""

    on: str = "local"
    jobs: int = 1
    threads: int = 1
    data_root: Path | None = None
    plugins: tuple[str, ...] = ()
    gpus: tuple[str, ...] = ()
    """Handed out to the slots in turn; empty: leave the visible devices as they are."""


@dataclass(frozen=True, kw_only=True)
class Watch:
    """Whom to tell. `began` and `ended` get the cell; `ended` its status as well, or ``error: ...``."""

    began: Callable[[Cell], None] = lambda cell: None
    ended: Callable[[Cell, str], None] = lambda cell, status: None
    elsewhere: Callable[[Sequence[Cell]], None] = lambda cells: None
    """The cells that another run trains, each time the loop looks."""
    stopping: Callable[[], None] = lambda: None


@dataclass
class Queue:
    """The loop's memory."""

    todo: list[Cell]
    running: dict[str, tuple[Cell, submitit.Job[str], int]] = field(default_factory=dict)
    """Cell key -> cell, job, slot."""
    deaths: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Cell key -> how often its job died, and the epoch it had reached."""
    ended: dict[str, str] = field(default_factory=dict)


def check_place(name: str) -> None:
    """Raises UserError for a place that `--on` does not know."""
    if name not in PLACES:
        raise UserError(f"unknown place `{name}`", "--on", did_you_mean(name, PLACES))


def default_jobs(on: str, gpus: Sequence[str]) -> int:
    """One a GPU, or one a core; `inline` has one."""
    return 1 if on == "inline" else len(gpus) or environment.cores()


def run(
    cells: Sequence[Cell], store: Store, options: Options, watch: Watch = Watch(), job: Job | None = None
) -> dict[str, str]:
    """Train `cells`; cell key -> `done`, `failed` or ``error: <line>``. On Ctrl-C stops the jobs, then raises it."""
    with _job_folder(store) as folder:
        queue = Queue(todo=list(cells))
        try:
            while queue.todo or queue.running:
                _collect(queue, store, watch)
                _fill(queue, store, options, watch, folder, job or worker)
                if queue.todo or queue.running:
                    time.sleep(POLL)
        except KeyboardInterrupt:
            watch.stopping()
            _stop([job for _, job, _ in queue.running.values()])
            raise
        return queue.ended


def worker(cell: Cell, store_root: Path, data_root: Path | None, plugins: tuple[str, ...], threads: int) -> str:
    """The real job; imported where it runs, since it brings torch."""
    from harness.worker import run_cell

    return run_cell(cell, store_root, data_root, plugins, threads)


def _fill(queue: Queue, store: Store, options: Options, watch: Watch, folder: Path, job: Job) -> None:
    """Give every free slot a cell that nobody else trains; settle those that others have finished."""
    elsewhere = []
    for cell in list(queue.todo):
        free = set(range(options.jobs)) - {slot for _, _, slot in queue.running.values()}
        if not free:
            break
        if store.holder(cell) is not None:
            elsewhere.append(cell)
            continue
        queue.todo.remove(cell)
        if (known := _settled(cell, store)) is not None:
            _end(queue, cell, known, watch)
            continue
        watch.began(cell)
        try:
            with _interrupts_held():  # until it is noted, so that no job is forgotten
                slot = min(free)
                queue.running[cell.key] = (cell, _submit(cell, slot, store, options, folder, job), slot)
        except OSError as error:
            _end(queue, cell, f"error: {durable.unwritable(folder, error)}", watch)
        if options.on == "inline":
            _collect(queue, store, watch)
    watch.elsewhere(elsewhere)


def _settled(cell: Cell, store: Store) -> str | None:
    if store.result(cell) is not None:
        return "done"
    return "failed" if store.failure(cell) is not None else None


def _submit(cell: Cell, slot: int, store: Store, options: Options, folder: Path, job: Job) -> submitit.Job[str]:
    import submitit

    arguments = (job, cell, store.root.resolve(), options)
    gpu = options.gpus[slot % len(options.gpus)] if options.gpus else None
    if options.on == "inline":
        return submitit.DebugExecutor(folder=folder).submit(_inline_job, *arguments)
    executor = submitit.LocalExecutor(folder=folder)
    executor.update_parameters(timeout_min=YEARS)
    return executor.submit(_local_job, *arguments, gpu)


def _collect(queue: Queue, store: Store, watch: Watch) -> None:
    """Take note of the jobs that have ended."""
    for key, (cell, job, _) in list(queue.running.items()):
        if not job.done():
            continue
        status = _status(job)
        if status == "interrupted" and not _in_process_of_its_own(job):  # the Ctrl-C was ours
            raise KeyboardInterrupt
        del queue.running[key]
        if status in (None, "interrupted"):
            status = _after_death(queue, cell, store)
        if status in ("busy", "again"):
            queue.todo.insert(0, cell)
        else:
            _end(queue, cell, status, watch)


def _end(queue: Queue, cell: Cell, status: str, watch: Watch) -> None:
    queue.ended[cell.key] = status
    watch.ended(cell, status)


def _status(job: submitit.Job[str]) -> str | None:
    """What the job returned; None if its process died without a word."""
    if _in_process_of_its_own(job) and not job.paths.result_pickle.exists():
        return None
    try:
        return job.result()
    except Exception as error:  # not the cell's doing: the job could not even be loaded
        named = re.findall(r"^[\w.]+(?:Error|Exception)\b.*$", str(error), re.MULTILINE)
        return f"error: {named[-1] if named else error}"


def _in_process_of_its_own(job: submitit.Job[str]) -> bool:
    import submitit

    return isinstance(job, submitit.LocalJob)


def _after_death(queue: Queue, cell: Cell, store: Store) -> str:
    """A process that was killed goes on from its last epoch, unless it is always killed at the same place."""
    if (known := _settled(cell, store)) is not None:
        return known
    said = store.progress(cell)
    epoch = said.epoch if said is not None else 0
    deaths, reached = queue.deaths.get(cell.key, (0, -1))
    deaths = deaths + 1 if epoch <= reached else 1
    queue.deaths[cell.key] = (deaths, epoch)
    if deaths < DEATHS:
        return "again"
    reason = f"its process died {deaths} times at epoch {epoch} without a word (out of memory?)"
    when = datetime.now(UTC).isoformat(timespec="seconds")
    store.write_failure(Failure(cell=cell, kind="killed", reason=reason, epoch=epoch, when=when))
    return "failed"


def _stop(jobs: Sequence[Any]) -> None:
    """Ask every job to stop after what it is at, and wait until all have."""
    deadline = time.monotonic() + GRACE
    while (alive := [job for job in jobs if not job.done()]) and time.monotonic() < deadline:
        for job in alive:  # again and again: one that is just starting does not listen yet
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(job.job_id), signal.SIGTERM)
        time.sleep(POLL)


# In the job's process


def _local_job(job: Job, cell: Cell, store_root: Path, options: Options, gpu: str | None) -> str:
    """Runs `job` so that only we interrupt it: not the terminal's Ctrl-C, not the death of the process in front."""
    with contextlib.suppress(OSError):
        os.setsid()
    signal.signal(signal.SIGTERM, _interrupt)
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    return _guarded(job, cell, store_root, options, _redirect_process)


def _inline_job(job: Job, cell: Cell, store_root: Path, options: Options) -> str:
    try:
        return _guarded(job, cell, store_root, options, _redirect_python)
    finally:
        for handler in logging.getLogger().handlers:  # submitit's, which it never closes
            if isinstance(handler, logging.FileHandler) and Path(handler.baseFilename).parent.parent.name == JOBS:
                handler.close()


def _guarded(
    job: Job, cell: Cell, store_root: Path, options: Options, redirect: Callable[[Path], AbstractContextManager[None]]
) -> str:
    """Never raises: submitit's inline executor would open a debugger."""
    environment.limit_threads(options.threads)
    log = Store(store_root).log(cell)
    try:
        durable.make_folder(log.parent)
        with redirect(log):
            return job(cell, store_root, options.data_root, options.plugins, options.threads)
    except KeyboardInterrupt:
        return "interrupted"
    except UserError as error:
        return f"error: {error}"
    except OSError as error:
        return f"error: {durable.unwritable(log, error)}"
    except Exception as error:
        with contextlib.suppress(OSError), log.open("a") as file:
            traceback.print_exc(file=file)
        return f"error: {type(error).__name__}: {str(error).partition(chr(10))[0]}"


def _interrupt(signum: int, frame: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough: let it clean up
    raise KeyboardInterrupt


@contextlib.contextmanager
def _redirect_process(log: Path) -> Iterator[None]:
    """All that this process and its libraries print; it ends with the job."""
    with log.open("a") as file:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
            os.dup2(file.fileno(), stream.fileno())
        yield


@contextlib.contextmanager
def _redirect_python(log: Path) -> Iterator[None]:
    with log.open("a", buffering=1) as file, contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
        yield


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
    home = store.root.resolve() / JOBS
    _remove_old(home)
    me = os.getpid()
    folder = home / f"{process.HOST}~{me}~{process.born(me)}"
    durable.make_folder(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            home.rmdir()


def _remove_old(home: Path) -> None:
    """What runs that were killed left behind, unless a job of theirs still runs."""
    for folder in home.glob(f"{process.HOST}~*~*"):
        _, pid, birth = folder.name.rsplit("~", 2)
        jobs = [path.name.partition("_")[0] for path in folder.glob("*_submitted.pkl")]
        if not process.alive(int(pid), birth) and not any(process.alive(int(job)) for job in jobs if job.isdigit()):
            shutil.rmtree(folder, ignore_errors=True)
