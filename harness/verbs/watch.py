"""A report that is shown again and again, in place on a terminal, one below another on a pipe, until all is over."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime

Look = Callable[[], tuple[str, bool]]
"""-> (the report, whether there is more to come)."""


def watch(look: Look, every: float, say: Callable[[str], None]) -> None:
    """Show the report every so many seconds, and for the last time when nothing is to come any more."""
    if sys.stdout.isatty():
        _in_place(look, every)
    else:
        for text in _looks(look, every):
            say(text)


def _looks(look: Look, every: float) -> Iterator[str]:
    going = True
    while going:
        text, going = look()
        yield text
        if going:
            time.sleep(every)


def _in_place(look: Look, every: float) -> None:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    text = ""
    with Live(console=Console(), auto_refresh=False) as live:
        for text in _looks(look, every):
            now = f"{datetime.now():%H:%M:%S}, every {every:g} s; Ctrl-C leaves, and stops nothing"
            live.update(Text(f"{text}\n\n{now}"), refresh=True)
        live.update(Text(text), refresh=True)
