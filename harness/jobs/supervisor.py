"""What a SLURM job does: trains its cells at once, each in a process of its own, and goes on after a requeue.

The supervisor never imports torch. It forks a process for each cell; one that fails or is killed harms no other. On
USR2 (submitit: preempted, or soon out of time) and on SIGTERM the processes save and end, and the job is requeued.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from harness import environment, opened, process, slurm
from harness.errors import UserError
from harness.jobs.deaths import DEATHS, Deaths, settled
from harness.jobs.job import Work, guarded, interrupt, redirect_process
from harness.spec import Cell
from harness.store import Store

if TYPE_CHECKING:
    import submitit

POLL = 0.1
SAVING = 10.0
"""Seconds that the cells have to save when the job is to be requeued."""
BUSY_EVERY, BUSY_FOR = 5.0, 60.0
"""Seconds: how often a cell that another process trains is asked for again, and for how long."""
SIGNALS = (signal.SIGUSR2, signal.SIGTERM, signal.SIGCONT)
"""What SLURM sends; all of it reaches the cells' processes too."""

PR_SET_PDEATHSIG = 1
"""From <sys/prctl.h>."""

log = logging.getLogger("submitit")


class PeerDied(Exception):
    """One of the processes that a cell spans is gone: the others cannot go on without it."""


@dataclass(frozen=True)
class Child:
    cell: Cell
    said: int
    """Where its status is read from."""


class Supervisor:
    """What submitit is given to call: `work.cells` at once, or a share of the one cell that spans `processes`."""

    def __init__(self, work: Work, processes: int = 1) -> None:
        self._work, self._processes = work, processes
        self._children: dict[int, Child] = {}
        self._stopping = False

    def __call__(self) -> dict[str, str]:
        """Cell key -> status."""
        signal.signal(signal.SIGTERM, self._terminate)
        environment.limit_threads(self._work.threads)
        environment.large_pages()
        if self._processes > 1:
            join()
        try:
            ended = self._loop()
        finally:
            self._kill()
        if self._stopping:
            self._requeue()
        return ended

    def checkpoint(self) -> submitit.helpers.DelayedSubmission:
        """By submitit, on USR2: lets the cells save; what it returns is called in the requeued job."""
        from submitit.helpers import DelayedSubmission

        signal.signal(signal.SIGUSR2, signal.SIG_IGN)  # a second one would requeue twice
        self._stopping = True
        self._signal(signal.SIGTERM)
        deadline = time.monotonic() + SAVING
        while self._children and time.monotonic() < deadline:
            for cell, status in self._ended():
                log.info("%s %s", status or "died", cell.label)
            time.sleep(POLL)
        self._kill()
        return DelayedSubmission(Supervisor(self._work, self._processes))

    def _loop(self) -> dict[str, str]:
        store = Store(self._work.store_root)
        deaths, ended = Deaths(store), dict[str, str]()
        since = time.monotonic()
        waiting = dict.fromkeys(self._work.cells, since)
        """When to begin a cell."""
        while self._children or (waiting and not self._stopping):
            for cell in [cell for cell, when in waiting.items() if time.monotonic() >= when]:
                del waiting[cell]
                self._begin(cell)
            for cell, status in self._ended():
                if status is None and self._processes > 1 and not self._stopping:
                    self._peer_died(cell)
                status = status if status is not None else deaths.after(cell)
                self._note(cell, status, store)
                if status is None:
                    waiting[cell] = time.monotonic()
                elif status == "busy" and time.monotonic() - since < BUSY_FOR:
                    waiting[cell] = time.monotonic() + BUSY_EVERY
                else:
                    ended[cell.key] = status
            time.sleep(POLL)
        return ended

    def _note(self, cell: Cell, status: str | None, store: Store) -> None:
        log.info("%s %s", status or "died", cell.label)
        if status is not None and status.startswith("error: "):  # what is wrong around the cell is in its log too
            with contextlib.suppress(OSError), opened.appending(store.log(cell)) as file:
                file.write(f"{status}\n")

    def _begin(self, cell: Cell) -> None:
        with _signals_held():  # until the new process has handlers of its own, and we know of it
            if self._stopping:
                return
            out, into = os.pipe()
            parent = os.getpid()
            if (pid := os.fork()) == 0:
                self._child(cell, into, parent)
            os.close(into)
            self._children[pid] = Child(cell, out)
        log.info("began %s as process %d", cell.label, pid)

    def _child(self, cell: Cell, into: int, parent: int) -> NoReturn:
        status = "error: it could not begin"
        try:
            signal.signal(signal.SIGUSR2, signal.SIG_IGN)
            signal.signal(signal.SIGCONT, signal.SIG_DFL)
            signal.signal(signal.SIGTERM, interrupt)
            die_with(parent)
            try:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
                known = settled(cell, Store(self._work.store_root))
                status = known or guarded(self._work, cell, redirect_process)
            except KeyboardInterrupt:
                status = "interrupted"
            os.write(into, status.encode()[:4000])
        finally:
            os._exit(0)  # nothing of the supervisor's is to run here

    def _ended(self) -> list[tuple[Cell, str | None]]:
        """Cells whose process has ended since the last look, with the status it told; None: it died."""
        found = []
        with _signals_held():  # their handlers look too
            for pid, child in list(self._children.items()):
                if os.waitpid(pid, os.WNOHANG)[0] == 0:
                    continue
                del self._children[pid]
                with os.fdopen(child.said) as file:
                    found.append((child.cell, file.read() or None))
        return found

    def _terminate(self, signum: int, frame: object) -> None:
        """SIGTERM: from scancel, from a preempting or a dying system. Not for us to wait for more."""
        self._stopping = True
        self._signal(signal.SIGTERM)

    def _signal(self, number: signal.Signals) -> None:
        for pid in list(self._children):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _kill(self) -> None:
        self._signal(signal.SIGKILL)
        while self._children:
            self._ended()
            time.sleep(POLL / 10)

    def _peer_died(self, cell: Cell) -> NoReturn:
        """A share of a cell cannot be begun anew alone: the whole job is, a few times."""
        log.warning("a process of %s died", cell.label)
        if process.restarts() < DEATHS:
            with contextlib.suppress(UserError):  # another of its processes has asked already
                slurm.requeue(job())
        raise PeerDied(cell.label)

    def _requeue(self) -> None:
        """After SIGTERM: a job that is being preempted goes on later; one that was cancelled does not run any more."""
        with contextlib.suppress(UserError):  # then the next `run` submits the rest
            if rank() == 0 and slurm.state(job()) == "RUNNING":
                log.info("to be requeued")
                slurm.requeue(job())


