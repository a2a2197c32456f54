"""What the tests of several modules are given."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from fake_slurm import FakeSlurm

from harness import slurm, tables
from harness.identity import vouched
from harness.spec import Preset


def pytest_configure() -> None:
    """The same width and the same Ctrl-C, whatever the tests run in: a job in the background ignores it."""
    os.environ["COLUMNS"] = "120"
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run the tests marked long too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Long ones are left out, not skipped: nobody need read of them."""
    if not config.getoption("--long"):
        items[:] = [item for item in items if item.get_closest_marker("long") is None]


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSlurm]:
    """A SLURM whose commands stand first on PATH and answer from files."""
    made = FakeSlurm(tmp_path / "slurm")
    monkeypatch.setenv("PATH", f"{made.bin}{os.pathsep}{os.environ['PATH']}")
    slurm.config.cache_clear()
    yield made
    slurm.config.cache_clear()


@pytest.fixture
def cifar10_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Preset `cpu` with half of its data sets: what a preset leaves out has to be told, too."""
    load = tables.load_preset

    def halving(name: str | Path) -> Preset:
        preset = load(name)
        halved = msgspec.structs.replace(preset, only={**preset.only, "dataset": ("cifar10",)})
        return halved if preset.name == "cpu" else preset

    monkeypatch.setattr(tables, "load_preset", halving)


@pytest.fixture(autouse=True, scope="session")
def as_it_is() -> Iterator[None]:
    """The code under test counts as vouched for, so that it can be tried while it is edited; see tests/numerics."""
    lock, patch = vouched.vouched(), pytest.MonkeyPatch()
    here = vouched.Vouched(raised=lock.raised, files=vouched.hashes())
    patch.setattr(vouched, "vouched", lambda: here)
    yield
    patch.undo()
