"""`claims` as it is typed: the ledger, its arithmetic recomputed, the benches beside it, and what it tells to type."""

from __future__ import annotations

import csv
import io
import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import scipy.stats
from reported import finished, planned

from harness import arguments, tables
from harness.cli import BAD_INPUT, OK, main
from harness.measure.spec import Benched, Setting, Timing
from harness.plan import parse_only
from harness.spec import Cell
from harness.statements.recorded import recorded
from harness.store import Store

pytestmark = pytest.mark.usefixtures("cifar10_alone")

GAINS = {1: (1.8, 2.4, 2.0, 2.2), 2: (0.5, 1.6, 0.9, 1.3), 4: (-0.2, 0.6, 0.4, 0.1)}
"""Planted: MPBN over the baseline, by T, a seed each."""
BASE = (60.0, 61.5, 59.25, 60.75)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Table 1 at preset cpu, three seeds, finished but for the curves' ends."""
    monkeypatch.chdir(tmp_path)
    made = Store("runs")
    for line in planned("table1", "cpu").lines:
        for cell in line.cells:
            gain = GAINS[cell.timesteps][cell.seed] if cell.method == "mpbn" else 0.0
            made.write_result(finished(cell, BASE[cell.seed] + gain))
    return made


def asked(capsys: pytest.CaptureFixture[str], *typed: str, code: int = OK) -> str:
    capsys.readouterr()
    assert main(["claims", "--preset", "cpu", "--store", "runs", *typed]) == code
    return capsys.readouterr().out


def rows(capsys: pytest.CaptureFixture[str], *typed: str) -> dict[str, dict[str, Any]]:
    told = json.loads(asked(capsys, *typed, "--format", "json"))
    return {row["claim"]: row for row in told["rows"]}


# --- The ledger -------------------------------------------------------------------------------------------------------


