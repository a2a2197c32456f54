"""`compare` and `new` as they are typed; jobs that train nothing but the last test's."""

from __future__ import annotations

import csv
import io
import json
import pickle
import runpy
from pathlib import Path

import pytest
import stand_in
from fake_slurm import FakeSlurm
from tiny import harness, write_tiny

from baselines import METHODS
from harness import plugins
from harness.cli import main
from harness.jobs import launch
from harness.store import Store

ROOT = Path(__file__).parents[2]
SMOKE = ("--preset", "smoke", "--only", "timesteps=2", "--seeds", "0,1", "--place", "inline", "--rounds", "0")


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As in test_cli; what a test registers is forgotten after it."""
    monkeypatch.setattr(launch, "worker", stand_in.train)
    for method in METHODS:
        METHODS.get(method)  # one that is loaded during a test would be forgotten with it, and never load again
    monkeypatch.setattr(METHODS, "_entries", dict(METHODS._entries))
    monkeypatch.setattr(plugins, "_LOADED", {})
    monkeypatch.chdir(tmp_path)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "HARNESS_COMMAND"):
        monkeypatch.setenv(name, "1")


@pytest.fixture
def mine() -> str:
    Path("mine.py").write_text(
        '"""Mine."""\nfrom baselines import METHODS\nfrom baselines.method import Method\n'
        'METHODS.register("mine", Method())\n'
    )
    return "mine.py"


def compare(*arguments: str) -> int:
    return main(["compare", *arguments, *SMOKE, "--store", "runs"])


def trained() -> set[str]:
    return {result.cell.method for result in Store("runs").results()}


def test_it_trains_the_method_alone_and_says_how_to_train_the_rest(mine: str, capsys: pytest.CaptureFixture) -> None:
    assert compare(mine, "--on", "table1") == 1
    out, error = capsys.readouterr()
    assert trained() == {"mine"}
    assert out.count("incomplete") == 2 and "mine & digits & ResNet20 & 2 &" in out
    (told,) = [line for line in error.splitlines() if "not trained" in line]
    assert "4 cells of the rows" in told and told.endswith(" --train-baselines")


def test_with_the_baselines_all_is_there(mine: str, capsys: pytest.CaptureFixture) -> None:
    assert compare(mine, "--on", "table1", "--train-baselines", "--format", "json") == 0
    page = json.loads(capsys.readouterr().out)
    assert trained() == {"mine", "vanilla", "mpbn"}
    assert [(row["method"], row["against"], row["finding"]) for row in page["rows"]] == [
        ("mine", "baseline", "identical"),
        ("mine", "MPBN", "identical"),
    ]
    assert compare(mine, "--on", "table1", "--format", "csv") == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["n"] for row in rows] == ["2", "2"] and rows[0]["parameters"] == "1"


def test_a_method_known_by_name_needs_no_file(capsys: pytest.CaptureFixture) -> None:
    assert compare("mpbn", "--on", "table1", "--train-baselines") == 0
    assert "MPBN against Table 1" in capsys.readouterr().out and trained() == {"mpbn", "vanilla"}


def test_a_dry_run_trains_nothing(mine: str, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.verbs.dry_run._measure", lambda asked, how, step: lambda cell: 1.0)
    assert compare(mine, "--on", "table1", "--dry-run") == 0
    assert "2 cells, 2 to train" in capsys.readouterr().out and not Path("runs").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ("mine.py", "--on", "local"),
            "`local` is a place; type: python -m harness compare METHOD.py --on table1 --place local",
        ),
        (("mine.py", "--on", "tabel1"), "unknown table `tabel1`; did you mean `table1`?"),
        (("nothing.py", "--on", "table1"), "nothing.py: no such file"),
        (("mpnb", "--on", "table1"), "no method `mpnb`; did you mean `mpbn`?"),
        (("mine.py", "--on", "table1", "--rounds", "-1"), "--rounds"),
        (("mine.py",), "--on"),
    ],
)
def test_bad_input_is_one_line_and_2(
    mine: str, arguments: tuple[str, ...], told: str, capsys: pytest.CaptureFixture
) -> None:
    assert compare(*arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line


def test_on_a_cluster_its_cells_are_submitted_then_taken_up(
    mine: str, fake: FakeSlurm, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--place` is a place as `run --on` has it; `--on` stays the table."""
    Path("clusters").mkdir()
    Path("clusters/there.toml").write_text('time = "1:00:00"\n')
    there = (mine, "--on", "table1", "--train-baselines", "--place", "clusters/there.toml")
    monkeypatch.setitem(globals(), "SMOKE", tuple(word for word in SMOKE if word not in ("--place", "inline")))
    assert compare(*there, "--dry-run") == 0
    assert "6 to submit" in capsys.readouterr().out and not fake.called("sbatch")

    assert compare(*there) == 0
    out, error = capsys.readouterr()
    assert "submitted 101: 4 cells in 4 jobs" in error and "submitted 102: 2 cells" in error and "incomplete" in out
    methods = {cell.method for cell in Store("runs").cells()}
    assert methods == {"mine", "vanilla", "mpbn"} and not trained()
    assert compare(*there) == 0
    assert "6 cells in the queue already" in capsys.readouterr().err and fake["submitted"] == 2

    for cell in Store("runs").cells():  # what the jobs would have left
        assert stand_in.train(cell, Path("runs")) == "done"
    fake.set(queue=[])
    assert compare(*there) == 0
    assert "identical" in capsys.readouterr().out and fake["submitted"] == 2


