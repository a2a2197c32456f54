"""Asked for what the store has not: every verb that shows says under which options it has the same."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from reported import finished, planned

from harness.cli import main
from harness.store import Store


@pytest.fixture
def smoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """As the demo leaves it."""
    monkeypatch.chdir(tmp_path)
    store = Store(Path("my runs"))
    for cell in planned("table1", "smoke").cells:
        store.write_result(finished(cell, 50.0 + cell.seed))
    return store


@pytest.mark.parametrize(
    ("typed", "missing"),
    [
        ("table table1", ""),
        ("table table1 --preset cpu", ""),
        ("table table1 --preset=cpu --format csv", ""),
        ("claims", ""),
        ("claims tables-agree --explain", ""),
        ("figure figure2 --out drawn", ""),
        ("report --out r.html", ""),
        ("status table1", ""),
        ("export table1 --out written", ""),
        ("table table1 --preset smoke --protocol released", " --protocol"),
        ("table table1 --preset smoke --seeds 7", " --seeds"),
    ],
)
def test_what_to_type_is_said_and_shows_it(
    typed: str, missing: str, smoke: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*typed.split(), "--store", "my runs"]
    main(words)
    hints = re.findall(r"^harness: my runs: nothing is here as asked for, but (\d+) cells? .*; type: (.*)$",
                       capsys.readouterr().err, re.M)  # fmt: skip
    ((count, command),) = hints
    assert int(count) > 0 and "--preset smoke" in command and "--store 'my runs'" in command
    assert missing.strip() not in command or "--seeds 0,1,2" in command or not missing
    assert main(shlex.split(command)[3:]) in (0, 1)
    assert "nothing is here as asked for" not in capsys.readouterr().err


def test_another_preset_than_none_is_dropped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = Store(tmp_path / "runs")
    store.announce(planned("table1", None).cells[:1])
    main(["table", "table1", "--preset", "smoke", "--store", str(store.root)])
    assert capsys.readouterr().err.endswith(
        f"but 1 cell with no --preset; type: python -m harness table table1 --store {store.root}\n"
    )


@pytest.mark.parametrize(
    "typed", ["table table1 --preset smoke", "table table2 --preset smoke", "table table4", "status"]
)
def test_nothing_is_said_where_something_is_there_or_nothing_anywhere(
    typed: str, smoke: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    main([*typed.split(), "--store", "my runs"])
    assert "nothing is here" not in capsys.readouterr().err
    main([*typed.split(), "--store", "empty"])
    assert "nothing is here" not in capsys.readouterr().err


def test_a_figure_of_nothing_is_not_written(smoke: Store, capsys: pytest.CaptureFixture[str]) -> None:
    typed = ["--store", "my runs", "--out", "drawn"]
    assert main(["figure", "figure2", "--protocol", "released", *typed]) == 1
    out, error = capsys.readouterr()
    assert not out and not Path("drawn").exists()
    assert (
        "figure2: nothing is measured, nothing is drawn; "
        "type: python -m harness run figure2 --protocol released --store 'my runs'\n" in error
    )
    assert main(["figure", "figure2", "--preset", "smoke", *typed]) in (0, 1) and any(Path("drawn").iterdir())
