"""Ten thousand results are read, planned against and rendered in under two seconds. Run with `make bench`."""

from __future__ import annotations

import msgspec
import pytest
from stand_in import make_cell, make_result

from harness.plan import plan_cells, state
from harness.render import render, table_page
from harness.store import Store

RESULTS = 10_000
EPOCHS = 100


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Results of 15 kB: three fold proofs of 20 layers, curves of 100 epochs."""
    made = Store(tmp_path_factory.mktemp("runs"))
    for seed in range(RESULTS):
        cell = make_cell(seed % 5, method=f"method{seed // 5}", epochs=EPOCHS)
        folder = made.folder(cell)
        folder.mkdir()
        (folder / "result.json").write_bytes(msgspec.json.encode(make_result(cell, proofs=3)))
        (folder / "cell.json").write_bytes(msgspec.json.encode(cell))
    return made


def test_scan(benchmark, store: Store) -> None:
    assert benchmark.pedantic(lambda: sum(1 for _ in store.results()), rounds=3) == RESULTS


def test_plan_and_render(benchmark, store: Store) -> None:
    cells = list(store.cells())

    def show() -> str:
        planned = plan_cells(cells)
        return render(table_page(planned, state(planned, store).outcomes), "csv")

    assert len(benchmark.pedantic(show, rounds=3).splitlines()) == 1 + RESULTS // 5
