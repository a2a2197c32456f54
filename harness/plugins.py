"""A user's own code: load FILE.py or a package by name, see what it brought. What it says in a key: `identity/`.

An installed package may offer methods by entry points of the group `snn_harness.methods`, each named as its method; it
is then known by name like a built-in one, and imported when it is first built.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib
import importlib.metadata
import importlib.util
import os
import re
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Literal

from harness import sources
from harness.errors import UserError

GROUP = "snn_harness.methods"

Kind = Literal["method", "architecture", "dataset", "surrogate", "augmentation"]
"""What a plugin may bring, and a cell may name."""


@dataclass(frozen=True, kw_only=True)
class Brought:
    """Something a plugin brought."""

    value: object
    modules: frozenset[str]
    """Those that the plugin is, and those that came into memory with it."""


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """What one `--plugin` brought."""

    name: str
    brought: Mapping[tuple[Kind, str], Brought]

    @property
    def methods(self) -> tuple[str, ...]:
        return tuple(sorted(name for kind, name in self.brought if kind == "method"))


def load_plugins(names: Sequence[str]) -> tuple[str, ...]:
    """Load every plugin; the methods they registered. Raises UserError. Methods of installed packages are known
    afterwards, too."""
    installed()
    return tuple(dict.fromkeys(method for plugin in map(load, names) for method in plugin.methods))


_LOADED: dict[str, Plugin] = {}
"""By absolute path: the command line and a job inside this process name the same file differently."""


def load(name: str) -> Plugin:
    """Run the file or import the package once in this process. Raises UserError that names file and line."""
    (place,) = absolute([name])
    if place not in _LOADED:
        _LOADED[place] = _load(name)
    return _LOADED[place]


def find(kind: Kind, name: str) -> Brought | None:
    """What a plugin or an installed package brought under `name`; None for what this project has itself."""
    for plugin in _LOADED.values():
        if (brought := plugin.brought.get((kind, name))) is not None:
            return brought
    if kind == "method" and (point := installed().get(name)) is not None:
        from baselines import METHODS

        return Brought(value=METHODS.get(name), modules=frozenset({point.module}))
    return None


def _load(name: str) -> Plugin:
    from baselines import METHODS

    before, modules = _there(), set(sys.modules)
    with contextlib.redirect_stdout(sys.stderr), _compiled_anew():  # standard output is the harness's alone
        module = _run_file(Path(name)) if _is_file(name) else _import(name)
    new = {place: value for place, value in _there().items() if before.get(place) is not value}
    new = new or {("method", method): METHODS.get(method) for method in _registered_by(module)}
    if not new:
        raise UserError("registers no method", name, 'end it with METHODS.register("my-name", Method(...))')
    came = frozenset({module.__name__, *(set(sys.modules) - modules)})
    for kind, own in new:
        if kind == "method":
            METHODS.tell(own, module.__doc__ or "")
    brought = {place: Brought(value=value, modules=came) for place, value in new.items()}
    return Plugin(name=name, brought=brought)


def _there() -> dict[tuple[Kind, str], object]:
    """All that a plugin may add to, as it is now; what this project has in files and nobody asked for aside."""
    from baselines import ARCHITECTURES, METHODS
    from baselines.parts.surrogates import SURROGATES
    from harness import data
    from harness.data.augment import AUGMENTATIONS

    own: dict[Kind, Mapping[str, object]] = {
        "method": {name: METHODS.get(name) for name in METHODS.registered if not METHODS.builtin(name)},
        "architecture": {n: ARCHITECTURES.get(n) for n in ARCHITECTURES.registered if not ARCHITECTURES.builtin(n)},
        "dataset": data.registered(),
        "surrogate": SURROGATES,
        "augmentation": AUGMENTATIONS,
    }
    return {(kind, name): value for kind, values in own.items() for name, value in values.items()}


@contextlib.contextmanager
def _compiled_anew() -> Iterator[None]:
    """Bytecode that was kept is not believed: it is told by time and size, so an edit may have the code of before."""
    before = sys.pycache_prefix, sys.dont_write_bytecode
    sys.pycache_prefix, sys.dont_write_bytecode = str(Path(os.devnull) / "none"), True
    try:
        yield
    finally:
        sys.pycache_prefix, sys.dont_write_bytecode = before


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
    path, shown = path.resolve(), str(path)
    place = hashlib.sha256(str(path).encode()).hexdigest()[:8]
    name = "_".join(["plugin", re.sub(r"\W", "_", path.stem), place])
    # As a package of its folder, so that it can import its neighbours: from . import parts
    spec = importlib.util.spec_from_file_location(name, path, submodule_search_locations=[str(path.parent)])
    if spec is None or path.suffix != ".py":
        raise UserError("is no Python file", shown, "give --plugin FILE.py or the name of an installed package")
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))  # and: import parts, from any working folder, in a job as here
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickles look it up there
    try:
        content = path.read_bytes()
        sources.remember(path, content)
        exec(compile(content, str(path), "exec", dont_inherit=True), module.__dict__)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise _blamed(error, path, shown) from error
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


def own_line(error: BaseException) -> str:
    """``mine.py:12: y = x.foo()``: the last line beside a plugin's own that led to `error`; empty without one."""
    beside = {str(Path(place).parent) if _is_file(place) else _folder(place) for place in _LOADED}
    frames = [f for f in traceback.extract_tb(error.__traceback__) if str(Path(f.filename).parent) in beside]
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}: {frames[-1].line}" if frames else ""


def _folder(package: str) -> str:
    return str(Path(getattr(sys.modules.get(package), "__file__", None) or package).parent)


def _registered_by(module: ModuleType) -> tuple[str, ...]:
    """For a package that was imported before this call: the methods that stand in its names."""
    from baselines import METHODS

    values = [value for value in vars(module).values() if not isinstance(value, ModuleType)]
    return tuple(m for m in METHODS if not METHODS.builtin(m) and any(METHODS.get(m) is value for value in values))
