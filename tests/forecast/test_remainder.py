"""A last batch of one sample: foretold where the network can take no statistics of it, and only there."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from stand_in import make_cell
from tiny import TABLE, write_tiny

from harness import data
from harness.cli import main
from harness.forecast.remainder import problems
from harness.spec import Cell


def cell(method: str, architecture: str, batch: int, samples: int | None = 201, size: int = 32) -> Cell:
    made = make_cell(0, batch=batch, method=method)
    recipe = {"batch": batch, "train_samples": samples, "size": size, "width": 0.0625}
    return msgspec.structs.replace(
        made, method=method, architecture=architecture, recipe=msgspec.structs.replace(made.recipe, **recipe)
    )


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (cell("mpbn-element", "resnet20", 20), True),
        (cell("mpbn-element", "resnet20", 20, samples=202), False),
        (cell("mpbn", "vgg11", 20), False),
        (cell("mpbn", "resnet20", 20), False),
        (cell("vanilla", "resnet20", 20), False),
        (cell("mpbn-element", "resnet20", 359, samples=None), True),  # of the digits' 1,437, told without loading them
    ],
)
def test_it_is_told_of_the_networks_that_fail(asked: Cell, told: bool) -> None:
    problem = problems([asked], None).get(asked)
    assert (problem is not None) == told, problem
    if problem:
        assert "ends with one of a single sample" in str(problem) and "change `batch`" in str(problem)


def test_a_data_set_is_looked_through_once_for_all_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []
    monkeypatch.setattr(data, "samples", lambda name, root: looked.append(name) or {"train": 201})
    cells = [cell("mpbn-element", "resnet20", batch, samples=None) for batch in (20, 25, 30)]
    assert list(problems(cells, None)) == [cells[0], cells[1]]
    assert looked == ["digits"]


def test_the_dry_run_says_it_and_the_run_does_not_try(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = write_tiny(tmp_path, TABLE.replace('"mpbn"', '"mpbn-element"'))
    path = tmp_path / "protocol.toml"
    path.write_text(path.read_text().replace("train_samples = 200", "train_samples = 201"))
    only = ["--only", "method=mpbn-element", "--seeds", "0", "--store", str(tmp_path / "runs")]
    main(["run", *given, *only, "--dry-run"])
    assert "an epoch of 201 samples in batches of 20 ends with one of a single sample" in capsys.readouterr().err
    assert main(["run", *given, *only, "--on", "inline"]) == 1
    error = capsys.readouterr().err
    assert "too few for the network's statistics" in error and "--retry failed" not in error
    assert not list((tmp_path / "runs").glob("*/failure*.json"))
