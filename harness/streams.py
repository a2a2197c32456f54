"""Where words go: answers to standard output, the rest to standard error; no terminal obeys them, none is lost."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.amounts import duration
from harness.errors import UserError
from harness.printable import SPELLING, printable, printable_lines

if TYPE_CHECKING:
    from harness.render.page import Page


class Unwritten(Exception):
    """Standard output does not take what is said: the disk behind it is full, or its device gone."""


def say(text: object, end: str = "\n") -> None:
    """The answer, on standard output, with nothing in it that a terminal would obey. Raises Unwritten."""
    write(printable_lines(str(text)), end)


def say_pages(pages: Page | Sequence[Page], form: str) -> None:
    from harness.render import render

    write(render(pages, form))  # which may have colours


def write(text: str, end: str = "\n") -> None:
    try:
        print(text, end=end, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise Unwritten((error.strerror or str(error)).lower()) from None


def complain(errors: Iterable[UserError]) -> None:
    """Each problem on a line of standard error."""
    for error in errors:
        for line in str(error).splitlines():
            tell(line)


def tell(line: str) -> None:
    """What was done, on standard error; if that is full, nobody can be told so."""
    with contextlib.suppress(OSError):
        print(f"harness: {printable(line)}", file=sys.stderr, flush=True)


def steps() -> Callable[[str], None]:
    """Says what takes its time, and since when, where somebody watches."""
    began = time.monotonic()

    def step(what: str) -> None:
        if sys.stderr.isatty():
            tell(f"{what} ({duration(time.monotonic() - began)} so far)")

    return step


def open_outputs() -> None:
    """Those that are closed (``>&-``) lead nowhere, or the next file that is opened would take their place; a sign that
    the output's encoding lacks is spelt."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = sys.stdout or _nowhere()
    sys.stderr = sys.stderr or _nowhere()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=SPELLING)


def _nowhere() -> io.TextIOWrapper:
    return Path(os.devnull).open("w")


def say_no_more() -> None:
    """What is still in the buffer would fail once more when Python ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
