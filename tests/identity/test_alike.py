"""No difference or verdict over runs that were not computed alike, unless asked for; and it is said everywhere."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from outcomes import result
from stand_in import make_cell, make_result

from harness.cli import main
from harness.comparison import Finding, compare, pairing
from harness.identity.alike import ASPECTS, unlike
from harness.plan import Context, plan
from harness.spec import Protocol, Recipe, Row, Table
from harness.stats import Verdict, summarise
from harness.store import Store
from harness.store.result import Result

ALIKE = {
    "packages": {"torch": "2.15.0", "numpy": "2.4.6"},
    "device": "cpu",
    "cpu": "AMD EPYC",
    "instructions": "AVX512",
    "threads": 1,
    "processes": 1,
    "neurons": "fused CPU kernel",
    "commit": "0123456789ab",
    "memory_gib": 23.5,
}
OTHERWISE = {
    "torch": {"packages": {"torch": "2.16.0"}},
    "device": {"device": "H100"},
    "processor": {"cpu": "Intel Xeon"},
    "instructions": {"instructions": "AVX2"},
    "threads": {"threads": 2},
    "processes": {"processes": 2},
    "neurons": {"neurons": "hand-written adjoint"},
}
TABLE = """
name = "t"
title = "T"
row = [
    { dataset = "digits", method = "vanilla", architecture = "vgg11", timesteps = 1 },
    { dataset = "digits", method = "mpbn", architecture = "vgg11", timesteps = 1, base = 1, change = { lr = 0.2 } },
]
"""
PROTOCOL = 'name = "p"\ndescription = "P"\n[recipe.digits]\nepochs = 1\n'


def of(seed: int, environment: dict, *attempts: dict) -> Result:
    return msgspec.structs.replace(make_result(make_cell(seed)), environment=environment, attempts=attempts)


@pytest.mark.parametrize("name", OTHERWISE)
def test_whatever_changes_bits_is_told(name: str) -> None:
    (said,) = [text for text in unlike([of(0, ALIKE), of(1, ALIKE | OTHERWISE[name])]) if text.startswith(name)]
    assert " | " in said
    assert any(text.startswith(name) for text in unlike([of(0, ALIKE, ALIKE | OTHERWISE[name]), of(1, ALIKE)]))


def test_every_aspect_is_tried() -> None:
    assert OTHERWISE.keys() | {"convolutions"} == ASPECTS.keys()
    gpus = [{"device": "H100", "convolutions": rounding} for rounding in ("tf32", "ieee")]
    assert unlike(of(seed, environment) for seed, environment in enumerate(gpus)) == ("convolutions ieee | tf32",)


def test_what_changes_no_bit_or_is_not_told_is_not_held_against_a_run() -> None:
    other = ALIKE | {"commit": "ffff", "memory_gib": 99.0, "cores": 64, "command": "x"}
    old = {name: ALIKE[name] for name in ("packages", "device", "cpu", "threads")}
    assert unlike([of(0, ALIKE), of(1, other), of(2, old), None]) == ()
    on_gpu = [{"device": "H100", "threads": n, "cpu": f"CPU {n}"} for n in (1, 2)]
    assert unlike(of(seed, environment) for seed, environment in enumerate(on_gpu)) == ()


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A table of two rows, three seeds each; the second seed of the first row on two threads."""
    monkeypatch.chdir(tmp_path)
    Path("t.toml").write_text(TABLE)
    Path("p.toml").write_text(PROTOCOL)
    typed = ["t.toml", "--protocol", "p.toml", "--store", "runs"]
    store = Store("runs")
    from harness import tables
    from harness.verbs import session

    context = session.context_of(tables.load_protocol("p.toml"), None, (0, 1, 2), ())
    for cell in plan(tables.load_table("t.toml"), context, identify=lambda cells: {"digits": "variant-1"}).cells:
        threads = {"threads": 2} if (cell.method, cell.seed) == ("vanilla", 1) else {}
        store.write_result(result(cell, 90.0 + cell.seed, environment=ALIKE | threads))
    return typed


@pytest.mark.parametrize("form", ["terminal", "markdown", "latex", "csv", "json", "html"])
def test_every_format_says_it(typed: list[str], capsys: pytest.CaptureFixture[str], form: str) -> None:
    main(["table", *typed, "--format", form])
    text = " ".join(capsys.readouterr().out.split())
    assert "unlike runs" in text and "threads 1" in text


def test_neither_row_nor_difference_is_judged_unless_asked(
    typed: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    def rows(*more: str) -> list[dict]:
        main(["table", *typed, "--format", "json", *more])
        return json.loads(capsys.readouterr().out)["rows"]

    first, second = rows()
    assert (first["verdict"], first["unlike"]) == (Verdict.UNLIKE, "threads 1 | 2")
    assert (second["verdict"], second["unlike"], second["base_difference"]) == (Verdict.NOT_COMPARABLE, "", None)
    first, second = rows("--mixed")
    assert (first["verdict"], first["unlike"]) == (Verdict.NOT_COMPARABLE, "threads 1 | 2")
    assert second["base_difference"] == 0.0


def planned(mixed: bool) -> Context:
    return Context(
        protocol=Protocol(name="p", description="", recipe={"digits": Recipe(epochs=1)}),
        preset=None,
        seeds=(0, 1),
        methods=("vanilla", "mpbn"),
        architectures=("vgg11",),
        datasets=("digits",),
        mixed=mixed,
    )


@pytest.mark.parametrize(("mixed", "finding"), [(False, Finding.UNLIKE), (True, Finding.BETTER)])
def test_a_method_is_not_held_against_rows_that_were_computed_otherwise(mixed: bool, finding: Finding) -> None:
    row = Row(method="vanilla", architecture="vgg11", dataset="digits", timesteps=1)
    both = pairing(Table(name="t", title="", row=(row,)), ["mpbn"], planned(mixed), {})
    outcomes = {
        cell.key: result(cell, accuracy + cell.seed**2 * accuracy / 90, environment=ALIKE | {"threads": threads})
        for line, accuracy, threads in ((both.mine.lines[0], 90.0, 1), (both.rows.lines[0], 80.0, 2))
        for cell in line.cells
    }
    (found,) = compare(both, outcomes)
    assert found.finding == finding and found.unlike == ("threads 1 | 2",)
    summary = summarise(both.mine.lines[0], both.mine, outcomes)
    assert summary.unlike == () and "unlike" not in summary.evidence