def test_every_claim_stands_there_with_what_was_planted(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    told = rows(capsys)
    assert list(told) == [claim.name for claim in _claims()]
    over = told["mpbn-over-vanilla"]
    weakest = GAINS[4][:3]
    interval = scipy.stats.ttest_1samp(weakest, 0).confidence_interval(0.95)
    assert (over["as_measured"], over["n"], over["preset"]) == ("cannot tell", 3, "cpu")
    assert over["effect"] == pytest.approx(np.mean(weakest), abs=1e-4) and "T4" in over["of"]
    assert [over["effect_low"], over["effect_high"]] == pytest.approx(list(interval), abs=1e-4)
    assert over["part"] == "3 of 6 comparisons, the others are not in preset cpu"
    assert over["to_decide"].startswith(f"needs about {over['more_seeds']} more seeds of each")
    assert told["fold-exact"]["as_measured"] == "cannot tell" and "3 of 4 rows" not in told["fold-exact"]["measured"]


def _claims() -> Any:
    from harness.statements import load_claims

    return load_claims()


def test_the_family_is_all_of_the_ledger_whatever_is_asked_for(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = rows(capsys)
    alone = rows(capsys, "mpbn-over-vanilla")
    assert list(alone) == ["mpbn-over-vanilla"]
    assert alone["mpbn-over-vanilla"] == whole["mpbn-over-vanilla"]
    family = {row["family"] for row in whole.values() if row["p"] is not None}
    assert family == {sum(row["p"] is not None for row in whole.values())} and family != {1}


@pytest.mark.parametrize("form", ["terminal", "markdown", "latex", "html", "csv", "json"])
def test_every_format_says_effect_interval_n_p_and_verdict(
    store: Store, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    text = asked(capsys, "--format", form)
    if form in ("csv", "json"):
        told = rows(capsys)["mpbn-over-vanilla"]
        if form == "csv":
            (told,) = [row for row in csv.DictReader(io.StringIO(text)) if row["claim"] == "mpbn-over-vanilla"]
        assert all(str(told[name]) for name in ("effect", "effect_low", "effect_high", "n", "p_holm", "as_measured"))
    else:
        for expected in ("Effect", "+0.27", "points", "(Holm)", "cannot tell (part)", "epochs"):
            assert expected in text, expected


def test_another_preset_in_the_same_store_is_not_paired(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """One row of the preset, the other of the full table and far away: nothing to compare."""
    full = [line for line in planned("table1", None).lines if line.row.method == "mpbn"]
    mixed = Store("mixed")
    for line in planned("table1", "cpu").lines:
        for cell in line.cells if line.row.method == "vanilla" else ():
            mixed.write_result(finished(cell, BASE[cell.seed]))
    for cell in full[0].cells + full[1].cells:
        mixed.write_result(finished(msgspec.structs.replace(cell, seed=cell.seed), 99.0 + cell.seed / 10))
    for preset in (["--preset", "cpu"], []):
        assert main(["claims", *preset, "--store", "mixed", "--format", "json"]) == OK
        told = json.loads(capsys.readouterr().out)["rows"]
        verdicts = {row["claim"]: row["as_measured"] for row in told}
        assert verdicts["mpbn-over-vanilla"] == "not measured" and verdicts["figure2-convergence"] == "not measured"


# --- The arithmetic ---------------------------------------------------------------------------------------------------


def steps(capsys: pytest.CaptureFixture[str], claim: str, *typed: str) -> dict[str, list[dict[str, Any]]]:
    told = json.loads(asked(capsys, "--explain", claim, *typed, "--format", "json"))
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in told["rows"]:
        groups.setdefault(row["comparison"], []).append(row)
    return groups


def test_scipy_comes_to_the_same_from_the_seeds_that_are_shown(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    groups = steps(capsys, "mpbn-over-vanilla")
    greater, shown = [], 0
    for name, found in groups.items():
        told = {row["step"]: row for row in found}
        seeds = [row for row in found if str(row["step"]).startswith("seed ")]
        if name == "the claim" or not seeds:
            continue
        shown += 1
        left, right = [row["left"] for row in seeds], [row["right"] for row in seeds]
        test = scipy.stats.ttest_rel(left, right, alternative="greater")
        both = scipy.stats.ttest_rel(left, right)
        assert told["mean"]["value"] == pytest.approx(np.mean(np.subtract(left, right)))
        assert told["sd"]["value"] == pytest.approx(np.std(np.subtract(left, right), ddof=1))
        assert told["t"]["value"] == pytest.approx(test.statistic)
        assert told["p of holds"]["value"] == pytest.approx(test.pvalue)
        assert [told["95 % interval"][side] for side in ("left", "right")] == pytest.approx(
            list(both.confidence_interval(0.95))
        )
        greater.append(test.pvalue)
    assert shown == 3
    claim = {row["step"]: row for row in groups["the claim"]}
    assert claim["p of holds"]["value"] == pytest.approx(max(greater))
    assert claim["p of fails"]["value"] == pytest.approx(min(1.0, 3 * (1 - max(greater))))
    assert claim["p"]["value"] == pytest.approx(2 * max(greater))
    told = rows(capsys)
    raw = sorted(row["p"] for row in told.values() if row["p"] is not None)
    before, corrected = 0.0, {}
    for step, p in enumerate(raw):
        before = corrected[p] = max(before, min(1.0, (len(raw) - step) * p))
    assert claim["p (Holm)"]["value"] == pytest.approx(corrected[told["mpbn-over-vanilla"]["p"]], rel=1e-3)


def test_the_arithmetic_of_convergence_is_in_epochs_of_the_curves(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    """The planted curves climb one point an epoch to their last accuracy, at epoch 8."""
    (found,) = [g for name, g in steps(capsys, "figure2-convergence").items() if name.startswith("CIFAR-10:")]
    for row in found[:3]:
        seed = int(str(row["step"]).split()[1])
        level = 0.95 * BASE[seed]
        for side, last in (("right", BASE[seed]), ("left", BASE[seed] + GAINS[2][seed])):
            assert row[side] == pytest.approx(max(1.0, 8 - (last - level)))


def test_every_claim_can_be_explained(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    text = asked(capsys, "--explain")
    for claim in _claims():
        assert f"Claim {claim.name}:" in text
    for line in text.splitlines():
        assert len(line) <= 120


def test_what_it_tells_to_type_trains_what_is_missing(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    lost = [cell for cell in store.cells() if cell.timesteps == 4 and cell.seed == 1]
    for cell in lost:
        (store.folder(cell) / "result.json").unlink()
    text = asked(capsys, "--explain", "mpbn-over-vanilla", "--format", "markdown")
    assert "seed 1 of MPBN ResNet20 T4: missing" in text
    typed = _commands(text)
    assert {cell for command in typed for cell in _cells(command)} >= set(lost)
    assert all({"cifar10"} == {cell.dataset for cell in _cells(command)} for command in typed)


def test_what_it_tells_to_type_for_more_seeds_names_them(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    more = rows(capsys)["figure2-convergence"]["more_seeds"]
    (command,) = _commands(asked(capsys, "--explain", "figure2-convergence", "--format", "markdown"))
    assert sorted({cell.seed for cell in _cells(command)}) == list(range(3 + more))
    assert {(cell.method, cell.timesteps) for cell in _cells(command)} == {("mpbn", 2), ("vanilla", 2)}


def _commands(text: str) -> list[str]:
    found = [line.partition("missing: ")[2] for line in text.splitlines() if "harness run" in line]
    return [one.replace("\\|", "|").replace("\\", "") for command in found for one in command.split(" && ")]


def _cells(command: str) -> Iterator[Cell]:
    """What the command would train, by the parser and the planner."""
    from harness.plan import plan
    from harness.verbs import session

    words = shlex.split(command)
    assert words[:3] == ["python", "-m", "harness"]
    options = arguments.parse(words[3:]).asked
    context = session.context_for(options)
    for target in options.targets:
        yield from plan(tables.load(target), context, only=parse_only(options.only)).cells


# --- Times ------------------------------------------------------------------------------------------------------------


def bench(name: str, reference: str, ratios: dict[str, float], device: str = "cpu", width: float = 0.004) -> Benched:
    """Every ratio at T = 1, 2 and 4, with an interval of ± `width`, by two clocks of which the wall is wrong."""
    timings = []
    for steps_ in (1, 2, 4):
        setting = Setting(architecture="resnet20", width=0.25, timesteps=steps_, batch=1)
        for clock in ("cpu", "wall"):
            for subject, ratio in {reference: 1.0, "A/A control": 1.001, **ratios}.items():
                value = ratio if clock == "cpu" else 3.0
                timings.append(
                    Timing(
                        setting=setting,
                        subject=subject,
                        reference=reference,
                        clock=clock,
                        milliseconds=1.0,
                        ratio=value,
                        low=value - width,
                        high=value + width,
                    )
                )
    where = {
        "device": device,
        "cpu": "a fast one",
        "threads": 1,
        "packages": {"torch": "2"},
        "neurons": "",
        "command": "",
    }
    return Benched(bench=name, title="", rounds=120, timings=tuple(timings), environment=where, when="today")


def record(folder: Path, benched: Benched, name: str = "") -> None:
    folder.mkdir(exist_ok=True)
    path = folder / f"{name or benched.bench}.json"
    path.write_bytes(msgspec.json.encode(benched))


LATENCY = {"mpbn, folded": 1.006, "tebn, folded": 1.2}


def test_times_are_judged_from_the_records(store: Store, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert rows(capsys)["fold-free"]["as_measured"] == "not measured"
    record(tmp_path / "bench", bench("latency", "vanilla, folded", LATENCY))
    record(tmp_path / "bench", bench("overhead", "vanilla", {"mpbn": 1.25}))
    told = rows(capsys, "--bench", "bench")
    verdicts = [told[name]["as_measured"] for name in ("fold-free", "training-burden", "step-norms-cost")]
    assert verdicts == ["holds", "fails", "holds"]
    assert (told["fold-free"]["effect"], told["fold-free"]["unit"], told["fold-free"]["n"]) == (1.006, "times", 120)
    assert told["fold-free"]["p"] is None, "no sample of seeds: outside the family"
    assert "1.006" in asked(capsys, "fold-free", "--bench", "bench") and "3.0" not in told["fold-free"]["measured"]
    assert "shown 0.98 to 1.02 in 3 of 3 settings" in told["fold-free"]["measured"]
    assert "in 2 of 2 settings" in told["step-norms-cost"]["measured"], "T = 1 has no step of its own"
    explained = asked(capsys, "--explain", "fold-free", "--bench", "bench", "--format", "markdown")
    assert "A/A control" in explained and "1.006" in explained


def test_a_second_device_must_agree(store: Store, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    record(tmp_path / "bench", bench("latency", "vanilla, folded", LATENCY))
    record(
        tmp_path / "bench", bench("latency", "vanilla, folded", {"mpbn, folded": 1.015}, device="gpu", width=0.02), "g"
    )
    told = rows(capsys, "--bench", "bench")["fold-free"]
    assert told["as_measured"] == "cannot tell" and "on cpu" in told["measured"] and "on gpu" in told["measured"]
    assert told["to_decide"] == "needs more rounds, or a quieter machine"


def test_a_damaged_record_is_told_and_left_out(
    store: Store, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    record(tmp_path / "bench", bench("latency", "vanilla, folded", LATENCY))
    (tmp_path / "bench" / "broken.json").write_text('{"bench": "latency"')
    assert len(recorded(tmp_path / "bench")[0]) == 1 and recorded(tmp_path / "nowhere") == ((), ())
    assert main(["claims", "fold-free", "--preset", "cpu", "--bench", "bench", "--store", "runs"]) == OK
    said = capsys.readouterr()
    assert "holds" in said.out
    assert said.err.count("\n") == 1 and "broken.json: no record of a bench" in said.err


def test_the_report_has_them_too(store: Store, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    record(tmp_path / "bench", bench("latency", "vanilla, folded", LATENCY))
    typed = ["--preset", "cpu", "--store", "runs", "--bench", "bench", "--out", "r.html", "table1"]
    assert main(["report", *typed]) == OK
    text = (tmp_path / "r.html").read_text()
    assert "1.006 [1.002, 1.010] times" in text and "cannot tell (part)" in text


# --- Bad input --------------------------------------------------------------------------------------------------------


def test_bad_input_is_one_line(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    for typed, message in (
        (["--explain", "fold-fre"], "unknown claim `fold-fre`; did you mean `fold-free`?"),
        (["mpbn-over-vanilla", "--only", "method=mpnb"], "no row has method `mpnb`"),
        (["mpbn-over-vanilla", "--only", "dataset=imagenet"], "no row has dataset `imagenet`"),
    ):
        assert main(["claims", "--store", "runs", *typed]) == BAD_INPUT
        said = capsys.readouterr()
        assert message in said.err and said.err.count("\n") == 1 and said.out == ""


def test_only_narrows_what_is_compared(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    told = rows(capsys, "--only", "timesteps=2")
    assert told["figure2-convergence"]["n"] == 3
    assert told["gain-at-one-step"]["as_measured"] == "not measured"
