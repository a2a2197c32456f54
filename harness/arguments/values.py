"""What the value of an option may be. A mistake is a UserError, or argparse's, which becomes one."""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from harness.errors import UserError, did_you_mean

LAST_SEED = 2**32 - 1
"""NumPy takes no larger one."""
MOST_SEEDS = 1000
"""A cell each at least, and a claim of every table two hundred."""
MOST_THREADS = 1024
"""OpenMP dies of more than it can start."""
LARGEST = 10**6
"""Of any other number of something."""
LONGEST = 255
"""Bytes of a name in a path, on every common file system."""

Many = TypeVar("Many", bound=Sequence[int])


class Seeds(argparse.Action):
    """Given again, it adds to what was given before."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        before = () if namespace.seeds is self.default else namespace.seeds
        namespace.seeds = _few(tuple(dict.fromkeys((*before, *values))))


def seeds(text: str) -> tuple[int, ...]:
    """``0,1,2``, ``0-9``, ``0-2,7``."""
    found: dict[int, None] = {}
    for part in text.split(","):
        first, dash, last = part.partition("-")
        ends = [_seed(first, text), _seed(last, text) if dash else _seed(first, text)]
        if ends[0] > ends[1]:
            raise _no_seeds(text)
        found |= dict.fromkeys(_few(range(ends[0], ends[1] + 1)))
    return _few(tuple(found))


def _few(seeds: Many) -> Many:
    if len(seeds) > MOST_SEEDS:
        raise UserError(f"more than {MOST_SEEDS} seeds", "--seeds", "type fewer, such as --seeds 0-9")
    return seeds


def _seed(text: str, given: str) -> int:
    if not text.strip().isdecimal() or len(text) >= 20 or int(text) > LAST_SEED:
        raise _no_seeds(given)
    return int(text)


def _no_seeds(text: str) -> UserError:
    what = f"`{text}` is no list of seeds"
    return UserError(what, "--seeds", f"type whole numbers from 0 to {LAST_SEED}, such as --seeds 0,1,2 or --seeds 0-9")


def one_of(what: str, known: Sequence[str]) -> Callable[[str], str]:
    def check(text: str) -> str:
        if text not in known:
            raise UserError(f"unknown {what} `{text}`", to_type=did_you_mean(text, known))
        return text

    return check


def several_of(kind: Callable[[str], float]) -> Callable[[str], tuple[float, ...]]:
    def read(text: str) -> tuple[float, ...]:
        with contextlib.suppress(ValueError):
            numbers = tuple(kind(part) for part in text.split(","))
            if all(0 < number < LARGEST for number in numbers):
                return numbers
        raise argparse.ArgumentTypeError(f"`{text}` is no list of numbers such as 1,4")

    return read


def names(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


def whole(least: int, most: int = LARGEST) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isdecimal() or len(text) > 20 or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"`{text}` is no number of {least} or more, {most} at most")
        return int(text)

    return read


def seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 1.0 <= value < 1e6:
        raise argparse.ArgumentTypeError(f"`{text}` is no number of seconds from 1 on; tables come before --watch")
    return value


def folder(text: str) -> Path:
    path = Path(text)
    if any(len(os.fsencode(part)) > LONGEST for part in path.parts):
        raise argparse.ArgumentTypeError(f"a name in it is longer than {LONGEST} bytes, which no folder can have")
    return path
