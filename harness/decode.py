"""TOML -> frozen specs, strictly: every problem of a file is reported at once, each with its place and a way out."""

from __future__ import annotations

import itertools
import math
import re
import time
import tomllib
import types
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

from harness.errors import UserError, UserErrors, did_you_mean

T = TypeVar("T", bound=msgspec.Struct)

MOST = 1 << 20
"""Bytes of a file."""
TOLD = 1000
"""Problems of a file that are looked for: a name that was meant takes its time to find."""
LARGEST = 1 << 53
"""Whole numbers beyond it are not exact as floats, and no amount of anything here."""
SETTLED = 2_000_000_000
"""Nanoseconds after which a file that is written again has another time."""
_KNOWN: dict[Path, tuple[tuple[int, ...], dict[str, Any]]] = {}
"""File -> its state, and what it says; nobody changes that."""
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def decode(path: Path, kind: type[T], check: Callable[[T, str], Iterable[UserError]]) -> T:
    """The file as a `kind`; `check(spec, file name)` yields what the types cannot say. Raises UserErrors."""
    raw = _read(path)
    found, spec = list(_unfit(raw, (path.name,))), None
    try:
        spec = msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:  # it stops at the first problem; the walk finds them all, in our words
        problems = itertools.islice(_problems(raw, kind, (path.name,)), TOLD)
        found += list(problems) or [UserError(str(error), path.name)]
    if spec is None or found or (found := list(check(spec, path.name))):
        raise UserErrors(found)
    return spec


def keys(path: Path) -> frozenset[str]:
    """The top-level keys of the file, by which one kind of file is told from another. Raises UserErrors."""
    return frozenset(_read(path))


def there(path: Path) -> bool:
    """Whether it is a file; a name that no file system takes is none."""
    try:
        return path.is_file()
    except OSError:
        return False


def _read(path: Path) -> dict[str, Any]:
    """Read once, as long as the file stays as it is: claims and reports ask for the same tables again and again."""
    known = _KNOWN.get(path)
    if known is not None and known[0] == _state(path):
        return known[1]
    state = _state(path)
    found = _parsed(path)
    if state is not None:
        _KNOWN[path] = state, found
    return found


def _state(path: Path) -> tuple[int, ...] | None:
    """What changes with the file; None while it could change again unseen, by the grain of the clock."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    settled = time.time_ns() - found.st_mtime_ns > SETTLED
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns) if settled else None


def _parsed(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(_text(path))
    except OSError as error:
        raise UserErrors([UserError(f"cannot read it: {error.strerror}", str(path))]) from None
    except UnicodeDecodeError as error:
        raise UserErrors([UserError(f"not UTF-8 text: byte {error.start} is not", path.name)]) from None
    except tomllib.TOMLDecodeError as error:
        raise UserErrors([UserError(f"not valid TOML: {_lower(str(error))}", path.name)]) from None
    except ValueError:  # Python's own bound
        raise UserErrors([UserError("not valid TOML: a number has thousands of digits", path.name)]) from None
    except RecursionError:
        raise UserErrors([UserError("not valid TOML: nested too deeply", path.name)]) from None


def _text(path: Path) -> str:
    """Raises OSError, UserErrors: a pipe would be waited for, a device is without end."""
    if path.exists() and not path.is_file():
        raise UserErrors([UserError("cannot read it: no regular file", str(path))])
    with path.open("rb") as file:
        content = file.read(MOST + 1)
    if len(content) > MOST:
        raise UserErrors([UserError(f"cannot read it: larger than {MOST >> 20} MiB", str(path))])
    return content.decode()


def _unfit(raw: object, place: tuple[str, ...]) -> Iterator[UserError]:
    """What no field takes, whatever its type."""
    if isinstance(raw, dict):
        for key, item in raw.items():
            yield from _unfit(key, (*place, key))
            yield from _unfit(item, (*place, key))
    elif isinstance(raw, list):
        for number, item in enumerate(raw, start=1):
            yield from _unfit(item, (*place[:-1], f"{place[-1]} {number}"))
    elif isinstance(raw, float) and not math.isfinite(raw):
        yield UserError(f"`{place[-1]}` is {raw}", ": ".join(place[:-1]), "write a finite number")
    elif isinstance(raw, int) and abs(raw) > LARGEST:
        yield UserError(f"`{place[-1]}` is too large a number", ": ".join(place[:-1]))
    elif isinstance(raw, str) and (found := CONTROL.search(raw)):
        yield UserError(f"`{place[-1]}` has the control sign {found[0]!r}", ": ".join(place[:-1]), "leave it out")


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
        given = raw.get(tag)
        if not isinstance(given, str) or given not in by_tag:
            yield UserError(f"`{tag}` is {given!r}", where, did_you_mean(str(given), by_tag))
            return
        structs = [by_tag[given]]
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
