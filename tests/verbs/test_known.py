"""A recipe that nothing can be trained by is refused when it is planned, with table and row; not in every job."""

from __future__ import annotations

from pathlib import Path

import pytest
import stand_in
from tiny import PROTOCOL, TABLE, write_tiny

from harness.cli import main
from harness.jobs import launch
from harness.spec import Cell, Recipe
from harness.store import Store


def refused(arguments: list[str], store: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What is said of it, the same by a run and a dry run, and nothing is begun."""
    said = []
    for more in ((), ("--dry-run",)):
        assert main(["run", *arguments, "--on", "inline", "--store", str(store), *more]) == 2
        said.append(capsys.readouterr().err)
    assert said[0] == said[1] and not list(store.glob("[0-9a-f]*")), said
    return said[0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ('surrogate = "tnah"', "unknown surrogate `tnah`; did you mean `tanh`?"),
        ('augmentation = ["crop", "filp"]', "unknown augmentation `filp`; did you mean `flip`?"),
        ('insert_after = { flip = "autoagument" }', "unknown augmentation `autoagument`; did you mean `autoaugment`?"),
        ('insert_after = { filp = "cutout" }', "unknown augmentation `filp`; did you mean `flip`?"),
        ('decoder = "nvjpg"', "unknown decoder `nvjpg`; did you mean `nvjpeg`?"),
        ('split = "last-tenht:0123"', "unknown split `last-tenht`; did you mean `last-tenth`?"),
    ],
)
def test_a_name_in_a_change(change: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = write_tiny(tmp_path, f"{TABLE}change = {{ {change} }}\n")
    assert refused(arguments, tmp_path / "runs", capsys) == f"harness: tiny: row 2: {said}\n"


def test_one_in_a_protocol_and_in_a_preset(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = write_tiny(tmp_path, protocol=f'{PROTOCOL}surrogate = "tnah"\n')
    lines = refused(arguments, tmp_path / "runs", capsys).splitlines()
    assert [line.partition(";")[0] for line in lines] == [
        f"harness: tiny: row {number}: unknown surrogate `tnah`" for number in (1, 2)
    ]
    arguments = write_tiny(tmp_path)
    (preset := tmp_path / "preset.toml").write_text('name = "mine"\ndescription = ""\nrecipe.surrogate = "tnah"\n')
    assert "unknown surrogate `tnah`" in refused([*arguments, "--preset", str(preset)], tmp_path / "runs", capsys)


def test_one_in_a_cell_of_a_stranger(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = Recipe(epochs=1, surrogate="tnah", batch=0)
    cell = Cell(method="mpbn", architecture="vgg11", dataset="digits", timesteps=1, seed=0, recipe=recipe)
    (theirs := Store(tmp_path / "theirs")).announce([cell])
    said = refused([str(theirs.folder(cell))], tmp_path / "runs", capsys)
    assert "`batch` is 0" in said and "unknown surrogate `tnah`" in said


def test_what_is_trained_already_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A surrogate may have gone since: nothing is to be trained by it any more."""
    monkeypatch.setattr(launch, "worker", stand_in.train)
    arguments = [*write_tiny(tmp_path), "--on", "inline", "--store", str(tmp_path / "runs"), "--seeds", "0"]
    assert main(["run", *arguments]) == 0
    monkeypatch.setattr("baselines.parts.surrogates.SURROGATES", {})
    assert main(["run", *arguments]) == 0
    assert main(["run", *arguments, "--seeds", "1"]) == 2


OWN = """
name = "own"
title = "Mine"
[[row]]
method = "mpnb"
architecture = "resnet2O"
dataset = "cifar1O"
timesteps = 2
[[row]]
method = "spikenorm"
architecture = "resnet20"
dataset = "nmnist"
timesteps = 2
"""


@pytest.mark.parametrize(
    "typed",
    [
        "table {}",
        "run {} --dry-run",
        "run {}",
        "status {}",
        "report {} --out r.html",
        "compare mpbn --on {}",
        "export {}",
    ],
)
def test_a_users_table_is_held_against_what_there_is(
    typed: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("own.toml").write_text(OWN)
    assert main([*typed.format("own.toml").split(), "--store", "runs"]) == 2
    out, error = capsys.readouterr()
    assert not out and error.splitlines() == [
        "harness: own: row 1: unknown method `mpnb`; did you mean `mpbn`?; or write it: "
        "new method, then --plugin FILE.py",
        "harness: own: row 1: unknown architecture `resnet2O`; did you mean `resnet20`?",
        "harness: own: row 1: unknown data set `cifar1O`; did you mean `cifar10`?",
        "harness: own: row 2: protocol paper has no recipe for `nmnist`; "
        "add a block [recipe.nmnist] (epochs, batch, ...) to a copy of it, and give --protocol FILE",
    ]


@pytest.mark.parametrize("target", ["table1", "ambiguities", "precision", "figure2"])
@pytest.mark.parametrize("protocol", ["paper", "released"])
def test_what_is_shipped_is_known(target: str, protocol: str, tmp_path: Path) -> None:
    from harness import tables
    from harness.arguments import parse
    from harness.verbs import known, session

    options = parse(["run", target, "--protocol", protocol, "--store", str(tmp_path)]).asked
    known.check(session.plans_of(options, Store(tmp_path), lambda cells: {}, tables.load))
