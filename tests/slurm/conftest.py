"""Tests on a real SLURM of two nodes, started for the session: `make test-slurm`; ARGS=--short for the short form."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import testcluster
from stage import Stage


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--short", action="store_true", help="tiny tables and few faults: minutes on two cores")


@pytest.fixture(scope="session")
def short(request: pytest.FixtureRequest) -> bool:
    return request.config.getoption("--short")


@pytest.fixture(scope="session")
def cluster() -> Iterator[testcluster.Cluster]:
    """Arrays of at most five jobs, so that every table is split. Commands of this process speak to it."""
    with (
        tempfile.TemporaryDirectory(prefix="slurm") as folder,  # pytest's own names are too long for a socket's
        pytest.MonkeyPatch.context() as patch,
        testcluster.cluster(Path(folder) / "cluster", array_size=5) as running,
    ):
        for name in [name for name in os.environ if name.startswith(("SLURM_", "SBATCH_"))]:
            patch.delenv(name)
        for name, value in running.env.items():
            patch.setenv(name, value)
        patch.setenv("OMP_NUM_THREADS", "1")
        yield running


@pytest.fixture
def stage(cluster: testcluster.Cluster, tmp_path: Path) -> Iterator[Stage]:
    """Of its jobs none outlives the test."""
    one = Stage(cluster, tmp_path)
    yield one
    while jobs := one.jobs():
        cluster.run("scancel", "--full", *jobs)
        time.sleep(0.5)
