"""Cells that begin from cells, submitted: behind what they wait for, and none that can never begin."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from fake_slurm import FakeSlurm
from stand_in import make_cell, make_failure, make_result
from test_submit import options, send

from harness.spec import Cell
from harness.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "runs")
    made.prepare()
    return made


def begun(first: Cell, method: str = "rmp") -> Cell:
    return msgspec.structs.replace(make_cell(first.seed, method), origin=first)


def dependencies(fake: FakeSlurm) -> list[str]:
    return [options(text).get("dependency", "") for text in fake["scripts"]]


def test_arrays_wait_for_those_of_what_their_cells_begin_from(fake: FakeSlurm, store: Store) -> None:
    anns = [make_cell(seed, "ann") for seed in range(3)]
    some = [*anns, *map(begun, anns)]
    sent, told = send([cell for pair in zip(some[:3], some[3:], strict=True) for cell in pair], store)
    assert {cell.key for cell in sent.submitted} == {cell.key for cell in some} and not sent.problems
    first = told[0].split()[1].rstrip(":")
    assert dependencies(fake) == ["", f"afterany:{first}"]
    assert any(f"after {first}" in line for line in told)


def test_cells_wait_for_origins_that_are_queued_already(fake: FakeSlurm, store: Store) -> None:
    ann = make_cell(0, "ann")
    send([ann], store)
    number = fake["queue"][0]["job"] if isinstance(fake["queue"][0], dict) and "job" in fake["queue"][0] else None
    send([ann, begun(ann)], store)
    waits = dependencies(fake)[-1]
    assert waits.startswith("afterany:") and (number is None or waits == f"afterany:{number}")


def test_what_can_never_begin_is_not_submitted(fake: FakeSlurm, store: Store) -> None:
    ann = make_cell(0, "ann")
    store.write_failure(make_failure(ann))
    tuned = begun(begun(ann), "tuned")
    assert tuned.origin is not None
    sent, _ = send([tuned.origin, tuned], store)
    assert not sent.submitted and not fake["scripts"]
    assert [error.what.partition(",")[2].strip() for error in sent.problems] == [
        "which has no result; it is not submitted"
    ] * 2


def test_an_origin_that_is_there_needs_no_waiting(fake: FakeSlurm, store: Store) -> None:
    ann = make_cell(0, "ann")
    store.write_result(make_result(ann))
    send([begun(ann)], store)
    assert dependencies(fake) == [""]


def test_a_profile_s_own_dependency_stays(fake: FakeSlurm, store: Store) -> None:
    ann = make_cell(0, "ann")
    send([ann, begun(ann)], store, extra={"dependency": "singleton"})
    assert [text.partition(",")[0] for text in dependencies(fake)] == ["singleton"] * 2
    assert dependencies(fake)[1].startswith("singleton,afterany:")
