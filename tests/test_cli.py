"""The command line as a contract: exit codes, what goes where, one line for each mistake."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import subprocess
import sys
from pathlib import Path

import pytest
import stand_in

from harness import cli, requests
from harness.arguments import parse
from harness.cli import main
from harness.errors import UserError
from harness.forecast.gpu import Measured
from harness.jobs import launch
from harness.store import Store

SMOKE = ("--preset", "smoke", "--seeds", "0,1", "--only", "method=vanilla,timesteps=1")
HEAD = "table,row,dataset,method,architecture,timesteps,paper_accuracy,paper_std,accuracy,std,n,verdict"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "runs"


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs that train nothing, in this process; the fixture leaves the environment that a run sets as it was."""
    monkeypatch.setattr(launch, "worker", stand_in.train)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "HARNESS_COMMAND"):
        monkeypatch.setenv(name, "1")


def run(store: Path, *arguments: str) -> int:
    return main([*arguments, "--store", str(store)])


def train(store: Path, *more: str) -> int:
    return run(store, "run", "table1", "--on", "inline", *SMOKE, *more)


def test_run_trains_then_prints_then_has_nothing_to_do(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(store, "--format", "csv") == 0
    first = capsys.readouterr()
    assert first.out.startswith(HEAD)
    assert "2/2 done vanilla/resnet20/digits/T1/seed1" in first.err
    launch.worker = stand_in.die_always  # type: ignore[assignment] - would kill this process
    assert train(store, "--format", "csv") == 0
    assert capsys.readouterr().out == first.out


def test_table_is_1_until_all_is_there(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(store, "table", "table1", *SMOKE) == 1
    assert train(store) == 0
    capsys.readouterr()
    assert run(store, "table", "table1", *SMOKE, "--format", "json") == 0
    record = json.loads(capsys.readouterr().out)
    assert [row["n"] for row in (record["rows"] if isinstance(record, dict) else record)] == [2, 2]


def test_several_tables_are_one_csv(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(store, "table", "table1", "table6", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["table"] for row in rows] == ["table1"] * 12 + ["table6"] * 4


@pytest.mark.parametrize(
    ("given", "seeds"),
    [
        ([], (0, 1, 2)),
        (["--seeds", "7"], (7,)),
        (["--seeds", "0", "--seeds", "1,0", "--seeds", "4294967295"], (0, 1, 4294967295)),
        (["--seeds", "0,1,2", "--seeds", "5"], (0, 1, 2, 5)),
    ],
)
def test_seeds_given_again_are_added(given: list[str], seeds: tuple[int, ...]) -> None:
    assert parse(["table", "table1", *given]).asked.seeds == seeds


def test_rows_without_a_method_do_not_count_as_missing(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(store, "table", "table5", "--only", "method=rollout", "--format", "csv") == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert rows and {row["verdict"] for row in rows} == {"not specified in public"}
    assert all(row["paper_accuracy"] and not row["accuracy"] for row in rows)


def test_a_failed_cell_is_shown_kept_and_retried_when_asked(
    store: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "worker", stand_in.fail_odd_seeds)
    assert train(store) == 1
    said = capsys.readouterr()
    assert "seed 1 diverged" in said.out and "--retry failed" in said.err
    (log,) = re.findall(r"1 cell failed; log: (\S+);", said.err)
    assert Path(log) == next(store.glob("*/failed.json")).with_name("log.txt")
    monkeypatch.setattr(launch, "worker", stand_in.train)
    assert train(store) == 1
    assert not (store / "trained.txt").read_text().count("begins") > 1
    assert run(store, "status", "table1", *SMOKE) == 1
    said = capsys.readouterr()
    assert "diverged at epoch 2: the loss became nan" in said.out and "log.txt" in said.out
    assert train(store, "--retry", "failed") == 0


def test_a_truncated_result_is_told_moved_aside_and_trained_again(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(store)
    path = next(store.glob("*/result.json"))
    whole = path.read_bytes()
    path.write_bytes(whole[:100])
    assert run(store, "table", "table1", *SMOKE) == 1
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if str(path) in line and "`run` moves it aside" in line] == lines[-1:]
    assert train(store) == 0
    assert str(path) in capsys.readouterr().err
    assert path.read_bytes() == whole
    assert path.with_name("result.json.corrupt-1").read_bytes() == whole[:100]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("tabel table1", "unknown verb `tabel`; did you mean `table`?"),
        ("run table9", "unknown table or figure `table9`; known: ambiguities, "),
        ("run table1 --only method=mpnb", "--only: no row has method `mpnb`; did you mean `mpbn`?"),
        ("run table1 --sore x", "run: unknown argument `--sore`; did you mean `--store`?"),
        ("run table1 --on slurm", "--on: unknown place `slurm`; known: cpu, example, gpu, inline, local"),
        ("run table1 --jobs 0", "--jobs: `0` is no number of 1 or more"),
        ("run table1 --jobs 100000000000000000000", "is no number of 1 or more, 1000000 at most"),
        ("run table1 --threads 100000", "--threads: `100000` is no number of 1 or more, 1024 at most"),
        ("run table1 --seeds x", "--seeds: `x` is no list of seeds"),
        ("run table1 --seeds 4294967296", "`4294967296` is no list of seeds; type whole numbers from 0 to 4294967295"),
        ("run table1 --seeds=-1", "`-1` is no list of seeds"),
        ("run table1 --seeds=--", "`--seeds` has no value"),
        ("run table1 --only=--", "`--only` has no value"),
        ("run table1 --store=--", "`--store` has no value"),
        ("bench latency --width nan", "--width: `nan` is no list of numbers"),
        ("bench latency --batch 0", "--batch: `0` is no list of numbers"),
        ("bench latency --timesteps 1,1e9", "--timesteps: `1,1e9` is no list of numbers"),
        ("run table1 --retry all", "unknown kind `all`; known: failed"),
        ("run table1 --preset smok", "unknown preset `smok`; did you mean `smoke`?"),
        ("run table1 --protocol papre", "unknown protocol `papre`; did you mean `paper`?"),
        ("run table1 --format xml", "unknown format `xml`"),
        ("run table1 --plugin none.py", "none.py: no such file"),
        ("run table1 --plugin nopackage", "--plugin: no package `nopackage`"),
        ("run", "run: arguments are required: TABLE|FIGURE|CELL"),
        ("list method", "unknown kind `method`; did you mean `methods`?"),
        ("show 0123", "no cell `0123`"),
        ("run no.toml", "no table or figure file `no.toml`; shipped: "),
    ],
)
def test_bad_input_is_one_line_and_2(
    arguments: str, message: str, store: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(store.parent)
    assert main(arguments.split()) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1 and said.err.startswith("harness: ")
    assert message in said.err


def test_a_wrong_key_in_a_table_of_ones_own(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = store.parent / "mine.toml"
    mine.write_text(
        'name="mine"\ntitle="Mine"\n[[row]]\nmethod="vanilla"\narchitecture="resnet20"\ndataset="cifar10"\ntimestep=2\n'
    )
    assert run(store, "run", str(mine)) == 2
    assert "mine.toml: row 1: unknown key `timestep`; did you mean `timesteps`?" in capsys.readouterr().err


def test_missing_data_is_one_line_a_set_and_2(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (store.parent / "empty").mkdir()
    assert run(store, "run", "table6", "--data", str(store.parent / "empty")) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and all(line.startswith("harness: ") and "--data" in line for line in lines)


def test_data_that_is_gone_is_no_matter_where_all_is_trained(
    store: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert train(store) == 0

    def gone(name: str, root: Path | None) -> str:
        raise UserError(f"no {name} here")

    monkeypatch.setattr("harness.data.identify", gone)
    capsys.readouterr()
    assert train(store) == 0
    assert capsys.readouterr().err == ""
    assert train(store, "--seeds", "1,2,3") == 1
    assert capsys.readouterr().err == "harness: no digits here\n"


def test_an_unwritable_store_is_one_line_and_2(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store.write_text("a file is in the way")
    assert train(store) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "is no folder" in said


def test_dry_run_trains_nothing_and_forecasts(
    store: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.verbs.dry_run._measure", lambda asked, how, step: lambda cell: 6.0)
    assert train(store, "--dry-run") == 0
    out = capsys.readouterr().out
    assert "2 cells, 2 to train" in out and " with 1 at once" in out and "2 x  vanilla/resnet20/digits/T1" in out
    assert not store.exists() and "on a GPU" not in out
    speeds = {Path("results/bench"): (Measured("NVIDIA H100", ()),)}
    monkeypatch.setattr("harness.verbs.dry_run.speeds", speeds.get)
    assert train(store, "--dry-run") == 0
    assert "on a GPU: no GPU speed known yet for 2 cells" in capsys.readouterr().out


def test_a_dry_run_is_a_record_or_a_line(
    store: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.verbs.dry_run._measure", lambda asked, how, step: lambda cell: 6.0)
    assert train(store, "--dry-run", "--format", "json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["to_train"], len(told["cells"]), told["seconds"]) == (2, 2, 2 * 8 * 6.0)
    assert {cell["state"] for cell in told["cells"]} == {"missing"}
    for verb in (["run", "table1"], ["compare", "mpbn", "--on", "table1"]):
        assert run(store, *verb, "--preset", "smoke", "--dry-run", "--format", "csv") == 2
        out, error = capsys.readouterr()
        assert not out and error.endswith("a dry run is not told as csv; leave out --format, or take json\n")


@pytest.mark.parametrize(
    ("typed", "advice"),
    [
        (["table", "figure2", "--preset", "smoke"], "figure figure2 --preset smoke --store {}"),
        (["figure", "table1", "--seeds", "0"], "table table1 --store {}"),
        (["compare", "mpbn", "--on", "inline", "--preset=cpu"],
         "compare METHOD.py --on table1 --place inline --preset cpu --store {}"),
        (["status"], "run table1 --preset smoke --store {}"),
    ],
)  # fmt: skip
def test_what_is_to_be_typed_has_what_was_given(
    typed: list[str], advice: str, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(store, *typed)
    said = "".join(capsys.readouterr()).splitlines()
    assert any(line.endswith(f"type: python -m harness {advice.format(store)}") for line in said), said


def test_status_of_an_empty_store_says_how_to_begin(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(store, "status") == 0
    assert "python -m harness run table1 --preset smoke" in capsys.readouterr().out


def test_status_finds_what_was_begun_under_any_preset(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(store)
    capsys.readouterr()
    assert run(store, "status", "--format", "json") == 0
    (found,) = [entry for entry in json.loads(capsys.readouterr().out) if entry["table"] == "table1"]
    assert (found["preset"], found["done"]) == ("smoke", 2)


def test_show_tells_all_of_a_cell_by_the_beginning_of_its_key(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(store)
    key = next(store.glob("*/result.json")).parent.name
    capsys.readouterr()
    assert run(store, "show", key[:8]) == 0
    out = capsys.readouterr().out
    for part in (key, "recipe", "curve", "fold proofs", "provenance", "python -m harness run"):
        assert part in out
    assert main(["show", str(store / key / "result.json")]) == 0
    assert capsys.readouterr().out == out


def test_a_cell_can_be_run_by_its_key_or_path(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(store)
    key = next(store.glob("*/result.json")).parent.name
    again = store.parent / "again"
    assert run(again, "run", str(store / key), "--on", "inline") == 0
    assert [result.cell.key for result in Store(again).results()] == [key]


PLUGIN = """
from baselines import METHODS
METHODS.register("mine", METHODS.get("vanilla"))
"""


def test_a_users_method_gets_its_own_rows(store: Path) -> None:
    """In a process of its own, as it registers for good."""
    mine = store.parent / "mine.py"
    mine.write_text(PLUGIN)
    command = [sys.executable, "-m", "harness", "table", "table1", "--preset", "smoke", "--format", "csv"]
    done = subprocess.run([*command, "--plugin", str(mine), "--store", str(store)], capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    rows = [row for row in csv.DictReader(io.StringIO(done.stdout)) if row["method"] == "mine"]
    assert len(rows) == 6 and all(not row["paper_accuracy"] and row["verdict"] == "incomplete" for row in rows)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import json\n\nx = 1 / 0\n", "mine.py:3: ZeroDivisionError: division by zero"),
        ("def broken(:\n", "mine.py:1: SyntaxError"),
        ("x = 1\n", "mine.py: registers no method"),
        ('from baselines import METHODS\nMETHODS.register("mpbn", 1)\n', "mine.py:2: ValueError: method `mpbn` is"),
    ],
)
def test_a_mistake_in_a_users_file_names_file_and_line(
    text: str, message: str, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = store.parent / "mine.py"
    mine.write_text(text)
    assert run(store, "table", "table1", "--plugin", str(mine)) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1


def test_a_harness_that_was_updated_under_a_long_run_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is imported late, to print, then comes from another commit than what is in memory."""

    def list_(request: object) -> int:
        from harness.stats import what_a_newer_one_has  # type: ignore[attr-defined]

        return what_a_newer_one_has

    monkeypatch.setattr(cli, "VERBS", {**cli.VERBS, requests.Listing: list_})
    monkeypatch.setattr(cli, "BEGAN", 0.0)
    assert main(["list", "tables"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "ImportError: cannot import name 'what_a_newer_one_has'" in line and ".py was changed while this ran" in line
    monkeypatch.setattr(cli, "BEGAN", math.inf)
    with pytest.raises(ImportError):
        main(["list", "tables"])


def test_a_reader_that_leaves_early_is_no_error(store: Path) -> None:
    command = f"{sys.executable} -m harness table table2 --store {store} --format csv | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.stdout.strip() in ("0", "1") and done.stderr == ""
