"""A bundle of parts as Python source that makes it again: so a method that was built in a notebook reaches the jobs."""

from __future__ import annotations

import dataclasses
import enum
import functools
import hashlib
import types
from typing import Any

from harness.errors import UserError
from harness.identity.value import differing

ATOMS = (bool, int, float, str, bytes, type(None))


def spell(value: object) -> tuple[str, set[str]]:
    """The expression, and the modules to import for it. Raises UserError for what another process could not make."""
    modules: set[str] = set()
    return _spell(value, modules), modules


def _spell(value: object, modules: set[str]) -> str:
    match value:
        case enum.Enum():
            return f"{_named(type(value), modules)}.{value.name}"
        case type() | types.FunctionType() | types.BuiltinFunctionType():
            return _named(value, modules)
        case float() if value != value or value in (float("inf"), float("-inf")):
            return f"float({str(value)!r})"
        case tuple():
            return f"({''.join(f'{_spell(part, modules)}, ' for part in value)})"
        case list():
            return f"[{', '.join(_spell(part, modules) for part in value)}]"
        case dict():
            return f"{{{', '.join(f'{_spell(k, modules)}: {_spell(v, modules)}' for k, v in value.items())}}}"
        case functools.partial():
            modules.add("functools")
            parts = [_spell(part, modules) for part in (value.func, *value.args)]
            named = [f"{name}={_spell(part, modules)}" for name, part in value.keywords.items()]
            return f"functools.partial({', '.join([*parts, *named])})"
    if isinstance(value, ATOMS):
        return repr(value)
    if dataclasses.is_dataclass(value):
        given = (f"{name}={_spell(part, modules)}" for name, part in differing(value).items())
        return f"{_named(type(value), modules)}({', '.join(given)})"
    raise _unspellable(f"a {type(value).__name__}")


def _named(value: Any, modules: set[str]) -> str:
    """By module and name, as an import finds it."""
    name = f"{value.__module__}.{value.__qualname__}"
    if value.__module__ == "__main__" or "<" in value.__qualname__:
        raise _unspellable(f"`{value.__qualname__}`, which no other process can import,")
    if value.__module__ == "builtins":
        return value.__qualname__
    modules.add(value.__module__)
    return name


def _unspellable(what: str) -> UserError:
    advice = "put it into a file, mine.py, that ends in METHODS.register(...), and give its path: `new method mine`"
    return UserError(f"{what} is part of it", "a method given as an object", advice)


def module(value: object, name: str = "") -> tuple[str, str]:
    """(name, source) of a file that registers a method; without a name it has one by its value."""
    expression, modules = spell(value)
    name = name or f"method-{hashlib.sha256(expression.encode()).hexdigest()[:8]}"
    imports = "\n".join(f"import {each}" for each in sorted(modules))
    head = '"""A method that was given as an object."""\n\n'
    return name, f'{head}{imports}\n\nfrom baselines import METHODS\n\nMETHODS.register("{name}", {expression})\n'
