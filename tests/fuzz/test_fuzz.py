"""The fuzzer in short, and that it would notice: each promise is broken once, and every word it types is known."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fuzz import commands, oracle, run, scratch
from fuzz.child import CRASHED, HANGS, Outcome
from stand_in import make_cell

from harness.store import Store

SHORT = 30
FINE = Outcome(0, "all is well\n", "", (), 0.1)
LINE = ["table", "tiny.toml"]


def fuzz(*arguments: object, kept: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, run.__file__, *map(str, arguments), "--jobs", "2", "--keep", str(kept)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def test_odd_lines_in_odd_worlds_keep_every_promise(tmp_path: Path) -> None:
    done = fuzz("--count", SHORT, "--seed", 0, kept=tmp_path / "kept")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{SHORT} inputs" in done.stdout and "every promise was kept" in done.stdout


def test_who_climbs_the_fence_is_seen(tmp_path: Path) -> None:
    """A plugin that does what a store must never bring about; none of it happens."""
    victim = tmp_path / "victim"
    attempts = (
        f"open({str(victim)!r}, 'w')",
        f"__import__('os').mkdir({str(victim)!r})",
        "__import__('os').kill(1, 15)",
        "__import__('subprocess').run(['touch', 'x'])",
        "__import__('socket').create_connection(('127.0.0.1', 9))",
        "__import__('pickle').loads(b'cposix\\nmkdir\\n.')",
        "print('\\x1b[2J' + 'x' * 600)",
    )
    lines = [f"try:\n    {attempt}\nexcept Exception:\n    pass\n" for attempt in attempts]
    (tmp_path / "mine.py").write_text("".join(lines))
    argv = ["list", "methods", "--plugin", "mine.py"]
    (tmp_path / "input.json").write_text(json.dumps({"argv": argv, "done": {"mine.py": "by hand"}}))
    done = fuzz("--again", tmp_path, kept=tmp_path)
    assert done.returncode == 1 and not victim.exists(), done.stderr
    seen = [line.split(":")[1].strip() for line in done.stdout.splitlines() if line.startswith("trespass")]
    assert seen == ["open", "os.mkdir", "os.kill", "subprocess.Popen", "socket.connect", "pickle.find_class"]
    assert "control: '\\x1b'" in done.stdout and "long: a line of" in done.stdout


@pytest.mark.parametrize(
    ("outcome", "word"),
    [
        (Outcome(CRASHED, "", "Traceback (most recent call last):\nKeyError: 'x'\n", (), 0.1), "crash"),
        (Outcome(1, "", "Traceback (most recent call last):\n", (), 0.1), "crash"),
        (Outcome(-11, "", "", (), 0.1), "crash"),
        (Outcome(HANGS, "", "", (), 6.0), "hang"),
        (Outcome(2, "", "x" * 501, (), 0.1), "long"),
        (Outcome(0, "a\x1b[31m", "", (), 0.1), "control"),
        (Outcome(0, "", "a\rb", (), 0.1), "control"),
        (Outcome(0, "\x9b31m", "", (), 0.1), "control"),
        (Outcome(0, "", "", ("open: /x",), 0.1), "trespass"),
    ],
    ids=str,
)
def test_a_broken_promise_is_told(outcome: Outcome, word: str) -> None:
    assert [line.partition(":")[0] for line in oracle.broken(LINE, outcome)] == [word]
    assert not list(oracle.broken(LINE, FINE))


def test_whoever_types_a_place_outside_may_have_it() -> None:
    there = Outcome(1, "", "", ("os.mkdir: /world/../../outside/x",), 0.1)
    assert not list(oracle.broken(["publish", "../../outside/x"], there))
    assert [line.partition(":")[0] for line in oracle.broken(["publish", "x"], there)] == ["trespass"]


def test_a_program_may_read_long_lines() -> None:
    assert not list(oracle.broken([*LINE, "--format", "json"], Outcome(0, "x" * 9999, "", (), 0.1)))


WRONG: dict[str, dict[str, Any]] = {
    "too much": {"best_accuracy": 250.0},
    "another than its curve's": {"best_accuracy": 3.0},
    "of another epoch": {"best_epoch": 99},
    "before it began": {"seconds": -1.0},
}


@pytest.mark.parametrize("how", ["", *WRONG])
def test_a_number_that_cannot_be_is_told(tmp_path: Path, how: str) -> None:
    cell = make_cell()
    store = Store(tmp_path / "results/runs")
    store.write_result(scratch.result_of(cell, 80.0))
    path = store.folder(cell) / "result.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | WRONG.get(how, {})))
    page = json.dumps({"rows": [{"method": "vanilla", "accuracy": 80.0, "std": None, "n": 1}]})
    told = list(oracle.impossible(tmp_path, page))
    assert bool(told) == bool(how) and all(line.startswith("number: a mean of 1 results") for line in told)
    page = json.dumps({"rows": [{"method": "vanilla", "accuracy": 132.13, "std": 102.09, "n": 0}]})
    assert list(oracle.impossible(tmp_path, page)) == ["number: a mean of 132.13", "number: a deviation of 102.09"]


def test_every_option_has_values() -> None:
    """A verb or an option that is new is tried from then on; a new word of the help wants values that fit it."""
    every = [action for parser in commands.verbs().values() for action in commands.options(parser)]
    missing = {commands.word(action) for action in every if action.nargs != 0} - set(commands.VALUES)
    assert not missing and len(every) > 60


def test_every_verb_and_option_comes_up() -> None:
    from random import Random

    lines = [commands.command(Random(number)) for number in range(4000)]
    words = {word.partition("=")[0] for line in lines for word in line}
    for verb, parser in commands.verbs().items():
        wanted = {verb} | {action.option_strings[0] for action in commands.options(parser) if action.option_strings}
        assert not wanted - words, verb


def test_an_input_is_its_seed_and_its_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the byte, in the world that it leaves; and every kind of file lies there."""
    monkeypatch.chdir(tmp_path)
    ground = run.Ground(tmp_path)
    ground.outside.mkdir()
    scratch.build(ground.template)
    monkeypatch.chdir(tmp_path)
    assert all(scratch.of_kind(ground.template, kind) for kind in scratch.KINDS)
    before = contents(ground.template)
    for number in (1, 2, 3, 4):
        first, world = run.make(ground, 7, number), contents(ground.world)
        assert run.make(ground, 7, number) == first and contents(ground.world) == world
        assert set(first.done) <= {name for name in {*before, *world} if before.get(name) != world.get(name)} | {""}
    assert contents(ground.template) == before


def contents(root: Path) -> dict[str, bytes | str]:
    found: dict[str, bytes | str] = {}
    for path in root.rglob("*"):
        name = str(path.relative_to(root))
        if path.is_symlink():
            found[name] = str(path.readlink())
        elif path.is_file() and path.stat().st_size < 10 << 20 and os.access(path, os.R_OK):
            found[name] = path.read_bytes().replace(str(root).encode(), b"ROOT")
        else:
            found[name] = oct(path.stat().st_mode)
    return found
