"""A page on terminals of any width, dumb ones too: nothing is left out that a number cannot be read without."""

from __future__ import annotations

import os
import re
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from outcomes import result
from reported import planned

from harness.cli import main
from harness.render import Page, table_page
from harness.render.terminal import terminal


def page_of(name: str) -> Page:
    plan = planned(name)
    page = table_page(plan, {cell.key: result(cell, 60.0 + cell.seed) for cell in plan.cells})
    return replace(page, answer="")


@pytest.fixture(scope="module", params=["table1", "table2", "ambiguities"])
def page(request: pytest.FixtureRequest) -> Page:
    return page_of(request.param)


@pytest.mark.parametrize("width", [20, 40, 56, 60, 72, 80, 100])
def test_the_network_goes_first_and_number_and_timesteps_never(page: Page, width: int) -> None:
    text = terminal(page, width=width, colour=False)
    (head,) = [line.split() for line in text.splitlines() if line.split()[:2] == ["#", "Method"]]
    assert head[2:4] == ["Network", "T"] or (head[2] == "T" and "Network, rows" in text)
    assert width > 40 or head[2] == "T"
    rows = [line.split() for line in text.splitlines() if re.match(r" {0,2}\d+ ", line)]
    assert len(rows) == len(page.lines)
    names = {line.cells[3] for line in page.lines}
    assert all(names & set(row) for row in rows), "every row has its number of timesteps"


@pytest.mark.parametrize("width", [20, 40, 56, 60, 72, 80, 100])
def test_no_word_is_broken(page: Page, width: int) -> None:
    texts = [column.head for column in page.columns] + [cell for line in page.lines for cell in line.cells]
    words = {word for text in texts for word in text.split()}
    table = terminal(page, width=width, colour=False).split("\n\n")[1:]
    shown = {word for part in table if "  ·" not in part and ":" not in part for word in part.split()}
    assert shown <= words | {"CIFAR-10", "CIFAR-100"}, shown - words


@pytest.mark.parametrize("width", [60, 100, 160])
def test_a_dumb_terminal_has_the_width_it_has(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """rich takes 80 columns there, unless it is told the height too."""
    page = page_of("table1")
    clever = terminal(page, width=width, colour=False)
    assert max(map(len, clever.splitlines())) <= width
    monkeypatch.setenv("TERM", "dumb")  # and colours forced: then rich takes it for a terminal
    lines = re.sub(r"\x1b\[[\d;]*m", "", terminal(page, width=width, colour=True)).splitlines()
    assert [line.rstrip() for line in lines] == clever.splitlines()


@pytest.mark.skipif(os.name != "posix", reason="no pseudo terminal")
@pytest.mark.parametrize("behind", ["| cat", "> {file}"])
def test_a_pager_has_the_width_of_its_terminal_and_a_file_has_none(behind: str, tmp_path: Path) -> None:
    import fcntl
    import pty
    import termios

    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 61, 0, 0))
    file = tmp_path / "table.txt"
    command = f"exec {sys.executable} -m harness table table1 --store {tmp_path} {behind.format(file=file)}"
    free = {key: value for key, value in os.environ.items() if key != "COLUMNS"}
    done = subprocess.run(["sh", "-c", command], stdout=subprocess.PIPE, stderr=slave, env=free, text=True, check=False)
    os.close(slave)
    os.close(master)
    longest = max(map(len, (done.stdout or file.read_text()).splitlines()))
    assert longest <= 61 if "cat" in behind else 61 < longest <= 120


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
@pytest.mark.parametrize(
    "typed", ["claims", "list methods", "table table2 --format markdown", "status", "show protocol"]
)
def test_no_encoding_is_a_traceback(typed: str, encoding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "said").open("w", encoding=encoding) as out:
        monkeypatch.setattr("sys.stdout", out)
        store = ["--store", str(tmp_path / "runs")] if typed.split()[0] in ("claims", "table", "status") else []
        assert main([*typed.split(), *store]) in (0, 1)
    assert (tmp_path / "said").read_text(encoding=encoding)
