"""The code that computes a cell's numbers, as its key names it: the planner, the job and whoever goes on with a cell
ask here, and nowhere else.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator
from typing import NamedTuple

import msgspec

from harness import plugins, sources
from harness.errors import UserError
from harness.identity import vouched
from harness.identity.value import describe
from harness.spec import Cell


class Code(NamedTuple):
    """What a cell says of the code behind it, in its fields of these names."""

    source: str
    """Hash of what a user wrote or edited of it; empty where all of it is vouched for."""
    numerics: int


def stamping() -> Callable[[Cell], Cell]:
    """A cell -> the same with the code that is here now. Every file is read once, however many cells are stamped."""
    known: dict[tuple[str, ...], Code] = {}
    unvouched = functools.cache(vouched.looking)

    def stamp(cell: Cell) -> Cell:
        names = tuple(name for _, name in _names(cell))
        code = known.get(names) or known.setdefault(names, code_of(cell, unvouched()))
        return msgspec.structs.replace(cell, source=code.source, numerics=code.numerics)

    return stamp


def code_of(cell: Cell, unvouched: vouched.Unvouched = vouched.unvouched) -> Code:
    """What the code here is, for `cell`. Raises UserError."""
    own, modules = _of_a_user(cell)
    parts = {
        "own": own,
        "files": _files(modules),
        "edited": unvouched([*_entries(cell), *modules]),
    }
    told = json.dumps(parts, sort_keys=True) if any(parts.values()) else ""
    numerics = vouched.numerics([cell.method, cell.architecture, cell.dataset])
    return Code(sources.hash_of(told.encode()) if told else "", numerics)


def source_of(method: str) -> str:
    """Hash of a user's method, its value and all the code behind it; empty for one of this project's own."""
    if (brought := plugins.find("method", method)) is None:
        return ""
    modules = set(brought.modules)
    value = describe(brought.value, modules)
    return sources.hash_of(json.dumps([value, _files(modules)], sort_keys=True).encode())


def whole(cell: Cell) -> str:
    """16 hex over all the code behind `cell`, vouched for or not: what a checkpoint and a result say wrote them."""
    return sources.hash_of(json.dumps([*code_of(cell), vouched.hashes()], sort_keys=True).encode())


def prove(cell: Cell) -> None:
    """Raises UserError unless the code here is the one that the key of `cell` names."""
    here, named = code_of(cell), Code(cell.source, cell.numerics)
    if here == named:
        return
    edited = ", ".join(vouched.unvouched(_entries(cell)))
    what = f"the code here is {_told(here)}{f' ({edited})' if edited else ''}, the key names {_told(named)}"
    raise UserError(what, f"{cell.key} {cell.label}", "plan again: run; or give the --plugin it was planned with")


def _files(modules: set[str]) -> list[tuple[str, str]]:
    return sorted((sources.stable(m), sources.digest(m, f)) for m, f in sources.closure(modules).items())


def _told(code: Code) -> str:
    return f"{code.source or 'as vouched for'}{f' of numerics {code.numerics}' if code.numerics > 1 else ''}"


def _entries(cell: Cell) -> Iterator[str]:
    named = (cell.method, cell.method, cell.architecture, cell.dataset)  # a system or a method: one of the two is there
    for folder, name in zip(vouched.ENTRIES, named, strict=True):
        yield vouched.entry(folder, name)


def _of_a_user(cell: Cell) -> tuple[dict[str, object], set[str]]:
    """What of `cell` a user wrote, as values, and the modules that it stands in."""
    own, modules = dict[str, object](), set[str]()
    for kind, name in _names(cell):
        if (brought := plugins.find(kind, name)) is not None:
            own[f"{kind} {name}"] = describe(brought.value, modules)
            modules |= brought.modules
    return own, modules


def _names(cell: Cell) -> Iterator[tuple[plugins.Kind, str]]:
    """All that a cell names and a plugin may have brought."""
    yield "method", cell.method
    yield "architecture", cell.architecture
    yield "dataset", cell.dataset
    yield "surrogate", cell.recipe.surrogate
    for name in cell.recipe.augmentation:
        yield "augmentation", name
