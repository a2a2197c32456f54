"""A picture is drawn once: again only when what it shows, or what draws it, is another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from harness.render import figures
from harness.report import drawn as pictures
from harness.report.drawn import MOST, drawn
from harness.report.gather import Sight
from harness.requests import Asked, Report
from harness.store.result import Result

STORE = Path(__file__).parents[2] / "results" / "cpu"


@pytest.fixture(scope="module")
def sight() -> Sight:
    from harness.report.gather import gather

    (found,) = gather(Report(asked=Asked(targets=("figure2",), store=STORE, preset="cpu"))).figures
    return found


@pytest.fixture
def times(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """A cache of its own; what was drawn."""
    seen: list[str] = []

    def inline(plan, outcomes, probes):  # type: ignore[no-untyped-def]
        seen.append(plan.table.name)
        return f"<svg>{len(seen)}</svg>", ["a line"], "a,b\n"

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(figures, "inline", inline)
    return seen


def test_it_is_drawn_once_and_comes_back_the_same(sight: Sight, times: list[str]) -> None:
    assert drawn(sight) == drawn(sight) == ("<svg>1</svg>", ["a line"], "a,b\n") and len(times) == 1


def test_what_it_shows_counts(sight: Sight, times: list[str]) -> None:
    drawn(sight)
    (key, outcome), *_ = sight.outcomes.items()
    assert isinstance(outcome, Result)
    curve = msgspec.structs.replace(outcome.curve, test_accuracy=(*outcome.curve.test_accuracy[:-1], 99.0))
    other = dict(sight.outcomes) | {key: msgspec.structs.replace(outcome, curve=curve)}
    drawn(replace(sight, state=replace(sight.state, outcomes=other)))
    drawn(replace(sight, plan=replace(sight.plan, protocol="released")))
    drawn(replace(sight, plan=replace(sight.plan, lines=sight.plan.lines[1:])))
    assert len(times) == 4


def test_what_draws_it_counts(sight: Sight, times: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    drawn(sight)
    monkeypatch.setattr(pictures, "_drawing", lambda: "other code")
    drawn(sight)
    assert len(times) == 2


def test_a_cache_that_is_damaged_or_cannot_be_written_only_costs_time(
    sight: Sight, times: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn(sight)
    (kept,) = (tmp_path / "snn-pictures").iterdir()
    kept.write_bytes(kept.read_bytes()[:20])
    assert drawn(sight).svg == "<svg>2</svg>"
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert drawn(sight).svg == "<svg>3</svg>"


def test_the_oldest_go(sight: Sight, times: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "snn-pictures"
    folder.mkdir()
    for number in range(MOST):
        (folder / f"{number}.json").write_text("{}")
    drawn(sight)
    assert len(list(folder.iterdir())) == MOST and drawn(sight).svg == "<svg>1</svg>"
