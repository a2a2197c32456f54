"""Which numbers this project's own code computes: a version of the numerics, and the files that it was vouched for.

The key of a cell holds that version, not the hash of the code, or every comment would make strangers of all results.
What keeps the version honest is `vouched.json`: the hash of every file that can change a number, as it was when the
traces of `tests/numerics/` were last computed and had not moved. `make vouch` computes them and writes it anew. A file
that differs from it, or is not in it, is code that nobody vouches for: its hash is in the key of the cells that use it.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

import msgspec

import baselines
from harness.errors import UserError
from harness.sources import digest

LOCK = Path(__file__).with_name("vouched.json")
HOMES = {"baselines": Path(baselines.__file__).parent, "harness": Path(__file__).parents[1]}
SCOPE = ("baselines", "harness/data", "harness/train")
"""Where the code stands that turns a cell into numbers."""
ENTRIES = ("baselines/methods", "baselines/systems", "baselines/architectures", "harness/data/sets")
"""Folders in which a file is one entry, which the cells of the others do not use."""
SUFFIXES = (".py", ".c", ".h")
ALL = "all"
Unvouched = Callable[[Iterable[str]], dict[str, str]]
EntriesIn = Callable[[Path | None], set[str]]


class Vouched(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    raised: dict[str, int]
    """`all`, or the name of a method, an architecture or a data set -> how often its numbers were changed."""
    files: dict[str, str]
    """Path -> hash of its content."""


@cache
def vouched() -> Vouched:
    """Raises UserError for an installation without its lock, or with a damaged one."""
    try:
        return msgspec.json.decode(LOCK.read_bytes(), type=Vouched)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UserError(
            f"cannot be read ({error})", str(LOCK), "install the harness anew, or type: make vouch"
        ) from error


def numerics(names: Iterable[str]) -> int:
    """Version of the numbers that the entries `names` give: 1, and one more for each change of them since."""
    return 1 + sum(vouched().raised.get(name, 0) for name in {ALL, *names})


def looking() -> Unvouched:
    """`unvouched` of the files as they are now: each is looked at once, however many cells are asked about."""
    there, entries_in = files(), cache(_entries_in)
    hash_of = cache(lambda path: digest(_module(path), there[path]))

    def unvouched(modules: Iterable[str]) -> dict[str, str]:
        known = vouched().files
        found = {path: hash_of(path) for path in _used(modules, there, entries_in)}
        gone = {path: "gone" for path in known if _shared(path) and path not in found}
        return {path: said for path, said in sorted((found | gone).items()) if known.get(path) != said}

    return unvouched


def unvouched(modules: Iterable[str]) -> dict[str, str]:
    """Path -> hash of the files that cells of these entries use, and that are not as they were vouched for."""
    return looking()(modules)


def hashes() -> dict[str, str]:
    """Of every file in the scope, as it is now."""
    return {path: digest(_module(path), file) for path, file in sorted(files().items())}


def files() -> Mapping[str, Path]:
    """Path as the lock names it -> the file."""
    found = {}
    for folder in SCOPE:
        top, _, rest = folder.partition("/")
        for file in (HOMES[top] / rest).rglob("*"):
            if file.suffix in SUFFIXES and not file.name.startswith("."):
                found[f"{top}/{file.relative_to(HOMES[top]).as_posix()}"] = file
    return found


def entry(folder: str, name: str) -> str:
    """The module that has the entry `name` of one of the `ENTRIES`."""
    return f"{folder.replace('/', '.')}.{name.replace('-', '_')}"


def _used(modules: Iterable[str], there: Mapping[str, Path], entries_in: EntriesIn) -> Iterator[str]:
    wanted = set(modules)
    todo = list(wanted)
    while todo:
        for name in entries_in(there.get(_path(todo.pop()))) - wanted:
            wanted.add(name)
            todo.append(name)
    for path in there:
        if _shared(path) or _module(path) in wanted:
            yield path


def _entries_in(file: Path | None) -> set[str]:
    """The entries that `file`, one itself, imports."""
    if file is None:
        return set()
    named = set[str]()
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.ImportFrom) and node.module:
            named |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            named |= {alias.name for alias in node.names}
    return {name for name in named if not _shared(_path(name))}


@cache
def _shared(path: str) -> bool:
    """Whether every cell uses the file; those beside the entries whose names begin with ``_`` serve several."""
    folder, _, name = path.rpartition("/")
    return folder not in ENTRIES or name.startswith("_")


@cache
def _module(path: str) -> str:
    return path.rpartition(".")[0].replace("/", ".").removesuffix(".__init__")


def _path(module: str) -> str:
    return f"{module.replace('.', '/')}.py"