def test_the_scripts_of_a_cluster_bring_the_file_of_the_method(
    mine: str, fake: FakeSlurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("clusters").mkdir()
    Path("clusters/there.toml").write_text('time = "1:00:00"\n')
    monkeypatch.setitem(globals(), "SMOKE", tuple(word for word in SMOKE if word not in ("--place", "inline")))
    # 1: the rows it is held against are not trained
    assert compare(mine, "--on", "table1", "--place", "clusters/there.toml") == 1
    jobs = [pickle.loads(path.read_bytes()).function for path in Path("runs/.jobs/slurm").rglob("*_submitted.pkl")]
    assert len(jobs) == 2 and {job._work.plugins for job in jobs} == {(str(Path("mine.py").resolve()),)}


# --- new --------------------------------------------------------------------------------------------------------------


def test_new_writes_a_method_of_ten_lines(capsys: pytest.CaptureFixture) -> None:
    assert main(["new", "method", "my_method"]) == 0
    assert capsys.readouterr().out == "my_method.py\n"
    assert len(Path("my_method.py").read_text().splitlines()) <= 11
    runpy.run_path("my_method.py")
    assert METHODS.get("my-method").neuron.charge.tau == 0.5  # type: ignore[attr-defined]


def test_new_overwrites_nothing(capsys: pytest.CaptureFixture) -> None:
    Path("mine.py").write_text("precious")
    assert main(["new", "method", "mine"]) == 2
    assert Path("mine.py").read_text() == "precious" and "is there already" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["mpbn", "tebn", "My-Method", "1st", "a b", "../up", "", "a--b", "é"])
def test_new_refuses_names_that_will_not_do(name: str, capsys: pytest.CaptureFixture) -> None:
    assert main(["new", "method", name]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1 and not list(Path().glob("*.py"))


def test_what_new_writes_trains_and_is_held_against_the_table(tmp_path: Path) -> None:
    """For real, in processes of its own: it folds, its proof passes, its costs are measured."""
    given = write_tiny(tmp_path)
    protocol = tmp_path / "protocol.toml"
    protocol.write_text(protocol.read_text().replace("epochs = 6", "epochs = 1"))
    found = {"PYTHONPATH": str(ROOT)}  # for a clone that is not installed
    assert harness("new", "method", "leaky", **found).returncode == 0
    more = ["--seeds", "0", "--only", "method=vanilla", "--place", "inline", "--train-baselines"]
    more += ["--rounds", "5", "--format", "json"]
    done = harness("compare", "leaky.py", "--on", given[0], *given[1:], *more, "--store", tmp_path / "runs", **found)
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)["rows"]
    assert (row["n"], row["finding"]) == (1, "no difference shown") and "one pair has no spread" in row["conclusion"]
    assert row["step_ratio"] > 0 and row["latency_ratio"] > 0
    assert row["macs"] == row["against_macs"] > 0 and row["acs"] > 0
    assert row["microjoules"] == pytest.approx((4.6 * row["macs"] + 0.9 * row["acs"]) / 1e6, abs=1e-4)
