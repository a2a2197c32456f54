"""The wheel: all that a user needs is in it, and it works where no clone is. Built and installed offline."""

from __future__ import annotations

import csv
import io
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from baselines.kernels import compiled
from harness.tables import table_names

ROOT = Path(__file__).parents[1]
PLACES = {"harness": "harness", "baselines": "baselines", "tables": "harness/_tables", "slurm": "harness/_slurm"}
"""Folder of the clone -> where the wheel carries it."""


def run(*command: str | Path, cwd: Path, codes: tuple[int, ...] = (0,)) -> str:
    """Standard output; the environment names no other place to import from."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode in codes, done.stderr
    return done.stdout


def build(source: Path, target: Path, *kinds: str) -> dict[str, Path]:
    """Suffix -> what was built, in this environment rather than in one that would be downloaded."""
    run(sys.executable, "-m", "hatchling", "build", "-d", target, *(f"-t{kind}" for kind in kinds), cwd=source)
    return {path.suffix: path for path in target.iterdir()}


def content(wheel: Path) -> set[str]:
    return set(zipfile.ZipFile(wheel).namelist())


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return build(ROOT, tmp_path_factory.mktemp("dist"), "wheel", "sdist")


@pytest.fixture(scope="module")
def python(built: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a new environment: the wheel installed, its dependencies lent by the one of the tests."""
    folder = tmp_path_factory.mktemp("fresh")
    venv.create(folder, with_pip=True)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    run(python, "-m", "pip", "install", "-q", "--no-deps", "--no-index", built[".whl"], cwd=folder)
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip())
    # A line in a .pth file adds the folder alone: the .pth in it that leads to the clone is not followed.
    lent = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (site / "lent.pth").write_text("\n".join(lent))
    return python


def test_it_carries_the_two_packages_and_their_data_and_nothing_else(built: dict[str, Path]) -> None:
    files = {
        f"{inside}/{path.relative_to(ROOT / folder).as_posix()}"
        for folder, inside in PLACES.items()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {"harness/cli.py", "baselines/kernels/neuron.c", "harness/_tables/presets/smoke.toml"} <= files
    assert {"baselines/kernels/inference.c", "baselines/kernels/recurrence.h"} <= files  # what neuron.c includes
    assert {"harness/_tables/benches/training.toml", "harness/_slurm/example.toml"} <= files
    carried = content(built[".whl"])
    assert {name for name in carried if ".dist-info/" not in name} == files
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in carried)


def test_a_wheel_of_the_sdist_is_the_same(built: dict[str, Path], tmp_path: Path) -> None:
    run(sys.executable, "-m", "tarfile", "-e", built[".gz"], cwd=tmp_path)
    (source,) = tmp_path.iterdir()
    assert (source / "tests/test_wheel.py").is_file() and (source / "constraints.txt").is_file()
    assert content(build(source, tmp_path / "dist", "wheel")[".whl"]) == content(built[".whl"])


def test_it_works_where_no_clone_is(python: Path, tmp_path: Path) -> None:
    for package in ("harness", "baselines"):
        where = Path(run(python, "-c", f"import {package}; print({package}.__file__)", cwd=tmp_path).strip())
        assert where.is_relative_to(python.parents[1]), where
    tables = run(python, "-m", "harness", "list", "tables", cwd=tmp_path).splitlines()
    assert [line.split()[0] for line in tables] == table_names()
    rows = run(python, "-m", "harness", "table", "table2", "--format", "csv", cwd=tmp_path, codes=(1,))
    assert len(list(csv.DictReader(io.StringIO(rows)))) == 34
    assert not list(tmp_path.iterdir())


KERNELS = """
import torch
from baselines import build, kernels
from baselines.kernels import compiled
print(compiled.build())
print(kernels.state())
network = build("mpbn", "vgg11", shape=(1, 32, 32), classes=2, timesteps=2, width=0.06).train()
network(torch.randn(4, 1, 32, 32)).sum().backward()
print(all(parameter.grad is not None for parameter in network.parameters()))
"""


@pytest.mark.skipif(compiled.compiler() is None, reason="no C compiler here")
def test_its_kernels_compile_where_no_clone_is(python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the C files of the wheel, into a cache that is empty; and they train."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("BASELINES_BACKEND", raising=False)
    built, used, trained = run(python, "-c", KERNELS, cwd=tmp_path).splitlines()
    assert Path(built).is_relative_to(tmp_path / "cache") and Path(built).is_file()
    assert (used, trained) == (compiled.NAME, "True")
