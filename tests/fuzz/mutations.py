"""What can be wrong with a file: its bytes, its structure, its numbers and names, or that it is a file at all."""

from __future__ import annotations

import copy
import json
import math
import os
import pickle
import socket
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any

import torch

from harness.train.checkpoint import serialised

Content = Callable[[bytes, Random], bytes]

TEXTS = (
    "",
    " ",
    "..",
    "../x",
    "../../../../outside/secret.txt",
    "/outside",
    "a/b",
    "-x",
    "--",
    "=cmd|' /C calc'!A0",
    "$(touch x)",
    "`touch x`",
    "a\nb\n#SBATCH --wrap=x",
    "a\rb",
    "\x1b[2J\x1b]0;title\x07",
    "\x00",
    "\x07\x08\x7f",
    "\x80\x85\x9b31m",
    "\u202eevil\u2066",
    "\ud800",
    "\ufeff",
    "n\u0303a\u0301" * 40,
    "x" * 300,
    "y" * 100_000,
    "$\\frac{$",
    "<script>alert(1)</script>",
    "{}",
    "%s%n",
    "5",
    "nan",
    "1e309",
    "~nobody1/x",
    "none",
    "mpbn",
    "CON",
)
NUMBERS: tuple[Any, ...] = (
    0,
    -1,
    1,
    -0.0,
    0.5,
    5e-324,
    250,
    -5.0,
    99,
    2**31,
    2**63,
    2**64,
    10**20,
    -(10**20),
    10**400,
    1e308,
    -1e308,
    1e-300,
    math.nan,
    math.inf,
    -math.inf,
)
OTHERS: tuple[Any, ...] = (None, True, False, [], {}, [[]], {"a": {}}, [None], "x", [1, "a", None], {"": ""})


def value(random: Random) -> Any:
    kind = random.random()
    if kind < 0.4:
        return random.choice(TEXTS)
    return random.choice(NUMBERS) if kind < 0.8 else random.choice(OTHERS)


# --- any bytes --------------------------------------------------------------------------------------------------------


def of_bytes(content: bytes, random: Random) -> bytes:
    return random.choice(_BYTES)(bytearray(content), random)


def _cut(content: bytearray, random: Random) -> bytes:
    return bytes(content[: random.randrange(len(content) + 1)])


def _flip(content: bytearray, random: Random) -> bytes:
    for _ in range(random.randint(1, 8)):
        if content:
            content[random.randrange(len(content))] ^= 1 << random.randrange(8)
    return bytes(content)


def _insert(content: bytearray, random: Random) -> bytes:
    at = random.randrange(len(content) + 1)
    what = random.choice((random.randbytes(8), b"\x00", b"\xff\xfe", b"\n" * 50, b"[" * 50_000, b"9" * 5_000, b'"'))
    return bytes(content[:at] + what + content[at:])


def _lose(content: bytearray, random: Random) -> bytes:
    at = random.randrange(len(content) + 1)
    return bytes(content[:at] + content[at + random.randint(1, 40) :])


def _twice(content: bytearray, random: Random) -> bytes:
    return bytes(content + content)


def _other(content: bytearray, random: Random) -> bytes:
    return random.choice((b"", b"\x00" * len(content), b"null", b"[]", b"{}", b"x" * 2_000_000, b"\x80\x04."))


_BYTES = (_cut, _flip, _insert, _lose, _twice, _other)


# --- JSON -------------------------------------------------------------------------------------------------------------


def of_json(content: bytes, random: Random) -> bytes:
    """A value, a key or an entry of it is changed; now and then written as no decoder expects it."""
    try:
        document = json.loads(content)
    except ValueError:
        return of_bytes(content, random)
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        document = _changed(document, random)
    text = json.dumps(document).encode()
    if random.random() < 0.1:
        text = random.choice((_doubled_key, _deep))(text, random)
    return text


def _changed(document: Any, random: Random) -> Any:
    places = list(_places(document, ()))
    place = random.choice(places)
    return _at(document, place, random.choice(_CHANGES), random)


