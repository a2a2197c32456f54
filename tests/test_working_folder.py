"""What lies in the working folder takes no name over: that of a table is the table, a path looks like a path."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import stand_in

from harness.cli import main
from harness.spec import Cell, Recipe
from harness.store import Store

CELL = Cell(method="mpbn", architecture="vgg11", dataset="digits", timesteps=1, seed=0, recipe=Recipe(epochs=1))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def harness(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """As a user types it there."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    command = [sys.executable, "-m", "harness", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment, timeout=120)


@pytest.mark.parametrize("name", ["table1", "figure2", "ambiguities"])
def test_a_folder_called_as_a_table_is_not_the_table(name: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / name).mkdir()
    shutil.copytree(_a_cell(here / "runs"), here / name, dirs_exist_ok=True)
    assert main(["run", name, "--preset", "smoke", "--seeds", "0", "--store", "s", "--dry-run"]) == 0
    assert CELL.label not in capsys.readouterr().out
    assert main(["cancel", name, "--store", "s"]) == 0
    if name != "figure2":
        assert main(["export", name, "--format", "latex", "--store", "s", "--out", "o"]) == 0


@pytest.mark.parametrize("verb", ["show", "logs", "run"])
def test_a_word_is_no_path_unless_a_cell_lies_there(verb: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "mine").mkdir()
    (here / "word").write_text("")
    for word in ("mine", "word"):
        assert main([verb, word, "--store", "s"]) == 2
        assert f"`{word}`" in capsys.readouterr().err
    assert main(["run", "./mine", "--store", "s"]) == 2
    assert "no cell is recorded here" in capsys.readouterr().err


@pytest.mark.parametrize("path", ["KEY", "./KEY", "KEY/cell.json", "../runs/KEY"])
def test_a_cell_is_found_by_every_path_of_it(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = _a_cell(tmp_path / "runs")
    monkeypatch.chdir(folder.parent)
    assert main(["show", path.replace("KEY", folder.name), "--store", str(tmp_path / "other")]) == 0
    assert CELL.label in capsys.readouterr().out


def test_a_cell_is_found_from_within_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(_a_cell(tmp_path / "runs"))
    for path in (".", "cell.json"):
        assert main(["show", path, "--store", str(tmp_path / "other")]) == 0
        assert CELL.label in capsys.readouterr().out


@pytest.mark.parametrize("verb", ["run", "table", "show", "logs", "bench", "export", "cancel", "claims"])
def test_a_name_that_no_file_system_takes_is_one_line(
    verb: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("x" * 300, "x" * 300 + ".toml", "y/" + "x" * 5000):
        assert main([verb, name]) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1 and len(said) < 500 and said.startswith("harness: ")


@pytest.mark.parametrize("option", ["--on", "--protocol", "--preset", "--store"])
def test_so_is_an_option(option: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("x" * 300, "x" * 300 + ".toml"):
        assert main(["run", "table1", "--dry-run", "--preset", "smoke", option, name]) == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_a_package_called_as_ours_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "baselines").mkdir()
    assert harness(tmp_path, "list", "presets").returncode == 0  # a folder of data hides nothing
    (tmp_path / "baselines/__init__.py").touch()
    done = harness(tmp_path, "list", "presets")
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "hides the package `baselines`" in done.stderr


@pytest.mark.parametrize("name", ["harness", "tables", "slurm", "data", "results"])
def test_a_folder_called_otherwise_hides_nothing(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    if name not in ("harness",):  # Python itself says of that, in one line, that it cannot be run
        (tmp_path / name / "__init__.py").touch()
    done = harness(tmp_path, "list", "tables")
    assert done.returncode == 0 and "table1" in done.stdout, done.stderr


def _a_cell(root: Path) -> Path:
    stand_in.train(CELL, root, None, (), 1)
    return Store(root).folder(CELL.key)
