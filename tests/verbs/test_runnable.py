"""`doctor` ends with what can be run here, as it can be typed."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from harness import data, environment
from harness.arguments import parse
from harness.cli import main
from harness.errors import UserError
from harness.plan import data_of
from harness.requests import Asked, Run
from harness.store import Store
from harness.verbs import doctor, runnable, session

BUNDLED = ("digits", "digits-events")


def typed(*here: str, gpu: bool = False, **asked: Path) -> list[str]:
    return [command for command, _ in runnable.commands(here, Asked(**asked), gpu=gpu)]


def test_what_needs_no_data_comes_first_and_the_paper_last() -> None:
    assert typed() == []
    smoke = "python -m harness run table1 --preset smoke"
    assert typed(*BUNDLED) == [smoke]
    half = "python -m harness run table1 --preset cpu --only dataset=cifar10"
    assert typed(*BUNDLED, "cifar10") == [smoke, half], "of a table what the data that are here allow"
    both = typed(*BUNDLED, "cifar10", "cifar100", gpu=True)
    assert both == [smoke, "python -m harness run table1 --preset cpu", "python -m harness run table1"]
    assert typed(*BUNDLED, "cifar10", "cifar100") == both[:2], "without a GPU nobody waits for it"


def test_every_command_trains_on_what_is_here_alone(tmp_path: Path) -> None:
    here = {*BUNDLED, "cifar10"}
    for command in typed(*here, store=tmp_path / "my runs", data=tmp_path):
        asked = parse(shlex.split(command)[3:])
        assert isinstance(asked, Run) and asked.asked.data == tmp_path
        (plan,) = session.plans_of(asked.asked, Store(asked.asked.store), data_of([]))
        assert plan.cells and {cell.dataset for cell in plan.cells} <= here


def test_doctor_ends_with_it(tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    def examine(name: str, root: Path | None) -> data.Examined:
        if name not in BUNDLED:
            raise UserError("is not here", "data")
        return whole(name, root)

    whole = data.examine
    monkeypatch.setattr(doctor.data, "examine", examine)
    monkeypatch.setattr(environment, "gpus", lambda: ())
    main(["doctor", "--store", str(tmp_path)])
    lines = capsys.readouterr().out.splitlines()
    after = lines[lines.index("you can run:") + 1 :]
    assert [line.strip() for line in after if "python -m" in line] == typed(*BUNDLED, store=tmp_path)


@pytest.mark.parametrize(("says", "noted"), [("always madvise [never]", True), ("always [madvise] never", False)])
def test_doctor_says_where_large_pages_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str, noted: bool
) -> None:
    pages = tmp_path / "enabled"
    pages.write_text(f"{says}\n")
    monkeypatch.setattr(environment, "PAGES", pages)
    monkeypatch.setattr(data, "names", lambda: ())
    found = [finding for finding in doctor.examine(Store(tmp_path / "runs"), None) if finding.what == "memory"]
    assert [f"echo madvise > {pages}" in finding.detail for finding in found] == [True] * noted
    pages.unlink()
    assert not environment.refuses_large_pages(), "another system, which says nothing"
