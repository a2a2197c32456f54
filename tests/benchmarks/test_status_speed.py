"""`status` at ten thousand cells and a thousand queued jobs: under two seconds. Run with `make bench`."""

from __future__ import annotations

import json
import os
from pathlib import Path

import msgspec
import pytest
from fake_slurm import FakeSlurm
from stand_in import make_failure, make_result
from tiny import PROTOCOL, harness, write_tiny

from harness import arguments
from harness.jobs import queue
from harness.jobs.queue import Array
from harness.store import Store
from harness.verbs import standings

ROW = """
[[row]]
method = "vanilla"
architecture = "resnet20"
dataset = "digits"
timesteps = {}
"""
ROWS, DONE, FAILED, QUEUED = 3334, 8800, 100, 1000
HEAD = 'name = "large"\ntitle = "ten thousand cells"\n'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of 10,002 cells: results of 15 kB, failures, cells queued in a stand-in for SLURM, cells missing."""
    made = tmp_path_factory.mktemp("large")
    table = HEAD + "".join(ROW.format(timesteps) for timesteps in range(1, ROWS + 1))
    words = write_tiny(made, table, PROTOCOL.replace("epochs = 6", "epochs = 100"))
    store = Store(made / "runs")
    store.prepare()
    (standing,) = standings.look(arguments.parse(["status", *words, "--store", str(store.root)]).asked).standings
    cells = standing.plan.cells
    for number, cell in enumerate(cells[: DONE + FAILED + QUEUED]):
        store.folder(cell).mkdir()
        (store.folder(cell) / "cell.json").write_bytes(msgspec.json.encode(cell))
        if number < DONE:
            (store.folder(cell) / "result.json").write_bytes(msgspec.json.encode(make_result(cell, proofs=3)))
        elif number < DONE + FAILED:
            (store.folder(cell) / "failed.json").write_bytes(msgspec.json.encode(make_failure(cell)))
    queued = cells[DONE + FAILED : DONE + FAILED + QUEUED]
    record = Array(
        name="harness-1",
        profile="mine",
        cluster="fake",
        submitted="now",
        tasks=tuple((cell.key,) for cell in queued),
        job="70",
    )
    queue.record(store.root, record)
    slurm = FakeSlurm(made / "slurm")
    slurm.set(queue=[{"job": f"70_{n}", "name": "harness-1", "state": "PENDING"} for n in range(QUEUED)])
    return made


@pytest.mark.parametrize("named", [True, False], ids=["the table", "all that was begun"])
def test_status(benchmark, folder: Path, named: bool) -> None:
    """From the shell's prompt to the last line, Python's start and squeue included."""
    words = named_table(folder) if named else []
    path = f"{folder / 'slurm' / 'bin'}{os.pathsep}{os.environ['PATH']}"

    def look() -> str:
        return harness("status", *words, "--store", folder / "runs", "--format", "json", PATH=path).stdout

    tables = json.loads(benchmark.pedantic(look, rounds=3))
    found = [sum(table[kind] for table in tables) for kind in ("done", "queued", "failed")]
    assert found == [DONE, QUEUED, FAILED]


def named_table(folder: Path) -> list[str]:
    """The arguments that name the table."""
    return [str(folder / "tiny.toml"), "--protocol", str(folder / "protocol.toml")]
