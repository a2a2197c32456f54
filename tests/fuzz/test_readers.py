"""Reading a store never raises, and what comes back can be believed: whatever JSON, or no JSON, lies in its files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fuzz import scratch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stand_in import make_cell, make_failure

from harness.spec import Cell
from harness.store import Store
from harness.store.result import Progress, Result

CELL = make_cell()
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
PROGRESS = Progress(epoch=1, epochs=3, accuracy=50.0, images_per_second=9.0, seconds_left=9.0, host="a", pid=1)
CLAIM = {"host": "another", "pid": 1, "born": "1", "since": 1.0, "token": "0123456789abcdef"}
RECORDS: dict[str, Any] = {
    "result.json": msgspec.to_builtins(scratch.result_of(CELL, 80.0)),
    "cell.json": msgspec.to_builtins(CELL),
    "failed.json": msgspec.to_builtins(make_failure(CELL)),
    "progress.json": msgspec.to_builtins(PROGRESS),
    "claim": CLAIM,
    **{f"{name}.json": msgspec.to_builtins(probe) for name, probe in scratch.probes("w" * 16).items()},
}
BOUNDED = settings(
    max_examples=30, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else ()
    for key, item in items:
        yield from places(item, (*path, key))


def changed(value: Any, path: tuple[Any, ...], to: Any) -> Any:
    if not path:
        return to
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = changed(copy[path[0]], path[1:], to)
    return copy


def filled(root: Path, name: str) -> tuple[Store, Path]:
    """A store in which all that may lie beside `name` is whole, and the place of it."""
    store = Store(root / "runs")
    folder = store.folder(CELL)
    folder.mkdir(parents=True)
    for other, record in RECORDS.items():
        if other != "result.json" or name not in ("claim", "failed.json"):  # which a result would hide
            (folder / other).write_bytes(msgspec.json.encode(record))
    if name != "claim":
        (folder / "claim").unlink()
    return store, folder / name


def read_all(store: Store) -> None:
    told = [store.outcome(CELL), *store.results(), store.result(CELL)]
    for result in told:
        if isinstance(result, Result):
            numbers = (result.best_accuracy, result.last_accuracy, *result.curve.test_accuracy)
            assert all(0 <= number <= 100 for number in numbers) and result.best_accuracy == max(numbers)
            assert len(result.curve.test_accuracy) == CELL.recipe.epochs and result.seconds >= 0
    cells: list[Cell] = list(store.cells())
    assert all(cell.key for cell in cells)
    for read in (store.failure, store.progress, store.holder, store.running, store.probes):
        read(CELL)
    for problem in store.problems:
        assert len(str(problem).splitlines()) == 1


@pytest.mark.parametrize("name", list(RECORDS))
def test_a_value_may_be_anything(tmp_path: Path, name: str) -> None:
    store, path = filled(tmp_path, name)

    @BOUNDED
    @given(where=st.sampled_from(list(places(RECORDS[name]))), value=VALUES)
    def holds(where: tuple[Any, ...], value: Any) -> None:
        path.write_text(json.dumps(changed(RECORDS[name], where, value)))
        read_all(store)

    holds()


@pytest.mark.parametrize("name", list(RECORDS))
def test_a_file_may_be_anything(tmp_path: Path, name: str) -> None:
    whole = msgspec.json.encode(RECORDS[name])
    store, path = filled(tmp_path, name)

    @BOUNDED
    @given(at=st.integers(0, len(whole)), lost=st.integers(0, 30), put=st.binary(max_size=20), deep=st.booleans())
    def holds(at: int, lost: int, put: bytes, deep: bool) -> None:
        between = put + b"[" * 100_000 * deep
        path.write_bytes(whole[:at] + between + whole[at + lost :])
        read_all(store)

    holds()
