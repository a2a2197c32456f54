"""What a cell's training has printed: the end of its log, and what comes; or what its job said, if that died before."""

from __future__ import annotations

import codecs
import os
import time
from collections.abc import Iterator
from pathlib import Path

from harness.errors import UserError
from harness.jobs import queue
from harness.jobs.queue import Task
from harness.store import Store
from harness.verbs.show import find_cell
from harness.verbs.tail import added

POLL = 0.5
ASK_EVERY = 15.0
"""Seconds between two calls of squeue while following."""


class Logs:
    """Of one cell, found by its key, the beginning of it, its label or a path. Raises UserError if there is no such."""

    def __init__(self, text: str, root: Path) -> None:
        cell, self.store = find_cell(text, Store(root))
        self.key = cell.key
        self._jobs = queue.look(self.store.root)

    @property
    def cell(self) -> Path:
        return self.store.folder(self.key) / "log.txt"

    @property
    def task(self) -> Task | None:
        """The job that has or had the cell."""
        return self._jobs.by_cell.get(self.key) or self._jobs.ended.get(self.key)

    def paths(self) -> list[Path]:
        """The cell's log; after it that of a job which ended without a result. Empty if neither has begun."""
        found, task = [self.cell] if self.cell.exists() else [], self.task
        if task is None or not task.job or not task.log.exists():
            return found
        ended_without = not task.state and not self._settled()
        return [*found, task.log] if ended_without or not found else found

    @property
    def to_come(self) -> bool:
        """It runs, or waits in a queue."""
        return not self._over()

    def why_none(self) -> UserError:
        """Where there is no log at all."""
        task = self.task
        if task is None:
            return UserError("nothing was ever printed for this cell", str(self.cell), "`run` trains it")
        if task.state:
            reason = f" ({task.reason})" if task.reason else ""
            return UserError(f"job {task.job} is {task.state.lower()}{reason}; nothing is printed yet", str(self.cell))
        return UserError(f"job {task.job} ended and left no log", str(task.log))

    def follow(self, path: Path, at: int) -> Iterator[str]:
        """What is added to `path` after byte `at`, until the cell has ended, or nobody has it any more."""
        asked, decoder = time.monotonic(), codecs.getincrementaldecoder("utf-8")("replace")
        while True:
            over = self._over()  # looked at first: what it printed last is there when it is over
            while (found := added(path, at))[0]:
                at = found[1]
                yield decoder.decode(found[0])
            if over:
                return
            time.sleep(POLL)
            if time.monotonic() - asked > ASK_EVERY:
                self._jobs, asked = queue.look(self.store.root), time.monotonic()

    def _settled(self) -> bool:
        folder = self.store.folder(self.key)
        return any(os.path.lexists(folder / name) for name in ("result.json", "failed.json"))

    def _over(self) -> bool:
        from harness.store import claim

        running = claim.holder(self.store.folder(self.key)) is not None
        return not running and (self._settled() or self.key not in self._jobs.by_cell)
