"""`logs`: the end of what a cell's training printed, what comes, and what its job said if it died before."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import pytest
from fake_slurm import FakeSlurm
from stand_in import make_cell, make_result
from test_printable import unseen
from test_status import claimed, line, submitted

from harness.cli import main
from harness.errors import UserError
from harness.store import Store
from harness.store.claim import Claim
from harness.verbs.tail import BLOCK, MOST, tail


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "runs")
    made.prepare()
    return made


def logs(store: Store, *arguments: str) -> int:
    return main(["logs", *arguments, "--store", str(store.root)])


def written(store: Store, lines: int) -> Path:
    store.announce([make_cell()])
    path = store.log(make_cell())
    path.write_text("".join(f"line {n}\n" for n in range(lines)))
    return path


@pytest.mark.parametrize("name", [make_cell().key, make_cell().key[:7], make_cell().label])
def test_the_end_of_a_log_and_where_it_is(store: Store, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(store, 100)
    assert logs(store, name, "--lines", "2") == 0
    said = capsys.readouterr()
    assert (said.out, said.err) == ("line 98\nline 99\n", f"harness: {path}\n")


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", 3),
        ("one", 3),
        ("one\ntwo\n", 1),
        ("one\ntwo\nthree", 2),
        ("x" * (2 * BLOCK) + "\nend\n", 2),
        ("short\n" * BLOCK, BLOCK // 2),
        ("é" * BLOCK + "\nend\n", 1),
        ("1 %\r2 %\r3 %", 2),
        ("a\r\nb\r\nc\r\n", 2),
    ],
)
def test_a_tail_is_what_splitting_the_whole_gives(tmp_path: Path, text: str, lines: int) -> None:
    path = tmp_path / "log.txt"
    path.write_bytes(text.encode())
    assert tail(path, lines) == ("".join(text.splitlines(keepends=True)[-lines:]), len(text.encode()))


@pytest.mark.parametrize("sign", [b"\r12 %", b"x", b"\n"])
def test_of_a_monstrous_log_the_end_is_read(sign: bytes, tmp_path: Path) -> None:
    """256 MB of a progress bar took minutes, 3 GB of one line 9.4 GB of memory. A hole reads as zeros."""
    path = tmp_path / "log.txt"
    with path.open("wb") as file:
        file.truncate(3 << 30)
        file.seek(0, 2)
        file.write(sign * (8 << 20))
    tracemalloc.start()
    began = time.monotonic()
    text, size = tail(path, 20)
    assert size == path.stat().st_size and len(text) <= MOST
    assert time.monotonic() - began < 5 and tracemalloc.get_traced_memory()[1] < 8 * MOST
    tracemalloc.stop()
    if sign != b"x":
        assert len(text.splitlines()) == 20


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(path := tmp_path / "log.txt")
    with pytest.raises(UserError, match="cannot be read"):
        tail(path, 20)


@pytest.mark.parametrize("verb", ["logs", "show"])
@pytest.mark.parametrize("line", ["9" * 5000, "\0" * 300])
def test_a_line_without_end_is_shown_by_its_ends(
    verb: str, line: str, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    store.write_result(make_result(make_cell()))
    store.log(make_cell()).write_text(f"before\n{line}\nafter\n")
    assert main([verb, make_cell().key, "--store", str(store.root)]) == 0
    said = capsys.readouterr().out
    assert "before\n" in said and "\nafter\n" in said and "…" in said
    assert all(len(text) <= 400 for text in said.splitlines() if str(store.root) not in text)


@pytest.mark.parametrize("verb", ["logs", "show"])
def test_what_a_terminal_would_obey_is_written_out(verb: str, store: Store, capsys) -> None:
    written(store, 1).write_bytes(b"\x1b[2Jgone\x07\xff\r50 %\r60 %\n\xc2\x9b31m\xe2\x80\xae")
    assert main([verb, make_cell().key, "--store", str(store.root)]) == 0
    said = capsys.readouterr().out
    assert not unseen(said) and "\\x1b[2Jgone\\x07" in said and "50 %\n60 %\n" in said


def test_a_job_that_died_before_it_began_the_cell(store: Store, fake: FakeSlurm, capsys) -> None:
    folder = submitted(store, (make_cell(0),), (make_cell(1),))
    (folder / "70_1_0_log.out").write_text("module: command not found\n")
    assert logs(store, make_cell(1).key) == 0
    said = capsys.readouterr()
    assert said.out == "module: command not found\n" and "70_1_0_log.out" in said.err
    assert logs(store, make_cell(0).key) == 1
    said = capsys.readouterr()
    assert said.out == "" and "job 70_0 ended and left no log" in said.err


def test_of_a_job_that_died_on_the_way_both(store: Store, fake: FakeSlurm, capsys) -> None:
    folder = submitted(store, (make_cell(),))
    written(store, 1)
    (folder / "70_0_log.out").write_text("oom\n")
    assert logs(store, make_cell().key) == 0
    assert capsys.readouterr().out == "line 0\noom\n"
    store.write_result(make_result(make_cell()))
    assert logs(store, make_cell().key) == 0
    assert capsys.readouterr().out == "line 0\n"


def test_a_cell_that_waits_says_why(store: Store, fake: FakeSlurm, capsys) -> None:
    submitted(store, (make_cell(),))
    fake.set(queue=[line("70", "PENDING", reason="Priority")])
    assert logs(store, make_cell().key) == 1
    assert "job 70 is pending (Priority); nothing is printed yet" in capsys.readouterr().err


def test_a_cell_that_was_never_begun(store: Store, capsys) -> None:
    store.announce([make_cell()])
    assert logs(store, make_cell().key) == 1
    assert "nothing was ever printed" in capsys.readouterr().err
    assert logs(store, "0123") == 2


def test_a_label_of_several_cells_is_refused_with_their_keys(store: Store, capsys) -> None:
    cells = [make_cell(), make_cell(epochs=4)]
    store.announce(cells)
    assert logs(store, cells[0].label) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and all(cell.key in said for cell in cells)


def test_following_shows_what_comes_and_ends_with_the_cell(store: Store) -> None:
    path = written(store, 3)
    claimed(store, make_cell())
    command = [sys.executable, "-m", "harness", "logs", make_cell().key, "--follow", "--lines", "1"]
    following = subprocess.Popen(
        [*command, "--store", str(store.root)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert following.stdout is not None and following.stdout.readline() == "line 2\n"
    with path.open("a") as file:
        file.write("line 3\n")
    assert following.stdout.readline() == "line 3\n"
    with path.open("a") as file:
        file.write("done\n")
    store.write_result(make_result(make_cell()), Claim(store.folder(make_cell()) / "claim", "7" * 16))
    (store.folder(make_cell()) / "claim").unlink()
    rest, said = following.communicate(timeout=60)
    assert (following.returncode, rest, said) == (0, "done\n", f"harness: {path}\n")


def test_following_a_cell_that_nobody_has_ends_at_once(store: Store, capsys) -> None:
    written(store, 1)
    started = time.monotonic()
    assert logs(store, make_cell().key, "--follow") == 0
    assert time.monotonic() - started < 30 and capsys.readouterr().out == "line 0\n"
