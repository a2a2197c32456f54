"""What a run says while it works: something at once, units on every number, a row's mean as its seeds end."""

from __future__ import annotations

import io
import re
import time
from pathlib import Path

import msgspec
import pytest
from rich.console import Console
from stand_in import make_cell, make_result

from harness.jobs.progress import Monitor, _line_of
from harness.store import Store
from harness.store.result import Progress

CELLS = [make_cell(seed) for seed in range(3)]
SAID = Progress(epoch=2, epochs=3, accuracy=51.25, images_per_second=1234.0, seconds_left=90.0, host="h", pid=1)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    held = Store(tmp_path / "runs")
    held.prepare()
    return held


def monitor(store: Store, done: int = 0, terminal: bool = False) -> tuple[Monitor, io.StringIO, Console]:
    said = io.StringIO()
    console = Console(file=said, force_terminal=terminal, width=120, height=40, no_color=True)
    return Monitor(CELLS[done:], done, store, 2, console, lambda cell: cell.label, CELLS), said, console


def shown(one: Monitor, said: io.StringIO, console: Console) -> str:
    said.seek(0)
    said.truncate()
    console.print(one._render())
    return re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", said.getvalue())


def test_while_jobs_start_something_moves_and_time_is_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    one, said, console = monitor(store, terminal=True)
    signs = []
    for seconds in (0.0, 0.15, 0.3):
        began = one._since
        monkeypatch.setattr(time, "monotonic", lambda at=began + 14 + seconds: at)
        console.get_time = lambda at=began + 14 + seconds: at  # what a spinner turns by
        text = shown(one, said, console)
        assert "0/3 cells, 14 s elapsed, starting 2 jobs" in text and text.isascii()
        signs.append(text[0])
    assert len(set(signs)) > 1


def test_a_long_evaluation_is_told_in_its_words(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    one, said, console = monitor(store, terminal=True)
    one.began(CELLS[0])
    testing = msgspec.structs.replace(SAID, words="64 images tested, T = 1200/2500")
    monkeypatch.setattr(store, "running", lambda cell: testing)
    text = " ".join(shown(one, said, console).split())
    assert "epoch 2/3" in text and "64 images tested, T = 1200/2500" in text and "images/s" not in text
    told = _line_of("one", testing, elsewhere=False)
    assert told == "one: epoch 2/3, 51.25 %, 64 images tested, T = 1200/2500, 1 min 30 s left"
    before = msgspec.structs.replace(testing, epoch=0)
    assert _line_of("one", before, elsewhere=False) == "one: 64 images tested, T = 1200/2500"


def test_every_number_has_its_unit(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    one, said, console = monitor(store, terminal=True)
    one.began(CELLS[0])
    assert "starting" in shown(one, said, console)
    monkeypatch.setattr(store, "running", lambda cell: SAID)
    text = " ".join(shown(one, said, console).split())
    assert "epoch 2/3" in text and "51.2 %" in text and "1,234 images/s" in text and "1 min 30 s left" in text
    assert "about " in text.splitlines()[0] and "left" in text


def test_a_row_has_its_mean_as_its_seeds_end(store: Store) -> None:
    """Of seeds that were done before too."""
    store.write_result(make_result(CELLS[0], 60.0))
    one, said, _ = monitor(store, done=1)
    for cell, accuracy in ((CELLS[1], 61.0), (CELLS[2], 62.0)):
        one.began(cell)
        store.write_result(msgspec.structs.replace(make_result(cell, accuracy), seconds=75.0))
        one.ended(cell, "done")
    first, second = said.getvalue().splitlines()
    assert first.endswith("seed1: 61.00 % in 1 min 15 s; its row so far: 60.50±0.71 % (n = 2 of 3)")
    assert second.endswith("; its row: 61.00±1.00 % (n = 3 of 3)")


def test_a_first_seed_has_no_mean_of_a_row(store: Store) -> None:
    one, said, _ = monitor(store)
    one.began(CELLS[0])
    store.write_result(make_result(CELLS[0], 60.0))
    one.ended(CELLS[0], "done")
    assert "60.00 %" in said.getvalue() and "row" not in said.getvalue()
