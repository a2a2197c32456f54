"""The files that a module's code stands in: its own and those of every module it imports, transitively.

Only those that people edit count: neither the standard library nor installed packages, and not this project itself,
for which `vouched.py` speaks. What is imported inside a function counts as well; what is imported by a name that is
computed counts where it was in memory already.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import re
import site
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

OURS = ("baselines", "harness")
"""Packages that `vouched.py` speaks for."""

_LOADED: dict[Path, str] = {}
"""File -> digest of it as it was when this process had just loaded it: an edit since changes nothing in here."""


def closure(roots: Iterable[str]) -> dict[str, Path]:
    """Module -> file, of `roots` (names of modules) and of all that they import. A root counts wherever it lies."""
    todo = list(roots)
    tops, found = {name.partition(".")[0] for name in todo} - {*OURS}, dict[str, Path]()
    while todo:
        name = todo.pop()
        top = name.partition(".")[0]
        if name in found or top in OURS or (file := _file(name)) is None or not (top in tops or editable(file)):
            continue
        found[name] = file
        todo += [*_parents(name), *_imports(name, file)]
    return found


def editable(file: Path) -> bool:
    """Whether `file` is a person's own, outside the standard library and the folders of installed packages."""
    return not any(file.is_relative_to(folder) for folder in _installed())


def digest(module: str, file: Path) -> str:
    """16 hex over the content of `file`, which `module` is or will be loaded from.

    Once it is loaded, the answer is what was loaded. Raises OSError.
    """
    if file in _LOADED:
        return _LOADED[file]
    found = hash_of(file.read_bytes())
    if module in sys.modules:
        _LOADED[file] = found
    return found


def remember(file: Path, content: bytes) -> None:
    """`content` of `file` is what this process runs."""
    _LOADED[file] = hash_of(content)


def stable(module: str) -> str:
    """The name of `module` wherever a user's file lies: ``plugin_mine_1a2b3c4d.part`` -> ``plugin.part``."""
    return re.sub(r"^plugin_\w*_[0-9a-f]{8}(?=\.|$)", "plugin", module)


def hash_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


@cache
def _installed() -> tuple[Path, ...]:
    paths = sysconfig.get_paths()
    folders = [paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    return tuple(Path(folder).resolve() for folder in {*folders, *site.getsitepackages(), site.getusersitepackages()})


def _file(name: str) -> Path | None:
    """Where `name` is or would be loaded from; None for what is built in, is no module, or has no file."""
    module = sys.modules.get(name)
    origin = getattr(module, "__file__", None)
    if module is None and (not (parent := name.rpartition(".")[0]) or hasattr(sys.modules.get(parent), "__path__")):
        try:
            origin = getattr(importlib.util.find_spec(name), "origin", None)
        except (ImportError, ValueError):
            return None
    file = Path(origin).resolve() if origin else None
    return file if file is not None and file.is_file() else None


def _parents(name: str) -> Iterator[str]:
    while "." in name:
        name = name.rpartition(".")[0]
        yield name


def _imports(name: str, file: Path) -> Iterator[str]:
    """Names that may be modules: of ``from a import b`` both a and a.b."""
    if file.suffix != ".py":
        return
    package = (
        name if file.name == "__init__.py" or hasattr(sys.modules.get(name), "__path__") else name.rpartition(".")[0]
    )
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, package)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _absolute(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    kept = package.split(".")[: len(package.split(".")) - node.level + 1]
    return ".".join([*kept, *([node.module] if node.module else [])])