def _places(value: Any, path: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    found = [path]
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        found += _places(item, (*path, key))
    return found


def _at(document: Any, path: tuple[Any, ...], change: Callable[[Any, Random], Any], random: Random) -> Any:
    if not path:
        return change(document, random)
    document[path[0]] = _at(document[path[0]], path[1:], change, random)
    return document


def _replaced(old: Any, random: Random) -> Any:
    return copy.deepcopy(value(random))  # what is drawn is changed again, here and by later inputs


def _near(old: Any, random: Random) -> Any:
    if isinstance(old, bool):
        return not old
    if isinstance(old, int | float) and abs(old) < 1e100:
        return random.choice((old + 1, old - 1, -old, old * 1000, old / 2, float(old), int(old)))
    if isinstance(old, str):
        return random.choice((old.upper(), old[:-1], old + random.choice(TEXTS), old[::-1], f" {old}"))
    return old


def _resized(old: Any, random: Random) -> Any:
    if isinstance(old, list) and old:
        return random.choice((old[:-1], old + old[-1:], old * 50, [], old[::-1], [old]))
    if isinstance(old, dict) and old:
        name = random.choice(list(old))
        changes = ({k: v for k, v in old.items() if k != name}, old | {random.choice(TEXTS): 1}, old | {name + "x": 1})
        return random.choice(changes)
    return old


_CHANGES = (_replaced, _replaced, _near, _near, _resized)


def _doubled_key(text: bytes, random: Random) -> bytes:
    """The first key twice, with another value."""
    name, _, _ = text.partition(b":")
    return name + b": " + json.dumps(value(random)).encode() + b", " + text[1:] if text.startswith(b"{") else text


def _deep(text: bytes, random: Random) -> bytes:
    depth = random.choice((500, 100_000))
    return text[:-1] + b', "deep": ' + b"[" * depth + b"]" * depth + b"}"


# --- TOML -------------------------------------------------------------------------------------------------------------


def of_toml(content: bytes, random: Random) -> bytes:
    lines = content.decode(errors="replace").splitlines()
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        if lines:
            _line(lines, random)
    return "\n".join(lines).encode(errors="surrogatepass") + b"\n"


def _line(lines: list[str], random: Random) -> None:
    at = random.randrange(len(lines))
    name, equals, _ = lines[at].partition(" = ")
    kind = random.randrange(10)
    if kind < 5 and equals and not name.lstrip().startswith("{"):
        lines[at] = f"{name} = {_literal(value(random), random)}"
    elif kind == 5 and equals:
        odd = (name[:-1], name + "x", f"{name}.a", f"{name} {name}", json.dumps(random.choice(TEXTS)))
        lines[at] = f"{random.choice(odd)} = 1"
    elif kind == 6:
        del lines[at]
    elif kind == 7:
        lines.insert(at, lines[random.randrange(len(lines))])
    elif kind == 8:
        lines.insert(
            at, random.choice(("[", "[[row]]", "[a.b]", "x = 1", "[row]", "= 1", "kind = []", "# \x00", "\x1b[0m"))
        )
    else:
        lines[at] = of_bytes(lines[at].encode(), random).decode(errors="replace")[:200_000]


def _literal(what: Any, random: Random) -> str:
    if random.random() < 0.08:
        return random.choice(
            ("[" * 900 + "]" * 900, "9" * 5_000, "1979-05-27", "0x" + "f" * 400, "'''", "1e", "{" * 300)
        )
    if isinstance(what, bool):
        return str(what).lower()
    if isinstance(what, float):
        return "nan" if math.isnan(what) else str(what).replace("e", "e")
    if isinstance(what, list):
        return f"[{', '.join(_literal(item, random) for item in what)}]"
    if isinstance(what, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {_literal(v, random)}" for k, v in what.items()) + "}"
    return '""' if what is None else json.dumps(what)


# --- tensors ----------------------------------------------------------------------------------------------------------


class Order:
    """What a pickle can have done: it must never be."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("ordered-by-a-pickle",)


def of_tensors(content: bytes, random: Random) -> bytes:
    """Of weights or of a checkpoint: other names, shapes, types and values of the same form, or no such form."""
    if random.random() < 0.4:
        return of_bytes(content, random)
    if random.random() < 0.15:
        return random.choice(
            (pickle.dumps(Order()), _zip_of(Order()), serialised([1]), serialised(None), serialised("x"))
        )
    try:
        held = torch.load(BytesIO(content), weights_only=True)
    except Exception:
        return of_bytes(content, random)
    inner = held.get("network", held) if random.random() < 0.8 else held
    if inner:
        _tensor(inner, random)
    return serialised(held)


def _zip_of(what: Any) -> bytes:
    into = BytesIO()
    torch.save(what, into)
    return into.getvalue()


def _tensor(held: dict[str, Any], random: Random) -> None:
    name = random.choice(list(held))
    old = held[name]
    kind = random.randrange(8)
    if kind == 0:
        del held[name]
    elif kind == 1:
        held[random.choice(TEXTS[:20])] = old
    elif not isinstance(old, torch.Tensor) or kind == 2:
        held[name] = random.choice((*NUMBERS[:6], *TEXTS[:4], *OTHERS))
    elif kind == 3:
        held[name] = old.reshape(-1)[: random.randrange(3)]
    elif kind == 4:
        held[name] = old.to(random.choice((torch.float64, torch.int64, torch.bool, torch.complex64, torch.bfloat16)))
    elif kind == 5:
        held[name] = torch.full_like(old, random.choice((0.0, 1e30)) if old.is_floating_point() else 1)
    else:
        value = random.choice((math.nan, math.inf))
        for key, tensor in held.items():
            if isinstance(tensor, torch.Tensor) and tensor.is_floating_point() and (kind == 6 or key == name):
                held[key] = torch.full_like(tensor, value)


# --- a method of the user's -------------------------------------------------------------------------------------------

PLUGINS = (
    "raise SystemExit(3)\n",
    "raise KeyError('x')\n",
    "import no_such_module\n",
    "def (\n",
    "\x00",
    "# coding: latin-1\nx = '\xe9'\n",
    "from baselines import METHODS\nMETHODS.register('5', METHODS.get('mpbn'))\n",
    "from baselines import METHODS\nMETHODS.register('a/../b', METHODS.get('mpbn'))\n",
    "from baselines import METHODS\nMETHODS.register('\\x1b[31m', METHODS.get('mpbn'))\n",
    "from baselines import METHODS\nMETHODS.register('mpbn', METHODS.get('mpbn'))\n",
    "from baselines import METHODS\nMETHODS.register('x', 3)\n",
    "from baselines import METHODS\nMETHODS.register('x' * 300, METHODS.get('mpbn'))\n",
    "from baselines import METHODS\nMETHODS.register(None, METHODS.get('mpbn'))\n",
    "import sys\nsys.stdout = None\n",
    "",
)


def of_python(content: bytes, random: Random) -> bytes:
    if random.random() < 0.3:
        return of_bytes(content, random)[:10_000]
    chosen = random.choice(PLUGINS).encode("latin-1")
    return chosen + content if random.random() < 0.2 else chosen


# --- instead of a file ------------------------------------------------------------------------------------------------


def instead(path: Path, random: Random, outside: Path) -> str:
    """Something that is no plain file, or one that leads away; what it is."""
    whole = path.read_bytes() if path.is_file() else b""
    path.unlink()
    kind = random.choice(tuple(INSTEAD))
    INSTEAD[kind](path, random, outside)
    if kind == "sparse":
        with path.open("r+b") as file:
            file.write(whole)
    return kind


def _pipe(path: Path, random: Random, outside: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path, random: Random, outside: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # the names of sockets are short
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


def _sparse(path: Path, random: Random, outside: Path) -> None:
    path.touch()
    os.truncate(path, 50 << 30)


def _closed(path: Path, random: Random, outside: Path) -> None:
    path.touch(0o000)


INSTEAD: dict[str, Callable[[Path, Random, Path], None]] = {
    "gone": lambda path, random, outside: None,
    "folder": lambda path, random, outside: path.mkdir(),
    "pipe": _pipe,
    "socket": _socket,
    "sparse": _sparse,
    "closed": _closed,
    "link to a secret": lambda path, random, outside: path.symlink_to(outside / "secret.txt"),
    "link to a device": lambda path, random, outside: path.symlink_to(
        random.choice(("/dev/zero", "/dev/full", "/dev/null"))
    ),
    "link to itself": lambda path, random, outside: path.symlink_to(path.name),
    "link to nothing": lambda path, random, outside: path.symlink_to("nowhere/at/all"),
    "link to a folder": lambda path, random, outside: path.symlink_to(outside),
}

CONTENT: dict[str, Content] = {
    ".json": of_json,
    ".toml": of_toml,
    ".pt": of_tensors,
    ".py": of_python,
    "claim": of_json,
}
"""By the ending of the name, or all of it; anything else is bytes."""


def mutate(path: Path, random: Random, outside: Path) -> str:
    """Change `path`, in the world, beyond recognition or by a hair; what was done."""
    if random.random() < 0.12:
        return instead(path, random, outside)
    change = CONTENT.get(path.suffix) or CONTENT.get(path.name) or of_bytes
    if random.random() < 0.15:
        change = of_bytes
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(change(content, random))
    return change.__name__.strip("_")
