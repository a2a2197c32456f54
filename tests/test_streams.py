"""Standard output and standard error as they may be: closed, full, of an encoding that lacks a sign. No traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

TABLE = ("table", "table1", "--seeds", "0", "--only", "timesteps=1")


def shell(redirected: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """``python -m harness ... REDIRECTED``"""
    command = ["sh", "-c", f'exec "$@" {redirected}', "sh", sys.executable, "-m", "harness", *arguments]
    return subprocess.run(command, capture_output=True, env=os.environ | environment, timeout=120)


@pytest.mark.parametrize("arguments", [("list", "presets"), TABLE, ("status", "--format", "json")], ids=lambda a: a[0])
def test_a_full_output_is_one_line_and_1(arguments: tuple[str, ...]) -> None:
    done = shell(">/dev/full", *arguments)
    assert done.returncode == 1
    assert done.stderr == b"harness: standard output: cannot be written (no space left on device)\n"


@pytest.mark.parametrize(
    ("redirected", "arguments", "code"),
    [
        (">&-", ("list", "presets"), 0),
        (">&- 2>&-", ("list", "presets"), 0),
        ("<&- >&- 2>&-", TABLE, 1),
        ("2>&-", ("list", "preset"), 2),
        ("2>/dev/full", ("list", "preset"), 2),
        ("2>/dev/full >/dev/full", ("list", "presets"), 1),
        ("| head -c 1", ("list", "presets"), 0),
        (">/dev/full", ("--help",), 1),
    ],
)
def test_a_closed_or_full_one_changes_no_exit_code(redirected: str, arguments: tuple[str, ...], code: int) -> None:
    done = shell(redirected, *arguments)
    assert done.returncode == code and b"Traceback" not in done.stderr and b"Exception" not in done.stderr


def test_no_file_takes_the_place_of_a_closed_output(tmp_path) -> None:  # type: ignore[no-untyped-def]
    """What is printed would go into it."""
    done = shell(">&- 2>&-", "export", "table1", "--format", "latex", "--out", str(tmp_path))
    written = (tmp_path / "table1.tex").read_text()
    assert done.returncode == 0 and written.startswith("\\begin{table*}") and written.endswith("\\end{table*}\n")


@pytest.mark.parametrize(
    ("encoding", "form"),
    [*(("ascii", form) for form in ("terminal", "markdown", "latex", "csv", "json", "html")), ("cp1252", "terminal")],
)
def test_an_output_may_lack_signs(encoding: str, form: str) -> None:
    done = shell("", *TABLE, "--format", form, PYTHONIOENCODING=encoding, PYTHONUTF8="0")
    assert done.returncode == 1 and b"Traceback" not in done.stderr
    text = done.stdout.decode(encoding)
    assert ("\\u" not in text and "\\x" not in text) or form == "json"
    if form == "json":
        assert json.loads(text)["title"].startswith("Table 1 · MPBN")


@pytest.mark.skipif(os.name != "posix", reason="no pseudo terminal")
def test_what_takes_its_time_is_said_on_a_terminal_alone(tmp_path) -> None:  # type: ignore[no-untyped-def]
    import pty

    typed = [sys.executable, "-m", "harness", "report", "table1", "--store", str(tmp_path), "--bench", str(tmp_path)]
    typed += ["--out", str(tmp_path / "r.html")]
    master, slave = pty.openpty()
    subprocess.run(typed, stdout=subprocess.DEVNULL, stderr=slave, timeout=120, check=True)
    os.close(slave)
    assert b"harness: reading what is recorded (" in os.read(master, 4096)
    os.close(master)
    quiet = subprocess.run(typed, capture_output=True, timeout=120, check=True)
    assert quiet.stderr == b""
