"""`make test-gpu`, proved where there is no GPU: the processor stands in, Triton's interpreter runs its kernels."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from gpu import run, sections
from gpu.place import Absent, Found, Place, check, each, told
from gpu.sections import Done, Section

from harness import environment
from harness.forecast import gpu as forecast
from harness.measure import records
from harness.measure.spec import Benched
from harness.render.bench import bench_pages
from harness.render.tried import STAND_IN, tally
from harness.report.benches import benches

pytest.importorskip("triton")
HERE = Path(__file__).parent
QUICK = [s.name for s in sections.SECTIONS if not s.name.startswith("spikingjelly") and s.name != "compile"]


def standing_in(out: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(HERE / "run.py"), "--stand-in", "--out", str(out), "--seconds", "3000", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=3000)


def whole(out: Path, done: subprocess.CompletedProcess[str], names: list[str]) -> Benched:
    assert done.returncode == 0, done.stdout + done.stderr
    record = records.read(out / "gpu-cpu.json")
    found = [line.partition(":")[0] for line in done.stderr.splitlines()]
    assert [name for name in found if name in names] == names
    assert not [each for each in record.checks if each.outcome == "fails"]
    return record


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Benched]:
    out = tmp_path_factory.mktemp("bench")
    return out, whole(out, standing_in(out, "--short", "--only", ",".join(QUICK)), QUICK)


def test_every_section_runs_without_a_gpu(tried: tuple[Path, Benched]) -> None:
    _, record = tried
    details = {(each.section, each.says): each.detail for each in record.checks}
    assert details["kernels", "mpbn"].endswith("Triton kernel") and "Python loop" in details["kernels", "plif"]
    assert "mpbn-threshold in float32" in details["cell", "a cell on digits trains, folds and is proved"]
    assert {"folds", "memory", "processes", "precision", "graphs"} <= {section for section, _ in details}
    subjects = {timing.subject for timing in record.timings}
    assert {"ours", "bound", "ours, folded", "bfloat16", "tf32", "CUDA graph", "A/A control"} <= subjects
    assert {"training", "inference"} <= {timing.group for timing in record.timings}
    assert len(record.speeds) == 2 and all(speed.images_per_second > 0 for speed in record.speeds)


def test_the_record_says_that_a_processor_stood_in_and_nobody_believes_it(tried: tuple[Path, Benched]) -> None:
    out, record = tried
    assert record.stand_in and forecast.speeds(out) == ()
    pages = bench_pages(record)
    assert len(pages) == 3 and all(STAND_IN in page.notes for page in pages)
    shown = str(benches((record,)))
    assert shown.count(STAND_IN) == 1 and tally(record.checks) in shown
    page = (out / "gpu-cpu.md").read_text()
    assert STAND_IN in page and "make test-gpu" in page
    told = (out / "gpu-cpu.json").read_text() + page
    assert str(HERE.parents[1]) not in told and tempfile.gettempdir() not in told


@pytest.mark.long
def test_all_of_it_with_every_method(tmp_path: Path) -> None:
    names = [section.name for section in sections.SECTIONS]
    whole(tmp_path, standing_in(tmp_path), names)


def ahead(tmp_path: Path, *arguments: str) -> list[str]:
    environ = os.environ | {"TRITON_CACHE_DIR": str(tmp_path), "PYTHONPATH": f"{HERE.parents[1]}:{HERE.parent}"}
    command = [sys.executable, str(HERE / "ahead.py"), *arguments]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr, "a launch leaves to Triton what changes numbers"
    return done.stdout.splitlines()


@pytest.mark.parametrize("capability", [90, pytest.param(80, marks=pytest.mark.long)])
def test_kernels_compile_for_a_gpu_that_is_not_here(capability: int, tmp_path: Path) -> None:
    """By the real compiler and assembler."""
    (line,) = ahead(tmp_path, str(capability))
    names = line.partition(": ")[2].split(", ")
    assert {*names} == {"_forward", "_backward", "_infer", "_step", "_settle", "_step_back", "_add"}
    assert names.count("_settle") == names.count("_add") == 1, "none is compiled anew for another timestep"


@pytest.mark.long
def test_nothing_asks_for_a_gpu_before_the_first_section_is_forked(tmp_path: Path) -> None:
    assert ahead(tmp_path, "asked") == ["asked: "]


def test_where_there_is_no_gpu_it_says_what_to_type(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(environment, "gpus", lambda: ())
    assert run.main([]) == 2
    assert capsys.readouterr().err == (
        "no GPU here; type make test-gpu ARGS=--stand-in to see that all of it runs, on the processor\n"
    )


def test_a_torch_without_cuda_is_told_before_anything_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sections.torch.version, "cuda", None)
    assert sections.unable(stand_in=False).startswith("this torch came without CUDA; type ")
    assert sections.unable(stand_in=True) == ""


def test_an_interrupted_section_leaves_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(child: int, until: float) -> str:
        children.append(child)
        raise KeyboardInterrupt

    children: list[int] = []
    monkeypatch.setattr(sections, "_ended", interrupt)
    with pytest.raises(KeyboardInterrupt):
        ended(tmp_path, hangs)
    with pytest.raises(ProcessLookupError):
        os.kill(children[0], 0)


def test_a_section_that_is_not_there_is_named_with_the_nearest() -> None:
    assert sections.chosen("kernels,memroy") == "no section `memroy`; did you mean `memory`?"
    assert [section.name for section in sections.chosen("memory,cell")] == ["memory", "cell"]  # type: ignore[union-attr]


def found(*parts: str) -> Iterator[Found]:
    yield from (check(part, True) for part in parts)


def dies(place: Place) -> Iterator[Found]:
    yield from found("before")
    os.kill(os.getpid(), signal.SIGKILL)


def hangs(place: Place) -> Iterator[Found]:
    yield from found("before")
    time.sleep(600)


def stumbles(place: Place) -> Iterator[Found]:
    def missing() -> Iterator[Found]:
        raise Absent("a second GPU")

    def broken() -> Iterator[Found]:
        yield from found("half")
        raise ValueError("not in /somewhere/else/here.py")

    yield from each(
        place, {"one": lambda: found("one"), "two": missing, "three": broken, "four": lambda: found("four")}
    )


def ended(tmp_path: Path, take: object, seconds: float = 60, left: float = 60, ours: bool = True) -> Done:
    section = Section("some", "some section", seconds, take, ours=ours)  # type: ignore[arg-type]
    return sections.run(section, False, False, time.monotonic() + left, tmp_path)


def outcomes(done: Done) -> list[tuple[str, str]]:
    return [(check.says, check.outcome) for check in done.kept.checks]


def test_what_fails_costs_itself_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sections, "GRACE", 0.0)
    done = ended(tmp_path, stumbles)
    assert outcomes(done) == [
        ("one", "holds"), ("two", "left out"), ("half", "holds"), ("three", "fails"), ("four", "holds"),
    ]  # fmt: skip
    assert [check.detail for check in done.kept.checks][1::2] == ["a second GPU", "ValueError: not in here.py"]
    died = ended(tmp_path, dies)
    assert outcomes(died) == [("before", "holds"), ("some section", "fails")]
    assert died.kept.checks[-1].detail.startswith("ended by signal 9")


@pytest.mark.parametrize(("seconds", "left", "ours"), [(1.5, 60, True), (1.5, 60, False), (60, 1.5, True)])
def test_what_hangs_is_killed_and_says_something_against_us_where_it_had_its_time(
    seconds: float, left: float, ours: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sections, "GRACE", 0.0)
    wanted = "fails" if ours and seconds < left else "left out"
    assert outcomes(ended(tmp_path, hangs, seconds, left, ours)) == [("before", "holds"), ("some section", wanted)]


def test_without_time_the_rest_is_left_out(tmp_path: Path) -> None:
    done = ended(tmp_path, hangs, left=0.5)
    assert [(check.says, check.detail) for check in done.kept.checks] == [("some section", "no time was left")]
    late = Place(sections.torch.device("cpu"), True, True, time.monotonic())
    (left,) = each(late, {"one": lambda: found("one"), "two": lambda: found("two")})
    assert (left.says, left.outcome) == ("one, two", "left out")  # type: ignore[union-attr]


def test_an_error_is_told_in_a_line() -> None:
    assert (
        told(RuntimeError("nothing\n  in /opt/x/y.so of mpbn/resnet20"))
        == "RuntimeError: nothing in y.so of mpbn/resnet20"
    )
