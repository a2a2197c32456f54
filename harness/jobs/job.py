"""What a job's process does around the worker: one cell after another, each with its log, stopping when told to.

Several cells share a process because importing torch and its companions takes as long as training a small cell.
"""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from harness import durable, environment, opened, process
from harness.errors import UserError
from harness.jobs import fronts
from harness.jobs.deaths import settled
from harness.spec import Cell
from harness.store import Store

Job = Callable[[Cell, Path, Path | None, tuple[str, ...], int], str]
"""``worker.run_cell``: cell, store, data, plugins, threads -> `done`, `failed`, `busy` or `interrupted`."""
Report = Callable[[str, str, str], None]
"""(`began` or `ended`, cell key, status)."""
Redirect = Callable[[Path], AbstractContextManager[None]]

JOBS = fronts.HOME
"""Folder of the store for submitit's pickles and logs."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a job is given: cells in order of preference, and how to train one."""

    job: Job
    cells: tuple[Cell, ...]
    store_root: Path
    data_root: Path | None
    plugins: tuple[str, ...]
    threads: int
    gpu: str | None = None
    front: tuple[int, str] | None = None
    """Number and birth of the process that submitted this: once it is gone, no new cell is begun."""


def recomputing(job: Job, recompute: str) -> Job:
    """`job`, told by name what it is to compute a second time, unless that is nothing."""
    return job if recompute == "nothing" else functools.partial(job, recompute=recompute)  # type: ignore[call-arg]


def in_own_process(work: Work, events: Path) -> dict[str, str]:
    """Cell key -> status. Only we interrupt it: not the terminal's Ctrl-C, not the death of the process in front."""
    with contextlib.suppress(OSError):
        os.setsid()
        (events.parent / f"{os.getpid()}~{process.born(os.getpid())}.job").touch()  # submitit's number is its parent's
    signal.signal(signal.SIGTERM, interrupt)
    if work.gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = work.gpu

    def report(what: str, key: str, status: str) -> None:
        with contextlib.suppress(OSError), events.open("a") as file:  # the returned statuses say it again
            file.write(json.dumps([what, key, status]) + "\n")

    try:
        return _each(work, report, redirect_process)
    except KeyboardInterrupt:  # between two cells
        return {}


def in_this_process(work: Work, report: Report) -> dict[str, str]:
    try:
        return _each(work, report, _redirect_python)
    finally:
        for handler in logging.getLogger().handlers:  # submitit's, which it never closes
            if isinstance(handler, logging.FileHandler) and Path(handler.baseFilename).parent.parent.name == JOBS:
                handler.close()


def _each(work: Work, report: Report, redirect: Redirect) -> dict[str, str]:
    """Train every cell that is not settled, nor claimed by another process, when its turn comes."""
    environment.limit_threads(work.threads)
    environment.large_pages()
    store, ended = Store(work.store_root), {}
    for cell in work.cells:
        if work.front is not None and not process.alive(*work.front):
            break
        if store.holder(cell) is not None or _cancelled(cell, work) or _too_early(cell, work, store):
            continue
        report("began", cell.key, "")
        ended[cell.key] = settled(cell, store) or guarded(work, cell, redirect)
        report("ended", cell.key, ended[cell.key])
        if ended[cell.key] == "interrupted":
            break
    return ended


def _too_early(cell: Cell, work: Work, store: Store) -> bool:
    """Whether what it begins from is still to be trained, or just being: another job will have its turn then."""
    if cell.origin is None or store.result(cell.origin) is not None:
        return False
    return cell.origin in work.cells or store.holder(cell.origin) is not None


def _cancelled(cell: Cell, work: Work) -> bool:
    return work.front is not None and cell.key in fronts.cancelled(fronts.folder_of(work.store_root, *work.front))


def guarded(work: Work, cell: Cell, redirect: Redirect) -> str:
    """The job's status; its output is in the log. Never raises: submitit's inline executor would open a debugger."""
    log = Store(work.store_root).log(cell)
    try:
        durable.make_folder(log.parent, within=work.store_root)
        with redirect(log):
            return work.job(cell, work.store_root, work.data_root, work.plugins, work.threads)
    except KeyboardInterrupt:
        return "interrupted"
    except UserError as error:
        return f"error: {error}"
    except OSError as error:
        return f"error: {durable.blamed(error, log.parent)}"
    except Exception as error:
        with contextlib.suppress(OSError), opened.appending(log) as file:
            traceback.print_exc(file=file)
        return f"error: {type(error).__name__}: {str(error).partition(chr(10))[0]}"


def interrupt(signum: int, frame: object) -> None:
    """A job's handler of SIGTERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough: let it clean up
    raise KeyboardInterrupt


@contextlib.contextmanager
def redirect_process(log: Path) -> Iterator[None]:
    """All that this process and its libraries print."""
    streams = (sys.stdout, sys.stderr)
    before = [os.dup(stream.fileno()) for stream in streams]
    with opened.appending(log) as file:
        _point(streams, [file.fileno()] * 2)
    try:
        yield
    finally:
        _point(streams, before)
        for descriptor in before:
            os.close(descriptor)


def _point(streams: Sequence, descriptors: Sequence[int]) -> None:
    for stream, descriptor in zip(streams, descriptors, strict=True):
        stream.flush()
        os.dup2(descriptor, stream.fileno())


@contextlib.contextmanager
def _redirect_python(log: Path) -> Iterator[None]:
    with opened.appending(log, buffering=1) as file, contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
        yield
