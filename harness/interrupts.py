"""Signals that ask a training to stop: noted while it is at work, so that it stops where its state can be saved."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
VOLLEY = 5.0
"""Seconds of silence after which another SIGTERM counts as a second one: they are sent in volleys."""


class Stopped(KeyboardInterrupt):
    """Training has saved where it is and stopped, as asked; of several processes, all of them at the same place."""


class Stop:
    """A request to stop, which whoever trains looks at between two steps."""

    def __init__(self) -> None:
        self.requested = False
        self._heard = 0.0

    def hear(self, number: int, frame: FrameType | None) -> None:
        """The signal handler: the first request is noted. A second one does not wait: it raises KeyboardInterrupt."""
        now = time.monotonic()
        again = self.requested and (number == signal.SIGINT or now - self._heard > VOLLEY)
        self.requested, self._heard = True, now
        if again:
            raise KeyboardInterrupt


_current: list[Stop] = []


def request() -> bool:
    """Ask the training of this process to save and stop, from a thread or a signal handler; False if there is none."""
    for stop in _current:
        stop.requested = True
    return bool(_current)


@contextlib.contextmanager
def deferred() -> Iterator[Stop]:
    """Within, SIGINT and SIGTERM only note a request; on leaving, one that nobody has heeded is KeyboardInterrupt.

    Outside the main thread, which alone hears signals, only `request` works. A signal that was ignored stays so.
    """
    stop = Stop()
    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.getsignal(number) for number in SIGNALS}
        before = {number: handler for number, handler in before.items() if handler not in (None, signal.SIG_IGN)}
    _current.append(stop)
    try:
        for number in before:
            signal.signal(number, stop.hear)
        yield stop
    finally:
        _current.remove(stop)
        for number, handler in before.items():
            if not (stop.requested and number == signal.SIGTERM):  # the rest of the volley may still be coming
                signal.signal(number, handler)
    if stop.requested:
        raise KeyboardInterrupt


def leave_to_parent(worker: int) -> None:
    """For the processes that load data: a signal to all processes of a job is for the one that trains to answer.

    It asks them to end when it has saved; if they died before, it would get their death as an error.
    """
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
