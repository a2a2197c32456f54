"""A user's own method: load FILE.py or a package by name, see what it registered, hash what it says.

An installed package may offer methods by entry points of the group `snn_harness.methods`, each named as its method; it
is then known by name like a built-in one, and imported when it is first built.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.metadata
import importlib.util
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from harness.errors import UserError

GROUP = "snn_harness.methods"


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """What one `--plugin` brought."""

    name: str
    methods: tuple[str, ...]
    source: str
    """Hash of its source: a cell of these methods is another one when the source changes."""


def load_plugins(names: Sequence[str]) -> Mapping[str, str]:
    """Load every plugin; registered method -> source hash. Raises UserError. Methods of installed packages are known
    afterwards, too."""
    installed()
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

    before = METHODS.registered
    module = _run_file(Path(name)) if _is_file(name) else _import(name)
    brought = (method for method in METHODS.registered - before if not METHODS.builtin(method))
    methods = tuple(sorted(brought)) or _registered_by(module)
    if not methods:
        raise UserError("registers no method", name, 'end it with METHODS.register("my-name", Method(...))')
    for method in methods:
        METHODS.tell(method, module.__doc__ or "")
    return Plugin(name=name, methods=methods, source=_hash(module))


@functools.cache
def installed() -> Mapping[str, importlib.metadata.EntryPoint]:
    """Method -> where an installed package has it. Looks once a process, imports none of them.

    A name that a built-in method has, or that two packages claim, is not taken: `clashes` says so.
    """
    from baselines import METHODS

    found = {point.name: point for point in _entry_points()}
    taken = {name: point for name, point in found.items() if not METHODS.builtin(name) and _claims(name) == 1}
    for name, point in taken.items():
        METHODS.offer(name, functools.partial(_enter, point), f"of the installed package {_package(point)}")
    return taken


def clashes() -> list[UserError]:
    """Entry points that are not used, because their name is another's."""
    wrong = [point for point in _entry_points() if point.name not in installed()]
    return [
        UserError(f"the name `{p.name}` is taken; this method is not used", f"package {_package(p)}") for p in wrong
    ]


def source_of(method: str) -> str:
    """Hash of the package that has `method` by an entry point, as `--plugin` would hash it; empty for any other."""
    point = installed().get(method)
    return _installed_hash(point.module.partition(".")[0]) if point else ""


@functools.cache
def _installed_hash(package: str) -> str:
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise UserError("cannot be found, though an entry point names it", f"package {package}", "install it anew")
    return _hash_of(Path(found.origin))


@functools.cache
def _entry_points() -> tuple[importlib.metadata.EntryPoint, ...]:
    return tuple(importlib.metadata.entry_points(group=GROUP))


def _claims(name: str) -> int:
    return len({(point.value, _package(point)) for point in _entry_points() if point.name == name})


def _package(point: importlib.metadata.EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else point.module


def _enter(point: importlib.metadata.EntryPoint) -> None:
    """Import what `point` names; a method that its module does not register itself is registered by its name."""
    from baselines import METHODS
    from baselines.method import Method

    place = f"entry point {point.name} of {_package(point)}"
    try:
        value = point.load()
    except (Exception, SystemExit) as error:
        raise UserError(f"{type(error).__name__}: {str(error).partition(chr(10))[0]}", place) from error
    if point.name not in METHODS.registered and isinstance(value, Method):
        METHODS.register(point.name, value)
    if point.name not in METHODS.registered:
        raise UserError(f"registers no method `{point.name}`", place, "let it name a Method, or register it")


def absolute(names: Sequence[str]) -> tuple[str, ...]:
    """The same plugins, found from any working folder."""
    return tuple(str(Path(name).resolve()) if _is_file(name) else name for name in names)


def importable(name: str) -> bool:
    """Whether there is a package or module `name`; its parents are imported, itself is not."""
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


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
    assert module.__file__ is not None
    return _hash_of(Path(module.__file__))


def _hash_of(file: Path) -> str:
    """Of the file whatever its name, or of every Python file of the package that it opens, with their names."""
    if file.name != "__init__.py":
        return hashlib.sha256(file.read_bytes()).hexdigest()[:16]
    digest = hashlib.sha256()
    for path in sorted(file.parent.rglob("*.py")):
        digest.update(str(path.relative_to(file.parent)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]
