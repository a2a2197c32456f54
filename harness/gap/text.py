"""A log as text: lines in which a pattern finds numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from harness.errors import UserError
from harness.gap.log import Log, by_epoch, percent

KNOWN = (
    r"(?:test|val(?:idation)?)[ _.-]?(?:top-?1[ _]?)?acc(?:uracy)?1?[^0-9\n-]{0,12}(?P<accuracy>\d+(?:\.\d+)?)",
    r"epoch (?P<epoch>\d+)/\d+: (?P<accuracy>\d+(?:\.\d+)?) %",
    r"acc(?:uracy)?1?[^0-9\n-]{0,6}(?P<accuracy>\d+(?:\.\d+)?)",
)
"""What is tried in turn where no pattern is given."""
EPOCH = re.compile(r"epoch\D{0,4}(\d+)", re.I)
RATE = re.compile(r"(?:\blr\b|learning.?rate)[^0-9\n]{0,4}(\d+(?:\.\d*)?(?:e[+-]?\d+)?)", re.I)
TOLD = re.compile(r"\b(?:T|time_?steps?)\b\W{0,3}(\d{1,4})\b", re.I)
BEST = re.compile(r"best|max", re.I)
LONGEST_LINE = 2000
"""Characters of a line that are looked at."""


def read(text: str, path: Path, pattern: str = "") -> Log:
    """Raises UserError for a pattern that is none, or has no group `accuracy`, and where nothing is found."""
    for each in [pattern] if pattern else KNOWN:
        found = list(_matches(text, _compiled(each), own=bool(pattern)))
        if found:
            break
    else:
        advice = r"give --pattern 'epoch (?P<epoch>\d+) .* acc (?P<accuracy>[\d.]+)'"
        raise UserError("no line says a test accuracy", str(path), advice)
    rates = [(epoch, rate) for epoch, _, rate in found if rate is not None]
    told = TOLD.search(text[: 100 * LONGEST_LINE])
    return Log(
        kind="text",
        first=min(epoch for epoch, _, _ in found),
        accuracy=percent(by_epoch([(epoch, accuracy) for epoch, accuracy, _ in found])),
        rates=by_epoch(rates) if len(rates) == len(found) else (),
        timesteps=int(told[1]) if told else None,
        columns={"accuracy": pattern or "a line that says it"},
    )


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        made = re.compile(pattern, re.I)
    except re.error as error:
        raise UserError(f"is no regular expression ({error})", "--pattern", "see Python's re") from None
    if "accuracy" not in made.groupindex:
        raise UserError("has no group called accuracy", "--pattern", r"write (?P<accuracy>[\d.]+) where it stands")
    return made


def _matches(text: str, pattern: re.Pattern[str], *, own: bool) -> Iterator[tuple[int, float, float | None]]:
    """(epoch, accuracy, rate or None); a line that tells the best so far is not of its epoch."""
    number, said = 0, None
    for line in (line[:LONGEST_LINE] for line in text.splitlines()):
        epoch = EPOCH.search(line)
        said = int(epoch[1]) if epoch else said
        match = pattern.search(line)
        if match is None or (not own and BEST.search(line[: match.start("accuracy")])):
            continue
        groups = match.groupdict()
        at = int(_number(groups["epoch"])) if groups.get("epoch") else said if said is not None else number
        rate = RATE.search(line)
        yield at, _number(groups["accuracy"]), float(rate[1]) if rate else None
        number += 1


def _number(text: str) -> float:
    try:
        return float(text)
    except (TypeError, ValueError):
        raise UserError(f"finds {text!r} for a number", "--pattern", "let its groups hold numbers") from None
