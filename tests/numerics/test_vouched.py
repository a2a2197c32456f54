"""The lock speaks of the code that is here, the traces of what it computes, and neither can be moved in silence."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import msgspec
import pytest

from baselines.kernels import compiled
from baselines.kernels.traced import layers
from harness.identity import vouched

sys.path.insert(0, str(Path(__file__).parent))
import traces  # type: ignore[import-not-found]
import vouch  # type: ignore[import-not-found]

KEPT = json.loads(vouch.TRACES.read_text())
TRIED = ("method mpbn", "method vanilla", "architecture vgg11", "surrogate tanh", "recipe adam", "dataset digits")
"""Computed again in every run, on whatever machine and torch; the others where their files change."""


def test_every_file_that_computes_numbers_is_vouched_for() -> None:
    lock = msgspec.json.decode(vouched.LOCK.read_bytes(), type=vouched.Vouched)
    stale = {
        path
        for path in lock.files.keys() | vouched.hashes().keys()
        if lock.files.get(path) != vouched.hashes().get(path)
    }
    assert not stale, f"{sorted(stale)}: type `make vouch`"


def test_every_entry_has_a_trace_in_which_something_happens() -> None:
    assert {name for name, _ in traces.everything()} == KEPT["traces"].keys(), "type `make vouch`"
    for name, trace in KEPT["traces"].items():
        assert all(map(math.isfinite, trace)) and all(trace), name


@pytest.mark.parametrize("name", TRIED)
def test_the_numbers_are_those_that_were_vouched_for(name: str) -> None:
    compute = dict(traces.everything())[name]
    assert vouch.same(KEPT["traces"][name], compute())


def test_bits_are_those_of_this_kind_of_machine() -> None:
    known = KEPT["bits"].get(traces.machine())
    if known is None:
        pytest.skip(f"no trace is of {traces.machine()}")
    assert traces.bits("mpbn") == known["method mpbn"]
    if "recipe one pass" in known:
        assert traces.bits("mpbn", one_pass=True) == known["recipe one pass"] != known["method mpbn"]


def test_a_number_that_moved_is_seen_and_one_that_only_rounds_is_not() -> None:
    assert vouch.same([1.0, 1e6], [1.0 + 1e-12, 1e6 + 1e-5])
    for other in ([1.0 + 1e-8], [math.nan], [-1.0], [1.0, 1.0]):
        assert not vouch.same([1.0], other)
    assert vouch.moved({"a": [1.0], "b": [2.0], "gone": [3.0]}, {"a": [1.0], "b": [2.1], "new": [4.0]}) == ["b"]


@pytest.mark.parametrize(
    ("raised", "left"),
    [
        ([], ["method mpbn", "recipe adam"]),
        (["mpbn"], ["recipe adam"]),
        (["adam"], ["method mpbn", "recipe adam"]),
        (["all"], []),
    ],
)
def test_what_moved_must_be_raised_by_the_name_whose_keys_it_changes(raised: list[str], left: list[str]) -> None:
    assert vouch.unraised(["method mpbn", "recipe adam"], raised) == left


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, list[float]]:
    """Two traces, of this machine, in files of their own."""
    computed = {"method mpbn": [1.0], "recipe adam": [2.0]}
    monkeypatch.setattr(traces, "everything", lambda: [(name, lambda n=name: computed[n]) for name in computed])
    monkeypatch.setattr(
        traces, "bits", lambda method, **change: str(computed["method mpbn"]) if method == "mpbn" and not change else ""
    )
    monkeypatch.setattr(vouch, "TRACES", tmp_path / "traces.json")
    monkeypatch.setattr(vouched, "LOCK", tmp_path / "vouched.json")
    assert vouch.main([]) == 0
    return computed


def test_a_change_is_refused_until_it_is_raised(
    small: dict[str, list[float]], capsys: pytest.CaptureFixture[str]
) -> None:
    before = vouched.LOCK.read_bytes()
    assert vouch.main([]) == 0 and vouched.LOCK.read_bytes() == before
    small["method mpbn"] = [1.1]
    assert vouch.main([]) == 1 and vouched.LOCK.read_bytes() == before
    assert "moved:\n  method mpbn" in capsys.readouterr().err
    assert vouch.main(["--raise", "mpbn"]) == 0
    small["method mpbn"] = [1.2]
    assert vouch.main(["--raise", "mpbn"]) == 0
    assert json.loads(vouched.LOCK.read_text())["raised"] == {"mpbn": 2}
    assert vouch.main([]) == 0


def test_rounding_alone_is_refused_too_on_a_machine_that_is_known(
    small: dict[str, list[float]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(traces, "bits", lambda method, **_: "other")
    assert vouch.main([]) == 1 and "bits of float32" in capsys.readouterr().err
    monkeypatch.setattr(traces, "machine", lambda: "another")
    assert vouch.main([]) == 0 and "bits not compared" in capsys.readouterr().err


@pytest.mark.skipif(compiled.library() is None, reason="no C compiler here")
@pytest.mark.parametrize("method", ["plif", "im-loss", "ottt"])
def test_kernels_made_of_a_recording_change_no_bit_of_a_training(method: str) -> None:
    """They take over in the middle of a cell, whenever they are ready."""
    looped = traces.bits(method)
    layers.forget()
    with layers.at_once():
        assert traces.bits(method) == looped
    assert layers._known and all(known.ready for known in layers._known.values())
    layers.forget()
