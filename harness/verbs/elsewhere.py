"""A store that has nothing of what is asked for may have it under another preset or protocol, or of other seeds."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from harness import tables
from harness.errors import UserError
from harness.identity.code import stamping
from harness.plan import Plan, data_of, parse_only, plan
from harness.requests import Asked
from harness.store import Store
from harness.verbs.session import PROTOCOL, context_for

Change = Mapping[str, str]
"""Option -> what it is to be; empty: to be left out."""


def told(asked: Asked, plans: Sequence[Plan], store: Store) -> tuple[UserError, ...]:
    """Where no cell of `plans` was ever begun, but cells of the same rows were: a line that says what to type."""
    if any(store.cell(cell.key) is not None for made in plans for cell in made.cells):
        return ()
    found = next(_others(asked, plans, store), None)
    if found is None:
        return ()
    change, count = found
    by = ", ".join(f"{option} {value}" if value else f"no {option}" for option, value in change.items())
    what = f"nothing is here as asked for, but {count} cell{'s' * (count > 1)} with {by}"
    return (UserError(what, str(asked.store), f"type: {_typed(asked.words, change)}"),)


def _others(asked: Asked, plans: Sequence[Plan], store: Store) -> Iterator[tuple[Change, int]]:
    """What to change, least of it first, and how many cells of the store are shown then."""
    if not (begun := store.begun):
        return
    keys, only, identify, stamp = {cell.key for cell in begun}, parse_only(asked.only), data_of(begun), stamping()
    presets = dict.fromkeys([asked.preset, *tables.preset_names(), None])
    protocols = dict.fromkeys([asked.protocol or PROTOCOL, *tables.protocol_names()])
    seeds = dict.fromkeys([asked.seeds, tuple(sorted({cell.seed for cell in begun}))])
    for chosen, protocol, preset in itertools.product(seeds, protocols, presets):
        other = replace(asked, preset=preset, protocol=protocol, seeds=chosen)
        context = replace(context_for(other), stamp=stamp)
        found: set[str] = set()
        for made in plans:
            try:
                there = plan(made.table, context, only=only, identify=identify)
            except UserError:  # `--only` may speak of what that preset has not
                continue
            found |= keys & {cell.key for cell in there.cells}
        if found:
            yield _change(asked, other), len(found)


def _change(asked: Asked, other: Asked) -> Change:
    change = {} if other.preset == asked.preset else {"--preset": other.preset or ""}
    if other.protocol != (asked.protocol or PROTOCOL):
        change["--protocol"] = "" if other.protocol == PROTOCOL else str(other.protocol)
    return change if other.seeds == asked.seeds else {**change, "--seeds": ",".join(map(str, other.seeds))}


def _typed(words: Sequence[str], change: Change) -> str:
    """What was typed, with those options otherwise."""
    kept, value_of = [], ""
    for word in words:
        option, equals, _ = word.partition("=")
        if not value_of and option not in change:
            kept.append(word)
        value_of = option if option in change and not value_of and not equals else ""
    added = [part for option, value in change.items() if value for part in (option, value)]
    return shlex.join(["python", "-m", "harness", *kept, *added])
