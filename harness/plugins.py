"""A user's own method: load FILE.py or a package by name, see what it registered, hash what it says."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from harness.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """What one `--plugin` brought."""

    name: str
    methods: tuple[str, ...]
    source: str
    """Hash of its source: a cell of these methods is another one when the source changes."""


def load_plugins(names: Sequence[str]) -> Mapping[str, str]:
    """Load every plugin; registered method -> source hash. Raises UserError."""
    return {method: plugin.source for plugin in map(load, names) for method in plugin.methods}


_LOADED: dict[str, Plugin] = {}
"""By absolute path: the command line and a job inside this process name the same file differently."""


def load(name: str) -> Plugin:
    """Run the file or import the package once in this process. Raises UserError that names file and line."""
    (place,) = absolute([name])
    if place not in _LOADED:
        _LOADED[place] = _load(name)
    return _LOADED[place]


def _load(name: str) -> Plugin:
    from baselines import METHODS

    before = set(METHODS)
    module = _run_file(Path(name)) if _is_file(name) else _import(name)
    methods = tuple(sorted(set(METHODS) - before)) or _registered_by(module)
    if not methods:
        raise UserError("registers no method", name, 'end it with METHODS.register("my-name", Method(...))')
    return Plugin(name=name, methods=methods, source=_hash(module))


def absolute(names: Sequence[str]) -> tuple[str, ...]:
    """The same plugins, found from any working folder."""
    return tuple(str(Path(name).resolve()) if _is_file(name) else name for name in names)


def _is_file(name: str) -> bool:
    return name.endswith(".py") or "/" in name


def _run_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise UserError("no such file", str(path), "give --plugin FILE.py or the name of an installed package")
    # Named by its place, so that two files of the same name do not replace each other.
    place = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]
    spec = importlib.util.spec_from_file_location(f"plugin_{path.stem.replace('-', '_')}_{place}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and pickles look it up there
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[spec.name]
        raise _blamed(error, path.resolve(), str(path)) from error
    return module


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and name.split(".")[0] == error.name.split(".")[0]:
            advice = "install it, or give the path of a file (--plugin my.py)"
            raise UserError(f"no package `{name}`", "--plugin", advice) from None
        raise _blamed(error, None, name) from error
    except (Exception, SystemExit) as error:
        raise _blamed(error, None, name) from error


def _blamed(error: BaseException, path: Path | None, shown: str) -> UserError:
    """The last line of the user's own file that led to `error`."""
    if isinstance(error, SyntaxError) and error.filename:
        return UserError(f"SyntaxError: {error.msg}", f"{_shown(error.filename, path, shown)}:{error.lineno}")
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if path is not None and Path(f.filename) == path]
    frame = (own or frames)[-1]
    what = str(error).partition("\n")[0]
    return UserError(f"{type(error).__name__}: {what}", f"{_shown(frame.filename, path, shown)}:{frame.lineno}")


def _shown(filename: str, path: Path | None, shown: str) -> str:
    return shown if path is not None and Path(filename) == path else filename


def _registered_by(module: ModuleType) -> tuple[str, ...]:
    """For a package that was imported before this call: the methods that stand in its names."""
    from baselines import METHODS

    values = [value for value in vars(module).values() if not isinstance(value, ModuleType)]
    return tuple(m for m in METHODS if not METHODS.builtin(m) and any(METHODS.get(m) is value for value in values))


def _hash(module: ModuleType) -> str:
    """Of the file whatever its name, or of every Python file of the package with its name."""
    assert module.__file__ is not None
    file = Path(module.__file__)
    if file.name != "__init__.py":
        return hashlib.sha256(file.read_bytes()).hexdigest()[:16]
    digest = hashlib.sha256()
    for path in sorted(file.parent.rglob("*.py")):
        digest.update(str(path.relative_to(file.parent)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]
