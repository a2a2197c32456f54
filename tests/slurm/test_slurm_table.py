"""A table trained on the cluster is the table trained here, to the bit; who asks twice gets nothing twice."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from stage import Stage, until
from tiny import harness

from harness.jobs import queue
from harness.store import Store


@pytest.fixture
def held(stage: Stage) -> Iterator[Stage]:
    """Jobs of the partition wait until it is opened again."""
    partition(stage, "down")
    yield stage
    partition(stage, "up")


def partition(stage: Stage, state: str) -> None:
    stage.said("scontrol", "update", "PartitionName=main", f"State={state}")


def queued(stage: Stage) -> list[str]:
    """Cells of the jobs in the queue, one name for each job that will train it."""
    return sorted(key for task in queue.look(stage.store.root).tasks for key in task.cells)


def test_in_arrays_the_numbers_are_those_of_inline(
    held: Stage, short: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """Table 1 on the digits; the short form trains a smaller one. Asked for twice at once while its jobs wait."""
    if short:
        held.table()
    else:
        held.arguments = ["table1", "--preset", "smoke"]
    place = held.profile("pair", parallel=2)
    first = held.run("--on", place)
    assert first.returncode == 0, first.stderr
    cells = queued(held)
    assert len(cells) == (6 if short else 18) == len(set(cells))
    arrays = {task.array.name for task in queue.look(held.store.root).tasks}
    assert len(arrays) == (2 if short else 4), "arrays have five jobs at most here"
    again = held.run("--on", place)
    assert again.returncode == 0 and queued(held) == cells, again.stderr
    partition(held, "up")
    reference = held.inline()  # both on two cores
    held.until_idle(3600)
    assert table(held, held.store) == table(held, reference)
    held.compare(reference)
    last = held.run("--on", place)
    assert last.returncode == 0 and not held.jobs(), last.stderr
    with capsys.disabled():
        print(f"\n{len(cells)} cells in {len(arrays)} arrays; inline gives the same:\n{last.stdout}")


def table(stage: Stage, store: Store) -> list[list[str]]:
    done = harness("table", *stage.arguments, "--store", store.root, "--format", "csv")
    assert done.returncode == 0, done.stderr
    return list(csv.reader(io.StringIO(done.stdout)))


def test_who_waits_sees_the_table(stage: Stage) -> None:
    stage.table(seeds=1)
    done = stage.run("--on", stage.profile("pair"), "--wait", "--format", "csv")
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [row["n"] for row in rows] == ["1", "1"]


def test_two_fronts_at_once_submit_nothing_twice(held: Stage) -> None:
    held.table(seeds=4)
    place = held.profile("pair")
    fronts = [held.front("--on", place) for _ in range(2)]
    assert [front.wait(120) for front in fronts] == [0, 0]
    cells = queued(held)
    assert len(cells) == 8 == len(set(cells))


def test_cells_of_a_job_that_vanished_are_submitted_again(held: Stage) -> None:
    held.table(seeds=2)
    place = held.profile("pair")
    held.run("--on", place)
    cells, lost = queued(held), held.jobs()[0]
    held.cluster.run("scancel", lost)
    until(lambda: lost not in held.jobs(), 30, "scancel had no effect")
    assert len(queued(held)) == len(cells) - 1
    held.run("--on", place)
    assert queued(held) == cells


def test_without_slurm_one_line(stage: Stage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stage.table(seeds=1)
    monkeypatch.setenv("PATH", str(tmp_path))
    done = stage.run("--on", stage.profile("pair"))
    assert done.returncode == 2 and done.stdout == ""
    assert len(done.stderr.splitlines()) == 1 and "no SLURM on this machine" in done.stderr
