"""A bench that is interrupted shows what it has, and goes on from there when the same is asked for again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness.cli import main
from harness.measure import bench, latency, records, unfinished
from harness.measure.spec import Setting, Timing
from harness.statements.recorded import recorded

HERE = Path(__file__).parents[2] / "results" / "bench"
TITLES = [f"resnet20, width 0.0625, T = {t}, batch 1" for t in (1, 2, 4)]


@pytest.fixture
def own(tmp_path: Path) -> Path:
    head = (bench.folder() / "latency.toml").read_text().partition("[[grid]]")[0]
    sizes = 'architecture = ["resnet20"]\nwidth = [0.0625]\ntimesteps = [1, 2, 4]\nbatch = [1]\n'
    (tmp_path / "own.toml").write_text(f"{head}[[grid]]\n{sizes}")
    return tmp_path / "own.toml"


class Until:
    """Ctrl-C comes where as many settings have begun."""

    settings = 9


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The settings that were begun; nothing is timed."""
    titles: list[str] = []

    def take(setting: Setting, *rest: Any) -> list[Timing]:
        titles.append(setting.title)
        if len(titles) > Until.settings:
            raise KeyboardInterrupt
        return [msgspec.structs.replace(timing, setting=setting) for timing in timings("latency-cpu")]

    monkeypatch.setattr(latency, "_take", take)
    monkeypatch.setattr("harness.render.bench.write", lambda *of: [])
    monkeypatch.setattr(Until, "settings", 9)
    return titles


def timings(name: str) -> tuple[Timing, ...]:
    """The first of a record."""
    found = records.read(HERE / f"{name}.json").timings
    return tuple(timing for timing in found if timing.setting == found[0].setting)


def timed(own: Path, *more: str) -> int:
    return main(["bench", str(own), "--out", str(own.parent / "out"), *more])


def test_what_it_has_is_shown_and_gone_on_with(own: Path, begun: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    Until.settings = 2
    assert timed(own) == 130
    out, error = capsys.readouterr()
    assert "T = 1" in out and "T = 2" in out and f"Interrupted; not timed: {TITLES[2]}." in out
    assert "interrupted; 1 left, what is timed is kept: type the same again to go on from there" in error
    assert recorded(own.parent / "out") == ((), ()), "no record yet"
    (kept,) = (own.parent / "out" / unfinished.FOLDER).iterdir()
    first = records.read(kept)
    assert main(["bench", str(kept), "--format", "csv"]) == 0 and "A/A control" in capsys.readouterr().out

    Until.settings = 9
    begun.clear()
    assert timed(own) == 0
    assert begun == TITLES[2:] and "1 of 3 are left" in capsys.readouterr().err
    ((whole,), ()) = recorded(own.parent / "out")
    assert whole.timings[: len(first.timings)] == first.timings and not whole.left and whole.asked is None
    assert {t.setting.timesteps for t in whole.timings} == {1, 2, 4} and not kept.parent.exists()


def test_growth_is_gone_on_with_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings come first, then what grows; targets wait for the whole."""
    told: list[str] = []

    def tell(line: str) -> None:
        told.append(line)
        if len(told) == 3:
            raise KeyboardInterrupt

    one = timings("training-cpu")[:1]
    monkeypatch.setattr("harness.measure.training._take", lambda *of: one)
    monkeypatch.setattr("harness.measure.training._growth", lambda *of: ())
    small = bench.narrowed(bench.load("training"), {}, 2)
    cut = bench.run(small, 1, tell, tmp_path)
    assert cut.timings == one * 2 and cut.targets == () and cut.left[-1].startswith("growth over ")
    done = bench.run(small, 1, told.append, tmp_path)
    assert done.timings == one * (2 + sum("growth" not in name for name in cut.left)) and done.left == ()


CHANGED: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "another bench": (lambda said: said["asked"].update(rounds=7), "another bench of this name"),
    "other code": (lambda said: said["environment"].update(commit="0123"), "by other code or on another machine"),
    "cut short": (lambda said: said.pop("environment"), "no record of a bench"),
}


@pytest.mark.parametrize("kind", CHANGED)
def test_what_was_not_measured_alike_is_begun_anew(
    kind: str, own: Path, begun: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    change, said = CHANGED[kind]
    Until.settings = 1
    assert timed(own) == 130
    (kept,) = (own.parent / "out" / unfinished.FOLDER).iterdir()
    found = json.loads(kept.read_bytes())
    change(found)
    kept.write_text(json.dumps(found))
    capsys.readouterr()
    begun.clear()
    assert timed(own) == 130 and begun == TITLES[:2]
    error = capsys.readouterr().err
    assert said in error and "begun anew" in error


def test_interrupted_before_anything_is_timed_it_leaves_nothing(
    own: Path, begun: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    Until.settings = 0
    assert timed(own) == 130
    assert not (own.parent / "out").exists() and not capsys.readouterr().out


def test_a_command_may_differ() -> None:
    one, other = ({"cpu": "x", "command": command} for command in ("bench latency", "bench ./latency.toml"))
    assert unfinished._alike(one) == unfinished._alike(other) != unfinished._alike({"cpu": "y"})


def test_records_of_before_are_whole() -> None:
    old = records.read(HERE / "latency-cpu.json")
    assert not old.left and old.timings[0].group == old.timings[0].computed == ""
