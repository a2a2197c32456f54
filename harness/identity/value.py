"""What a bundle of parts is, part by part: the same for equal bundles in any process, another for any other.

A part says its type and those of its fields that differ from their defaults, so that a field added later leaves what
was told before alone. The code behind types and functions is told by name here, and by source in `sources.py`.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import hashlib
import types
from collections.abc import Mapping
from typing import Any

from harness.errors import UserError
from harness.sources import OURS, stable


def describe(value: object, modules: set[str]) -> Any:
    """`value` as JSON can carry it; the modules that define its types and functions are added to `modules`.

    Raises UserError for what cannot be told, such as an open file.
    """
    return _describe(value, modules, ())


def _describe(value: object, modules: set[str], above: tuple[int, ...]) -> Any:
    if value is None or type(value) in (bool, int, str):
        return value
    if isinstance(value, float):
        return value.hex()
    if id(value) in above:
        return "itself"

    def tell(part: object) -> Any:
        return _describe(part, modules, (*above, id(value)))

    match value:
        case type():
            return _named(value, modules)
        case enum.Enum():
            return [_named(type(value), modules), value.name]
        case bytes():
            return ["bytes", hashlib.sha256(value).hexdigest()]
        case list() | tuple():
            return [tell(part) for part in value]
        case set() | frozenset():
            return sorted((tell(part) for part in value), key=str)
        case Mapping():
            return {"mapping": sorted(([tell(key), tell(part)] for key, part in value.items()), key=str)}
        case functools.partial():
            return ["partial", tell(value.func), tell(value.args), tell(value.keywords)]
        case types.MethodType():
            return [tell(value.__self__), value.__name__]
        case types.FunctionType():
            cells = [cell.cell_contents for cell in value.__closure__ or ()]
            return [_place(value, modules), tell(value.__defaults__), tell(value.__kwdefaults__), tell(cells)]
        case types.BuiltinFunctionType():
            return f"{value.__module__}.{value.__qualname__}"
    if dataclasses.is_dataclass(value):
        return [_named(type(value), modules), {name: tell(part) for name, part in differing(value).items()}]
    if hasattr(value, "detach") or hasattr(value, "__array__"):  # a tensor, an array
        return _array(value)
    if (fields := _attributes(value)) is not None:
        return [_named(type(value), modules), {name: tell(part) for name, part in sorted(fields.items())}]
    raise UserError(
        f"a {type(value).__name__} has no value that a key can hold", "a method's parts", "make it a frozen dataclass"
    )


def differing(value: Any) -> dict[str, object]:
    """The fields of a dataclass that differ from their defaults."""
    given = {}
    for field in dataclasses.fields(value):
        part, default = getattr(value, field.name), field.default
        if default is dataclasses.MISSING and field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        if type(part) is not type(default) or not _equal(part, default):
            given[field.name] = part
    return given


def _equal(one: Any, two: Any) -> bool:
    try:
        return bool(one == two)
    except Exception:  # arrays, whatever has an equality of its own
        return False


def _attributes(value: object) -> dict[str, object] | None:
    slots = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ()) if hasattr(value, name)]
    if not hasattr(value, "__dict__") and not slots:
        return None
    return {**getattr(value, "__dict__", {}), **{name: getattr(value, name) for name in slots}}


def _named(kind: type, modules: set[str]) -> str:
    """A type's name; without its module for one of this project, which may move."""
    modules.update(base.__module__ for base in kind.__mro__)
    return kind.__qualname__ if _ours(kind.__module__) else f"{stable(kind.__module__)}.{kind.__qualname__}"


def _place(function: types.FunctionType, modules: set[str]) -> str:
    """A function's name; with its line where the name is not its own."""
    modules.add(function.__module__)
    name = function.__qualname__
    name = name if _ours(function.__module__) else f"{stable(function.__module__)}.{name}"
    return f"{name}:{function.__code__.co_firstlineno}" if "<" in name else name


def _array(value: Any) -> list[Any]:
    import numpy

    array = numpy.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
    return ["array", str(array.dtype), list(array.shape), hashlib.sha256(array.tobytes()).hexdigest()]


def _ours(module: str) -> bool:
    return module.partition(".")[0] in OURS