@contextlib.contextmanager
def _signals_held() -> Iterator[None]:
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def job() -> str:
    """This job, as SLURM's commands name it."""
    return process.job().partition(":")[2]


def rank() -> int:
    return int(os.environ.get("SLURM_PROCID") or 0)


def die_with(parent: int) -> None:
    """Have the kernel kill this process when `parent` ends, where it can: not every SLURM finds orphans."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None and prctl(PR_SET_PDEATHSIG, signal.SIGKILL) == 0 and os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)  # it ended in between


def join() -> None:
    """Tell torch, by the environment, of the processes that share the cell, and give each its own GPUs of the node."""
    from submitit.helpers import TorchDistributedEnvironment

    peers = TorchDistributedEnvironment().export(set_cuda_visible_devices=False, overwrite=True)
    if not reachable(peers.master_addr):
        os.environ["MASTER_ADDR"] = os.environ.get("SLURM_LAUNCH_NODE_IPADDR", peers.master_addr)
    share_gpus(peers.local_rank, peers.local_world_size)


def reachable(name: str) -> bool:
    """A node's name need not be one that the network knows, and to itself it may mean loopback; its address is both."""
    try:
        return not socket.gethostbyname(name).startswith("127.")
    except OSError:
        return False


def share_gpus(local_rank: int, local_processes: int) -> None:
    """Of the GPUs that this job has on this node, an even share for each of its processes here."""
    if gpus := environment.gpus():
        each = max(1, len(gpus) // local_processes)
        mine = gpus[local_rank * each : (local_rank + 1) * each]
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(mine)
