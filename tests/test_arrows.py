"""The house rules that imports and names must keep (CONTRIBUTING.md), read from the source; nothing is run."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[1]
LAYERS = (
    "__main__",
    "cli interface",
    "answers",
    "streams",
    "conformance gap shown",
    "arguments export report verbs",
    "comparison forecast jobs measure plan render statements stats",
    "train",
    "clusters data environment identity plugins store tables",
    # the nouns
    "amounts checks columns decode durable errors interrupts opened printable process requests slurm sources spec "
    "student works",
    "baselines",
)
"""From the top down: a module (of `harness/`, a folder counts as one) imports from its own layer and those below."""
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names.split()}
SAY = {"print", "input", "exit", "quit", "sys.exit", "os._exit", "sys.stdout.write", "sys.stderr.write", "SystemExit"}
SPEAKERS = {"harness.__main__", "harness.cli", "harness.streams", "harness.jobs.supervisor"}


def module(path: Path) -> str:
    """``harness/data/sets/digits.py`` -> ``harness.data.sets.digits``."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


FILES = {module(path): path for top in ("harness", "baselines") for path in sorted((ROOT / top).rglob("*.py"))}


def part(name: str) -> str:
    """What the layers speak of: ``harness.data.sets.digits`` -> ``data``, ``baselines.method`` -> ``baselines``."""
    top, _, rest = name.partition(".")
    return rest.partition(".")[0] if top == "harness" else top


ENGINE = [name for name in FILES if part(name) not in ("", "baselines")]
SCIENCE = [name for name in FILES if part(name) == "baselines"]


@cache
def nodes(name: str) -> list[ast.AST]:
    return list(ast.walk(ast.parse(FILES[name].read_text(encoding="utf-8"))))


def imports(name: str) -> Iterator[str]:
    """Absolute names; late imports and those for types alone count too."""
    for node in nodes(name):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"{name}:{node.lineno}: a relative import hides the arrow"
            found = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from (full if full in FILES else node.module for full in found)


def arrows(name: str) -> set[str]:
    """The parts of this project that `name` needs, its own aside."""
    return {part(found) for found in imports(name)} & set(LEVEL) - {part(name)}


def built_in(folder: str, pattern: str) -> set[str]:
    return {path.stem.replace("_", "-") for path in (ROOT / folder).glob(pattern)}


def test_every_module_has_its_layer() -> None:
    assert sorted({part(name) for name in FILES} - {""}) == sorted(LEVEL), "give it a place in LAYERS"


def test_arrows_point_down_and_none_leads_back() -> None:
    wrong = [f"{name} -> {to}" for name in ENGINE for to in arrows(name) if LEVEL[to] < LEVEL[part(name)]]
    assert not wrong, wrong
    graph: dict[str, set[str]] = {}
    for name in ENGINE:
        graph.setdefault(part(name), set()).update(arrows(name))
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


def test_no_module_needs_one_that_needs_it() -> None:
    TopologicalSorter({name: set(imports(name)) - {name} for name in ENGINE}).prepare()


def test_the_science_needs_torch_alone() -> None:
    allowed = {"baselines", "torch", *sys.stdlib_module_names}
    extra = {"baselines.kernels.on_gpu": {"triton"}}  # imported where it is there, see `kernels/__init__.py`
    wrong = [
        f"{name} -> {to}"
        for name in SCIENCE
        for to in imports(name)
        if to.partition(".")[0] not in allowed | extra.get(name, set())
    ]
    assert not wrong, wrong


def test_the_engine_asks_the_registry() -> None:
    beneath = ("baselines.methods", "baselines.architectures")
    wrong = [f"{name} -> {to}" for name in ENGINE for to in imports(name) if to.startswith(beneath)]
    assert not wrong, wrong


def test_the_engine_names_no_method_architecture_data_set_or_table() -> None:
    known = built_in("baselines/methods", "[!_]*.py") | built_in("baselines/architectures", "[!_]*.py")
    known |= built_in("tables", "table*.toml") | built_in("tables", "figure*.toml")
    sets = built_in("harness/data/sets", "[!_]*.py") - {"digits"}  # an English word too
    assert {"mpbn", "resnet20", "table1", "figure2"} <= known and "cifar10" in sets
    wrong = []
    for name in ENGINE:
        named = known if name.startswith("harness.data.sets.") else known | sets
        docstrings = {id(node.value) for node in nodes(name) if isinstance(node, ast.Expr)}
        texts = [n for n in nodes(name) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
        for line in (line for text in texts if id(text) not in docstrings for line in text.value.splitlines()):
            if "python -m harness" not in line:  # an example of what can be typed
                wrong += [f"{name}: {word}" for word in re.findall(r"[a-z][a-z0-9-]*", line) if word in named]
    assert not wrong, wrong


def test_only_the_command_line_prints_and_exits() -> None:
    wrong = []
    for name in FILES.keys() - SPEAKERS:
        said = [node.func for node in nodes(name) if isinstance(node, ast.Call)]
        said += [node.exc for node in nodes(name) if isinstance(node, ast.Raise) and node.exc]
        wrong += [f"{name}:{node.lineno}: {ast.unparse(node)}" for node in said if ast.unparse(node) in SAY]
    assert not wrong, wrong


def test_no_module_is_a_drawer() -> None:
    assert not {"utils", "util", "helpers", "common", "misc"} & {name.rpartition(".")[2] for name in FILES}
