"""What is promised of every input, however odd: judged from what was said, written and averaged, not from how."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fuzz.child import CRASHED, HANGS, Outcome

CODES = {0, 1, 2, 130}
LONGEST = 500
"""Characters of a line that somebody is to read."""
SERIES = ("train_loss", "train_accuracy", "test_loss", "test_accuracy", "learning_rate", "seconds")
"""Of a curve, by epoch; what else stands there is from another version, and nobody reads it."""
MACHINES = ("csv", "json", "html", "latex")
"""Formats that a program reads: their lines are as long as they are."""


def broken(argv: list[str], outcome: Outcome) -> Iterator[str]:
    """Promises that were not kept, each as a word and what was seen."""
    if outcome.code == HANGS:
        yield f"hang: after {outcome.seconds:.1f} s of processor"
    elif outcome.code == CRASHED or outcome.code not in CODES:
        yield f"crash: exit code {outcome.code}: {_last(outcome.err)}"
    elif "Traceback (most recent call last)" in outcome.err:
        yield f"crash: a traceback is shown: {_last(outcome.err)}"
    for name, text in (("standard error", outcome.err), ("standard output", outcome.out)):
        machine = name == "standard output" and _for_machines(argv)
        long = [line for line in text.split("\n") if len(line) > LONGEST]
        if long and not machine:
            yield f"long: a line of {len(long[0])} characters on {name}: {long[0][:80]!r}"
        if odd := controls(text.replace("\r\n", "\n") if machine else text):
            yield f"control: {odd[0]!r} on {name}: {_around(text, odd[0])!r}"
    for line in outcome.trespasses:
        if not _typed(argv, line):
            yield f"trespass: {line}"


def controls(text: str) -> list[str]:
    """Characters that a terminal obeys. Bytes that are no text stand as lone surrogates, of which C1 is one."""
    return [c for c in text if c not in "\n\t" and (unicodedata.category(c) in ("Cc", "Cs") or c in "\u2028\u2029")]


def impossible(world: Path, page: str) -> Iterator[str]:
    """Of a table as JSON: means that cannot be, or that more results went into than can be believed."""
    try:
        rows = json.loads(page)["rows"]
    except ValueError:
        yield f"number: the table is no JSON: {page[:80]!r}"
        return
    methods = Counter(filter(None, map(_believable, world.glob("results/runs/*/result.json"))))
    for row in rows:
        mean, std, n = row.get("accuracy"), row.get("std"), row.get("n") or 0
        if mean is not None and not (isinstance(mean, int | float) and 0 <= mean <= 100):
            yield f"number: a mean of {mean}"
        if std is not None and not (isinstance(std, int | float) and 0 <= std <= 71):
            yield f"number: a deviation of {std}"
        if n > (believed := methods[row["method"].lower()]):
            yield f"number: a mean of {n} results of {row['method']}, of which {believed} can be believed"


def _believable(path: Path) -> str | None:
    """The method of a result that agrees with itself and with its recipe: told again here, without the harness."""
    try:
        if not path.is_file() or path.stat().st_size > 1e6:
            return None
        said = json.loads(path.read_bytes(), object_pairs_hook=_once)
        return said["cell"]["method"] if _agrees(said, said["curve"], said["cell"]["recipe"]["epochs"]) else None
    except (OSError, ValueError, KeyError, TypeError, IndexError, RecursionError, AttributeError, OverflowError):
        return None


def _agrees(said: dict[str, Any], curve: dict[str, Any], epochs: int) -> bool:
    test = curve["test_accuracy"]
    best, last, at = said["best_accuracy"], said["last_accuracy"], said["best_epoch"]
    percent = all(0 <= value <= 100 for value in (best, last, *test, *curve["train_accuracy"]))
    lengths = all(len(curve.get(name, ())) in (0, epochs) for name in SERIES)
    own = len(test) == epochs and best == max(test) and last == test[-1] and test[at - 1] == best and at >= 1
    proofs = all(_proved(proof) for proof in said["proofs"])
    return percent and lengths and own and proofs and math.isfinite(said["seconds"]) and said["seconds"] >= 0


def _proved(proof: dict[str, Any]) -> bool:
    wrong = sum(layer["mismatches"] for layer in proof["layers"])
    sane = all(layer["mismatches"] >= 0 and 0 <= layer["spikes"] <= layer["neurons"] for layer in proof["layers"])
    return sane and not (proof["passed"] and proof["exact"] and wrong)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError("a key twice")
    return dict(pairs)


def _typed(argv: list[str], trespass: str) -> bool:
    """Whoever types a place outside has that written to; no file that lies about may say so."""
    words = [word for text in argv for word in text.split("=", 1)]
    return any("../" in word and word in trespass for word in words)


def _for_machines(argv: list[str]) -> bool:
    words = [word for text in argv for word in text.split("=", 1)]
    return any(word in MACHINES for word in words)


def _last(text: str) -> str:
    """What was raised, and where in the harness."""
    lines = [line for line in text.strip().splitlines() if line.strip()]
    places = re.findall(r'File "[^"]*/((?:harness|baselines)/[^"]+)", line (\d+)', text)
    where = f" at {':'.join(places[-1])}" if places else ""
    raised = next((line for line in reversed(lines) if not line.startswith(" ")), "without a word")
    return f"{raised[:160]}{where}"


def _around(text: str, what: str) -> str:
    at = text.index(what)
    return text[max(0, at - 30) : at + 30]
