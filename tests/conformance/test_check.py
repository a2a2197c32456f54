"""`check FILE`: what it finds of a whole method and of broken ones, of tables that resolve and that do not."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny import write_tiny

from baselines import METHODS
from harness import plugins
from harness.cli import main

STEPS = ["key", "builds", "one step", "trains", "resumes", "folds", "exports"]
HEAD = """from dataclasses import dataclass, replace
import torch
from torch import nn
from baselines import METHODS
from baselines.method import Method
from baselines.methods.mpbn import MPBN
from baselines.parts.surrogates import STE
from baselines.parts.neurons import LIF
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for method in METHODS:
        METHODS.get(method)
    monkeypatch.setattr(METHODS, "_entries", dict(METHODS._entries))
    monkeypatch.setattr(plugins, "_LOADED", {})
    monkeypatch.chdir(tmp_path)


def checked(body: str, capsys: pytest.CaptureFixture[str], code: int) -> dict[str, tuple[str, str]]:
    """Step -> (how it ended, what was said)."""
    Path("mine.py").write_text(HEAD + body)
    assert main(["check", "mine.py"]) == code
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    found = {}
    for state, rest in lines:
        what = next(step for step in ("registers", *STEPS) if rest.startswith(step))
        found[what] = state, rest.removeprefix(what).strip()
    return found


def test_a_method_that_does_all(capsys: pytest.CaptureFixture[str]) -> None:
    found = checked('METHODS.register("mine", replace(MPBN, surrogate=STE()))\n', capsys, 0)
    assert list(found) == ["registers", *STEPS] and {state for state, _ in found.values()} == {"ok"}
    assert found["registers"][1] == "mine" and "the same bits" in found["resumes"][1]
    assert "mpbn-threshold 0 spikes differ" in found["folds"][1] and ": 0 of " in found["exports"][1]
    assert not list(Path().glob("results*")), "nothing of it is kept"


BROKEN = """
@dataclass(frozen=True)
class Odd:
    def derivative(self, z, v_th):
        return z.no_such_thing()
METHODS.register("mine", Method(surrogate=Odd()))
"""


def test_an_error_in_the_file_is_told_with_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    found = checked(BROKEN, capsys, 1)
    state, said = found["one step"]
    assert state == "FAILED" and "no attribute 'no_such_thing'" in said
    assert said.endswith("(mine.py:13: return z.no_such_thing())")
    assert [found[step] for step in STEPS[3:]] == [("-", "")] * 4


IDLE = """
class Extra(nn.BatchNorm2d):
    def __init__(self, channels):
        super().__init__(channels)
        self.idle = nn.Parameter(torch.zeros(channels))
@dataclass(frozen=True)
class Idle:
    def build(self, channels, timesteps, v_th, branches):
        return Extra(channels)
METHODS.register("mine", Method(normalisation=Idle()))
"""


def test_a_parameter_that_learns_nothing_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    state, said = checked(IDLE, capsys, 1)["one step"]
    assert state == "FAILED" and said.startswith("no gradient reaches ") and "idle" in said


FORGETFUL = """
class Counting(nn.BatchNorm2d):
    seen = 0
    def forward(self, x):
        self.seen += self.training
        return super().forward(x) * (1 + 0.01 * self.seen)
@dataclass(frozen=True)
class Forgetful:
    def build(self, channels, timesteps, v_th, branches):
        return Counting(channels)
METHODS.register("mine", Method(normalisation=Forgetful()))
"""


def test_a_state_that_no_checkpoint_has_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    state, said = checked(FORGETFUL, capsys, 1)["resumes"]
    assert state == "FAILED" and said.startswith("ends otherwise than undisturbed")


def test_tables(capsys: pytest.CaptureFixture[str]) -> None:
    table, *protocol = write_tiny(Path())
    assert main(["check", table, *protocol]) == 0
    out = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in out] == [["ok", "names"], ["ok", "cells"], ["ok", "recipes"]]
    assert "6 of 2 rows, protocol tiny" in out[1]
    Path("tiny.toml").write_text(Path("tiny.toml").read_text().replace("mpbn", "mpnb").replace("vgg11", "vgg1l"))
    assert main(["check", table, *protocol]) == 1
    out = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in out] == ["FAILED"] * 3 + ["-"] * 2 and "did you mean `mpbn`?" in out[1]
    text = Path("protocol.toml").read_text().replace('"crop", "flip"', '"corp"')
    Path("protocol.toml").write_text(text)
    write_again = write_tiny(Path(), protocol=text)
    assert main(["check", *write_again]) == 1
    assert (
        "FAILED  recipes    tiny: row 1: unknown augmentation `corp`; did you mean `crop`?" in capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("table1", "`table1` is neither a table nor a method; give FILE.toml or FILE.py"),
        ("none.py", "none.py: no such file"),
        ("none.toml", "no table or figure file `none.toml`"),
    ],
)
def test_what_is_no_such_file_is_one_line_and_2(given: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", given]) == 2
    out, error = capsys.readouterr()
    assert not out and said in error and error.count("\n") == 1
