"""TOML -> frozen specs, strictly: every problem of a file is reported at once, each with its place and a way out."""

from __future__ import annotations

import tomllib
import types
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

from harness.errors import UserError, UserErrors, did_you_mean

T = TypeVar("T", bound=msgspec.Struct)


def decode(path: Path, kind: type[T], check: Callable[[T, str], Iterable[UserError]] | None = None) -> T:
    """The file as a `kind`; `check(spec, file name)` yields what the types cannot say. Raises UserErrors."""
    raw = _read(path)
    try:
        spec = msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:  # it stops at the first problem; the walk finds them all, in our words
        raise UserErrors(list(_problems(raw, kind, (path.name,))) or [UserError(str(error), path.name)]) from None
    if check is not None and (found := list(check(spec, path.name))):
        raise UserErrors(found)
    return spec


def keys(path: Path) -> frozenset[str]:
    """The top-level keys of the file, by which one kind of file is told from another. Raises UserErrors."""
    return frozenset(_read(path))


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserErrors([UserError(f"cannot read it: {error.strerror}", str(path))]) from None
    except UnicodeDecodeError as error:
        raise UserErrors([UserError(f"not UTF-8 text: byte {error.start} is not", path.name)]) from None
    except tomllib.TOMLDecodeError as error:
        raise UserErrors([UserError(f"not valid TOML: {_lower(str(error))}", path.name)]) from None


def _problems(raw: object, kind: Any, place: tuple[str, ...]) -> Iterator[UserError]:
    """Walk `raw` along the type `kind`; structs, tuples and dicts are entered, anything else msgspec judges."""
    origin, arguments = get_origin(kind), get_args(kind)
    structs = [k for k in arguments or (kind,) if isinstance(k, type) and issubclass(k, msgspec.Struct)]
    if structs and origin in (None, Union, types.UnionType) and isinstance(raw, dict):
        yield from _in_struct(raw, structs, place)
    elif origin is tuple and isinstance(raw, list):
        for number, item in enumerate(raw, start=1):
            yield from _problems(item, arguments[0], (*place[:-1], f"{place[-1]} {number}"))
    elif origin is dict and isinstance(raw, dict):
        for key, item in raw.items():
            yield from _problems(item, arguments[1], (*place, str(key)))
    elif origin is Literal:
        if raw not in arguments:
            yield _at(place, f"cannot be {raw!r}", did_you_mean(str(raw), map(str, arguments)))
    else:
        try:
            msgspec.convert(raw, kind)
        except msgspec.ValidationError as error:
            yield _at(place, _lower(str(error)).replace("object", "table"))


def _in_struct(raw: dict[str, Any], structs: list[type[msgspec.Struct]], place: tuple[str, ...]) -> Iterator[UserError]:
    where, tag = ": ".join(place), structs[0].__struct_config__.tag_field
    if tag is not None:  # one of several structs: the tag says which
        by_tag = {str(struct.__struct_config__.tag): struct for struct in structs}
        if raw.get(tag) not in by_tag:
            yield UserError(f"`{tag}` is {raw.get(tag)!r}", where, did_you_mean(str(raw.get(tag)), by_tag))
            return
        structs = [by_tag[raw[tag]]]
    hints = get_type_hints(structs[0])
    fields = {f.encode_name: f for f in msgspec.structs.fields(structs[0])}
    for key in raw:
        if key not in fields and key != tag:
            yield UserError(f"unknown key `{key}`", where, did_you_mean(key, fields))
    for key, field in fields.items():
        if key in raw:
            yield from _problems(raw[key], hints[field.name], (*place, key))
        elif field.required:
            yield UserError(f"`{key}` is missing", where)


def _at(place: tuple[str, ...], what: str, to_type: str = "") -> UserError:
    """`what` about the last step of `place`: ``table2.toml: row 3: `timesteps`: expected `int`, got `str` ``."""
    return UserError(f"`{place[-1]}`: {what}", ": ".join(place[:-1]), to_type)


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
