"""`bench --plugin`: a neuron of a user's own file, timed beside the baseline, with what computed it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from baselines import METHODS
from baselines.kernels import compiled
from baselines.kernels.traced import layers
from harness import plugins, sources
from harness.cli import main
from harness.measure import bench, records, training
from harness.measure.computed import RECORDED
from harness.measure.spec import LOOP

MINE = """
import torch
from dataclasses import replace
from baselines import METHODS
from baselines.parts.neurons import LIF

def charge(v, x):
    return x + torch.where(v > 0, 0.3 * v, 0.1 * v)

METHODS.register("mine", replace(METHODS.get("vanilla"), neuron=replace(LIF, charge=charge, reset=lambda u, s: u - s)))
"""
SMALLEST = ["--width", "0.0625", "--timesteps", "2", "--batch", "2", "--rounds", "2", "--method", "mine"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """What is registered is forgotten, and drawn is nothing."""
    for method in METHODS:
        METHODS.get(method)
    monkeypatch.setattr(METHODS, "_entries", dict(METHODS._entries))
    for module in (plugins, sources):
        monkeypatch.setattr(module, "_LOADED", {})
    monkeypatch.setattr("harness.render.bench.write", lambda *of: [])
    layers.forget()
    yield tmp_path
    layers.forget()


def timed(here: Path, name: str, text: str = MINE) -> int:
    """`bench NAME --plugin mine.py`, in the smallest network."""
    (here / "mine.py").write_text(text)
    return main(["bench", name, "--plugin", str(here / "mine.py"), *SMALLEST, "--out", str(here / "out")])


@pytest.mark.skipif(compiled.library() is None, reason="no C compiler here")
def test_a_neuron_of_ten_lines_is_on_the_fast_path_and_the_bench_says_so(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(MINE.strip().splitlines()) <= 10
    assert timed(here, "overhead") == 0
    told = capsys.readouterr().out
    assert f"19 × {RECORDED}" in told and "No layer of neurons is computed by a Python loop" in told
    found = records.read(here / "out" / "overhead-cpu.json")
    assert {t.computed for t in found.timings if t.subject == "mine"} == {f"19 × {RECORDED}"}
    assert found.environment["command"].startswith("python -m harness bench overhead --plugin mine.py")


@pytest.mark.skipif(compiled.library() is None, reason="no C compiler here")
def test_why_a_neuron_stays_in_the_loop(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert timed(here, "overhead", MINE.replace("0.1 * v", "0.1 * v + 0 * torch.ones(1)")) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert f"19 × {LOOP} (a tensor that is made on its own)" in told
    assert "By a Python loop over the timesteps: mine (1 of 2)." in told


def test_an_implementation_that_has_no_such_neuron_is_left_out(here: Path) -> None:
    (here / "mine.py").write_text(MINE)
    plugins.load_plugins([str(here / "mine.py")])
    told = list[str]()
    for name in ("released semantics", "SpikingJelly"):
        assert not training._is_here(name, "mine", "resnet20", told.append)
        assert f"mine without {name}: it knows leaky neurons" in told[-1]
    assert training._is_here("released semantics", "vanilla", "resnet20", told.append) and len(told) == 2


def test_the_record_tells_the_code_of_a_users_method(here: Path) -> None:
    """So that what was interrupted is not gone on with by another."""
    found = []
    for text in (MINE, MINE, MINE.replace("0.3", "0.4")):
        plugins._LOADED.clear()
        sources._LOADED.clear()
        METHODS._entries.pop("mine", None)
        (here / "mine.py").write_text(text)
        plugins.load_plugins([str(here / "mine.py")])
        asked = bench.narrowed(bench.load("overhead"), {"method": ("mine",)}, 2)
        found.append(bench._of_a_user(asked))
    assert found[0] == found[1] != found[2] and list(found[0]) == ["methods"] and list(found[0]["methods"]) == ["mine"]
    assert bench._of_a_user(bench.narrowed(bench.load("overhead"), {"method": ("mpbn",)}, 2)) == {}
    json.dumps(found)


def test_a_bench_of_ones_own_names_what_is_there(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (bench.folder() / "training.toml").read_text()
    for old, new, said in (
        ('method = ["mpbn"]', 'method = ["mpnb"]', "grid 1: unknown method `mpnb`; did you mean `mpbn`?"),
        ('architecture = ["resnet20"]', 'architecture = ["resnet21"]', "grid 1: unknown architecture `resnet21`"),
    ):
        (here / "own.toml").write_text(text.replace(old, new, 1))
        assert main(["bench", str(here / "own.toml")]) == 2
        assert said in capsys.readouterr().err
