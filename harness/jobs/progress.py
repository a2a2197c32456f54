"""What a run is doing, on standard error: a live display on a terminal, else a line now and then."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

import msgspec
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from harness.amounts import duration
from harness.errors import LONGEST
from harness.jobs.launch import BLOCKED, Watch
from harness.printable import printable, shortened
from harness.spec import Cell
from harness.stats import by_seed, sample
from harness.store import Store
from harness.store.result import Progress

LINE_EVERY = 60.0
"""Seconds between two lines about what runs, where there is no terminal."""
STARTING = 0
"""`Progress.epoch` of a cell that has not said anything yet."""


class Monitor:
    """Follows a run through the store. A context; give `watch` to `launch.run`."""

    def __init__(
        self,
        cells: Sequence[Cell],
        done: int,
        store: Store,
        jobs: int,
        console: Console,
        name: Callable[[Cell], str] = lambda cell: cell.label,
        rows: Sequence[Cell] = (),
    ) -> None:
        """`rows`: every cell of the tables that are trained, those that are done already among them."""
        self._total, self._done, self._failed = done + len(cells), done, 0
        self._store, self._jobs, self._console, self._name = store, jobs, console, name
        self._since, self._spinner = time.monotonic(), Spinner("line")  # in ASCII
        self._rows: dict[Cell, list[Cell]] = {}
        for cell in dict.fromkeys((*rows, *cells)):
            self._rows.setdefault(_seedless(cell), []).append(cell)
        self._running: dict[str, Cell] = {}
        self._elsewhere: tuple[Cell, ...] = ()
        self._began: dict[str, float] = {}
        self._took: list[float] = []
        """Seconds of the cells that ended in this run."""
        self._stop = threading.Event()
        self._live = Live(console=console, get_renderable=self._render, refresh_per_second=4, transient=True)
        self._thread = threading.Thread(target=self._lines, name="progress", daemon=True)
        self.watch = Watch(
            began=self.began, ended=self.ended, paused=self.paused, elsewhere=self.elsewhere, stopping=self.stopping
        )

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        else:
            self._say(f"{self._head(None)}, {self._jobs} at once")
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._console.is_terminal:
            self._live.stop()
        else:
            self._thread.join()

    def began(self, cell: Cell) -> None:
        self._began[cell.key] = time.monotonic()
        self._running = {**self._running, cell.key: cell}  # replaced, never changed: another thread reads it

    def paused(self, cell: Cell) -> None:
        self._running = {key: other for key, other in self._running.items() if key != cell.key}

    def ended(self, cell: Cell, status: str) -> None:
        self.paused(cell)
        seconds = time.monotonic() - self._began.pop(cell.key, time.monotonic())
        self._done += 1
        if status == "done":
            self._took.append(seconds)
        elif status != "cancelled":
            self._failed += 1
        self._say(f"{self._done}/{self._total} {self._sentence(cell, status)}")

    def elsewhere(self, cells: Sequence[Cell]) -> None:
        for cell in cells:
            if cell not in self._elsewhere and (held := self._store.holder(cell)) is not None:
                self._say(f"waiting for {self._name(cell)}: process {held.pid} on {held.host} trains it")
        self._elsewhere = tuple(cells)

    def stopping(self) -> None:
        self._running = {}  # they are between two states: say nothing of them
        self._say("stopping the running cells ...")

    def _say(self, line: str) -> None:
        self._console.print(shortened(printable(line), LONGEST), markup=False, highlight=False, soft_wrap=True)

    def _sentence(self, cell: Cell, status: str) -> str:
        if status == "cancelled":
            return f"cancelled {self._name(cell)}"
        if status == BLOCKED and cell.origin is not None:
            return f"blocked {self._name(cell)}: {self._name(cell.origin)}, which it begins from, has no result"
        result = self._store.result(cell)
        if status == "done" and result is not None:
            return f"done {self._name(cell)}: {result.accuracy:.2f} % in {duration(result.seconds)}{self._row(cell)}"
        failure = self._store.failure(cell)
        reason = failure.reason if failure is not None else status.removeprefix("error: ")
        return f"FAILED {self._name(cell)}: {reason}"

    def _row(self, cell: Cell) -> str:
        """``; its row so far: 63.65±0.31 % (n = 2 of 3)``, from its second seed on."""
        row = self._rows[_seedless(cell)]
        spread = sample(list(by_seed(map(self._store.result, row)).values()))
        if spread.mean is None or spread.std is None:
            return ""
        so_far = "" if spread.n == len(row) else " so far"
        return f"; its row{so_far}: {spread.mean:.2f}±{spread.std:.2f} % (n = {spread.n} of {len(row)})"

    def _states(self) -> list[tuple[Cell, Progress | None, bool]]:
        """Cell, how far it is, whether another run trains it."""
        mine = [(cell, self._store.running(cell), False) for cell in self._running.values()]
        return mine + [(cell, self._store.running(cell), True) for cell in self._elsewhere]

    def _seconds_left(self, states: Sequence[tuple[Cell, Progress | None, bool]]) -> float | None:
        """From the cells that ended and those that run; None as long as neither says anything."""
        known = [said for _, said, _ in states if said is not None and said.seconds_left > 0]
        left = [said.seconds_left for said in known]
        whole = [said.seconds_left / (1 - said.epoch / said.epochs) for said in known if said.epoch < said.epochs]
        sizes = [*self._took, *whole]
        if not sizes:
            return None
        unknown = self._total - self._done - len(known)
        return max([(sum(left) + unknown * sum(sizes) / len(sizes)) / self._jobs, *left])

    def _head(self, left: float | None) -> str:
        elapsed = time.monotonic() - self._since
        parts = [f"{self._done}/{self._total} cells"]
        parts += [f"{duration(elapsed)} elapsed"] if elapsed >= 1 else []
        parts += [f"{self._failed} failed"] if self._failed else []
        parts += [f"about {duration(left)} left"] if left is not None else []
        return ", ".join(parts)

    def _render(self) -> Group:
        states = self._states()
        grid = Table.grid(padding=(0, 1))
        for column in ("left", "right", "left", "right", "right", "right"):
            grid.add_column(justify=column, no_wrap=True)
        for cell, said, elsewhere in states:
            grid.add_row(*_cells_of(self._name(cell), said, elsewhere))
        head = self._head(self._seconds_left(states))
        if not states and not self._stop.is_set():
            head += f", starting {self._jobs} job{'s' * (self._jobs > 1)}"
        self._spinner.update(text=Text(head, style="bold"))
        return Group(self._spinner, grid)

    def _lines(self) -> None:
        while not self._stop.wait(LINE_EVERY):
            states = self._states()
            self._say(self._head(self._seconds_left(states)))
            for cell, said, elsewhere in states:
                self._say(f"  {_line_of(self._name(cell), said, elsewhere)}")


def _seedless(cell: Cell) -> Cell:
    return msgspec.structs.replace(cell, seed=0)


def _cells_of(name: str, said: Progress | None, elsewhere: bool) -> tuple[str | Text | ProgressBar, ...]:
    told = Text(printable(name))
    if said is None or said.epoch == STARTING:
        return (told, "", printable(said.words) if said is not None and said.words else "starting", "", "", "")
    return (
        told,
        f"epoch {said.epoch}/{said.epochs}",
        ProgressBar(total=said.epochs, completed=said.epoch, width=8),
        "" if said.accuracy is None else f"{said.accuracy:.1f} %",
        printable(said.words) or f"{said.images_per_second:,.0f} images/s",
        Text(printable(said.host)) if elsewhere else f"{duration(said.seconds_left)} left",
    )


def _line_of(name: str, said: Progress | None, elsewhere: bool) -> str:
    if said is None or said.epoch == STARTING:
        return f"{name}: {said.words if said is not None and said.words else 'starting'}"
    accuracy = "" if said.accuracy is None else f", {said.accuracy:.2f} %"
    speed = f"{said.words or f'{said.images_per_second:,.0f} images/s'}, {duration(said.seconds_left)} left"
    where = f", in another run on {said.host}" if elsewhere else ""
    return f"{name}: epoch {said.epoch}/{said.epochs}{accuracy}, {speed}{where}"
