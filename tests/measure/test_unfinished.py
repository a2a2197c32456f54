"""A bench that is interrupted shows what it has, and goes on from there when the same is asked for again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.cli import main
from harness.measure import bench, latency, records, unfinished
from harness.measure.spec import Benched
from harness.statements.recorded import recorded

ASKED = ("--architecture", "resnet20", "--width", "0.0625", "--timesteps", "1,2,4", "--batch", "1", "--rounds", "2")


@pytest.fixture
def cut(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], list[str]]:
    """Ctrl-C when so many settings have begun; the settings that were timed."""

    def set_up(after: int) -> list[str]:
        begun: list[str] = []
        take = latency.judged

        def judged(setting: Any, *rest: Any, **more: Any) -> Any:
            begun.append(setting.title)
            if len(begun) > after:
                raise KeyboardInterrupt
            return take(setting, *rest, **more)

        monkeypatch.setattr(latency, "judged", judged)
        return begun

    return set_up


def timed(folder: Path, *more: str) -> int:
    return main(["bench", "latency", *ASKED, "--out", str(folder), *more])


def test_what_it_has_is_shown_and_gone_on_with(
    tmp_path: Path, cut: Callable[[int], list[str]], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cut(2)
    assert timed(tmp_path) == 130
    out, error = capsys.readouterr()
    assert "T = 1" in out and "T = 2" in out and "Interrupted; not timed: resnet20, width 0.0625, T = 4" in out
    assert "1 left, what is timed is kept: type the same again to go on from there" in error
    assert recorded(tmp_path) == ((), ()), "no record yet"
    (kept,) = (tmp_path / unfinished.FOLDER).iterdir()
    first = records.read(kept)
    assert main(["bench", str(kept), "--format", "csv"]) == 0 and "A/A control" in capsys.readouterr().out
    for drawn in set(kept.parent.iterdir()) - {kept}:
        drawn.unlink()

    monkeypatch.undo()
    again = cut(9)
    assert timed(tmp_path) == 0
    assert again == ["resnet20, width 0.0625, T = 4, batch 1"]
    (whole,) = recorded(tmp_path)[0]
    assert whole.timings[: len(first.timings)] == first.timings and not whole.left and whole.asked is None
    assert {t.setting.timesteps for t in whole.timings} == {1, 2, 4}
    assert "1 of 3 are left" in capsys.readouterr().err and not kept.parent.exists()


def test_growth_is_gone_on_with_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings come first, then what grows."""
    whole = bench.load("training")
    told: list[str] = []

    def tell(line: str) -> None:
        told.append(line)
        if len(told) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("harness.measure.training._take", lambda *of: timings_of_a_record())
    monkeypatch.setattr("harness.measure.training._growth", lambda *of: ())
    small = bench.narrowed(whole, {}, 2)
    cut = bench.run(small, 1, tell, tmp_path)
    assert len(cut.timings) == 2 and cut.targets == () and cut.left[-1] == "growth over width"
    done = bench.run(small, 1, told.append, tmp_path)
    assert len(done.timings) == len([name for name in cut.left if "growth" not in name]) + 2 and done.left == ()


def timings_of_a_record() -> Any:
    return records.read(Path(__file__).parents[2] / "results" / "bench" / "training-cpu.json").timings[:1]


CHANGED: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "another bench": (lambda said: said["asked"].update(rounds=7), "another bench of this name"),
    "other code": (lambda said: said["environment"].update(commit="0123"), "by other code or on another machine"),
    "cut short": (lambda said: said.pop("environment"), "no record of a bench"),
}


@pytest.mark.parametrize("kind", CHANGED)
def test_what_was_not_measured_alike_is_begun_anew(
    kind: str, tmp_path: Path, cut: Callable[[int], list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    change, said = CHANGED[kind]
    begun = cut(1)
    assert timed(tmp_path) == 130
    (kept,) = (tmp_path / unfinished.FOLDER).iterdir()
    found = json.loads(kept.read_bytes())
    change(found)
    kept.write_text(json.dumps(found))
    capsys.readouterr()
    begun.clear()
    assert timed(tmp_path) == 130
    assert begun[0] == "resnet20, width 0.0625, T = 1, batch 1"
    error = capsys.readouterr().err
    assert said in error and "begun anew" in error


def test_interrupted_before_anything_is_timed_it_leaves_nothing(
    tmp_path: Path, cut: Callable[[int], list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    cut(0)
    assert timed(tmp_path) == 130
    assert not list(tmp_path.iterdir()) and not capsys.readouterr().out


def test_a_command_may_differ(tmp_path: Path) -> None:
    one, other = ({"cpu": "x", "command": command} for command in ("bench latency", "bench ./latency.toml"))
    assert unfinished._alike(one) == unfinished._alike(other) != unfinished._alike({"cpu": "y"})


def test_records_of_before_are_whole() -> None:
    old = records.read(Path(__file__).parents[2] / "results" / "bench" / "latency-cpu.json")
    assert isinstance(old, Benched) and not old.left and old.timings[0].group == old.timings[0].computed == ""
