"""One key for one code: whatever changes what a cell computes changes its key, and nothing else does."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
import pytest

from baselines import ARCHITECTURES, METHODS
from harness import plugins, sources
from harness.errors import UserError
from harness.identity import code, vouched
from harness.spec import Cell, Recipe

CELL = Cell(method="mine", architecture="resnet20", dataset="digits", timesteps=2, seed=0, recipe=Recipe(epochs=1))
MINE = """
from dataclasses import replace
from baselines import METHODS
from baselines.parts.normalisations import TdBN
METHODS.register("mine", replace(METHODS.get("mpbn"), normalisation=TdBN()))
"""
NEURON = """
from dataclasses import dataclass, replace
from baselines import METHODS
from baselines.parts.neurons import LIF
@dataclass(frozen=True)
class Charge:
    tau: float = 0.5
    def __call__(self, v, x):
        return self.tau * v + x
NEURON = replace(LIF, charge=Charge())
"""
OWN_NEURON = MINE.replace("normalisation=TdBN()", "neuron=NEURON")
BLOCKS = """
from torch import nn
from baselines import ARCHITECTURES
def small(parts, shape, classes, width):
    return nn.Sequential(parts.conv_norm(shape[0], 8), nn.Flatten(), nn.LazyLinear(classes))
ARCHITECTURES.register("small", small)
"""


@pytest.fixture(autouse=True)
def forget(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    with forgotten():
        yield


@contextlib.contextmanager
def forgotten() -> Iterator[None]:
    """A process that has loaded no plugin yet, as each command is."""
    path, registries = sys.path.copy(), (METHODS, ARCHITECTURES)
    yield
    for registry in registries:
        for name in [name for name in registry._entries if not registry.builtin(name)]:
            del registry._entries[name]
    for name in [name for name, module in sys.modules.items() if _is_here(module)]:
        del sys.modules[name]
    plugins._LOADED.clear()
    sources._LOADED.clear()
    sys.path[:] = path


def _is_here(module: object) -> bool:
    return str(getattr(module, "__file__", None) or "").startswith(str(Path.cwd()))


def key(*given: str, method: str = "mine", architecture: str = "resnet20") -> str:
    """Of the cell, planned by a new process that is given these plugins."""
    with forgotten():
        plugins.load_plugins(given)
        return code.stamping()(msgspec.structs.replace(CELL, method=method, architecture=architecture)).key


def write(files: Mapping[str, str]) -> None:
    for name, text in files.items():
        Path(name).parent.mkdir(exist_ok=True, parents=True)
        Path(name).write_text(text)


REGISTER = 'METHODS.register("mine", replace(METHODS.get("mpbn"), neuron=NEURON))\n'
DERIVED = "from dataclasses import replace\nfrom baselines import METHODS\n"
NORM = "from baselines.parts.normalisations import TdBN\nNORM = TdBN()\n"
COMPUTED = "import importlib\nimportlib.import_module('hel' + 'per')\n"
CASES = {
    "the file itself": ({"mine.py": MINE}, ("mine.py",), ("mine.py", "TdBN()", "TdBN(momentum=0.9)")),
    "a helper": (
        {"mine.py": "from helper import NEURON\n" + OWN_NEURON, "helper.py": NEURON},
        ("mine.py",),
        ("helper.py", "self.tau * v", "self.tau * v * v"),
    ),
    "a helper imported by a helper": (
        {
            "mine.py": DERIVED + "from one import NEURON\n" + REGISTER,
            "one.py": "from two import NEURON\n",
            "two.py": NEURON,
        },
        ("mine.py",),
        ("two.py", "self.tau * v", "self.tau * v * v"),
    ),
    "a neighbour": (
        {"mine.py": "from . import helper\n" + MINE.replace("TdBN()", "helper.NORM"), "helper.py": NORM},
        ("mine.py",),
        ("helper.py", "TdBN()", "TdBN(momentum=0.9)"),
    ),
    "a helper imported where it is used": (
        {"mine.py": MINE + "def late():\n    import helper\n", "helper.py": "ONE = 1\n"},
        ("mine.py",),
        ("helper.py", "1", "2"),
    ),
    "a helper imported by a computed name": (
        {"mine.py": COMPUTED + MINE, "helper.py": "ONE = 1\n"},
        ("mine.py",),
        ("helper.py", "1", "2"),
    ),
    "the plugin that another is derived from": (
        {
            "base.py": NEURON + REGISTER.replace("mine", "base"),
            "derived.py": DERIVED + 'METHODS.register("mine", replace(METHODS.get("base"), description="mine"))\n',
        },
        ("base.py", "derived.py"),
        ("base.py", "self.tau * v", "self.tau * v * v"),
    ),
    "a value of it": (
        {
            "base.py": NEURON + "NEURON = replace(LIF, v_th=0.5)\n" + REGISTER.replace("mine", "base"),
            "derived.py": DERIVED + 'METHODS.register("mine", replace(METHODS.get("base"), description="mine"))\n',
        },
        ("base.py", "derived.py"),
        ("base.py", "v_th=0.5", "v_th=0.6"),
    ),
    "another module of the package": (
        {
            "mypkg/__init__.py": "",
            "mypkg/methods.py": "from mypkg.parts import NEURON\n" + OWN_NEURON,
            "mypkg/parts.py": NEURON,
        },
        ("mypkg.methods",),
        ("mypkg/parts.py", "self.tau * v", "self.tau * v * v"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_an_edit_of_any_code_of_a_users_method_changes_its_key(case: str) -> None:
    files, given, (name, old, new) = CASES[case]
    write(files)
    before = key(*given)
    assert key(*given) == before
    assert old in files[name]
    write({name: files[name].replace(old, new)})
    assert key(*given) != before
    write({name: files[name]})
    assert key(*given) == before


def test_a_built_in_method_on_a_users_architecture_has_the_architecture_in_its_key() -> None:
    write({"mine.py": BLOCKS})
    before = key("mine.py", method="vanilla", architecture="small")
    write({"mine.py": BLOCKS.replace("shape[0], 8", "shape[0], 16")})
    assert key("mine.py", method="vanilla", architecture="small") != before
    assert key("mine.py", method="vanilla") == key(method="vanilla")


def test_a_value_from_outside_the_source_is_in_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    neuron = 'import os\nNEURON = replace(LIF, v_th=float(os.environ["V"]))\n'
    write({"mine.py": NEURON + neuron + REGISTER})
    keys = set()
    for value in ("0.5", "0.25", "0.5"):
        monkeypatch.setenv("V", value)
        keys.add(key("mine.py"))
    assert len(keys) == 2


def test_where_a_file_lies_and_what_it_is_called_is_not_in_the_key() -> None:
    write({"mine.py": MINE, "elsewhere/yours-2.py": MINE})
    assert key("mine.py") == key("elsewhere/yours-2.py") != key(method="mpbn")


def test_a_plugin_that_is_not_used_changes_no_key() -> None:
    write({"mine.py": MINE, "other.py": MINE.replace('"mine"', '"other"')})
    assert key("mine.py") == key("mine.py", "other.py") == key("other.py", "mine.py")


@pytest.mark.parametrize(
    "part", ["lambda v, x: v + x", "functools.partial(max, 1)", "Slots(2)", "[].append", "torch.ones(3)"]
)
def test_any_part_that_can_be_told_is_told(part: str) -> None:
    text = "import functools, torch\nclass Slots:\n    __slots__ = ('n',)\n    def __init__(self, n): self.n = n\n"
    register = 'METHODS.register("mine", replace(METHODS.get("mpbn"), neuron=replace(LIF, charge=PART)))\n'
    write({"mine.py": NEURON + text + register.replace("PART", part)})
    before = key("mine.py")
    assert key("mine.py") == before


def test_what_has_no_value_is_one_line() -> None:
    register = 'METHODS.register("mine", replace(METHODS.get("mpbn"), neuron=replace(LIF, charge=iter([]))))\n'
    write({"mine.py": NEURON + register})
    with pytest.raises(UserError, match=r"no value that a key can hold.*frozen dataclass"):
        key("mine.py")


def test_bytecode_of_before_an_edit_is_not_run() -> None:
    """As large, in the same second: what Python's own check of kept bytecode does not see."""
    write(
        {
            "mine.py": "from helper import MOMENTUM\n" + MINE.replace("TdBN()", "TdBN(momentum=MOMENTUM)"),
            "helper.py": "MOMENTUM = 0.5\n",
        }
    )
    os.utime("helper.py", (1, 1))
    import helper  # type: ignore[import-not-found]  # noqa: F401 - keeps its bytecode

    sys.modules.pop("helper")
    before = key("mine.py")
    write({"helper.py": "MOMENTUM = 0.7\n"})
    os.utime("helper.py", (1, 1))
    with forgotten():
        plugins.load_plugins(["mine.py"])
        assert METHODS.get("mine").normalisation.momentum == 0.7  # type: ignore[attr-defined]
    assert key("mine.py") != before


def test_what_a_plugin_prints_is_not_the_result(capsys: pytest.CaptureFixture[str]) -> None:
    write({"mine.py": "print('hello')\n" + MINE})
    key("mine.py")
    assert capsys.readouterr() == ("", "hello\n")


@pytest.mark.parametrize(("name", "said"), [("folder/", "no such file"), ("folder/mine", "is no Python file")])
def test_what_is_no_python_file_is_one_line(name: str, said: str) -> None:
    write({"folder/mine": MINE})
    with pytest.raises(UserError, match=said):
        key(name)


# --- this project's own code ------------------------------------------------------------------------------------------


def edited(monkeypatch: pytest.MonkeyPatch, path: str, text: str, tmp_path: Path) -> None:
    """`path` of this project, as if it said `text`."""
    file = tmp_path / f"{len(list(tmp_path.iterdir()))}.py"
    file.write_text(text)
    there = {**vouched.files(), path: file}
    monkeypatch.setattr(vouched, "files", lambda: there)


@pytest.mark.parametrize(
    "path",
    ["baselines/parts/neurons.py", "harness/train/loop.py", "harness/data/augment.py", "baselines/parts/mine.py"],
)
def test_code_that_all_share_and_nobody_vouches_for_is_in_every_key(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, path: str
) -> None:
    before = key(method="vanilla")
    edited(monkeypatch, path, "ONE = 1\n", tmp_path)
    one = key(method="vanilla")
    edited(monkeypatch, path, "ONE = 2\n", tmp_path)
    assert len({before, one, key(method="vanilla")}) == 3


@pytest.mark.parametrize("path", ["baselines/methods/mpbn_new.py", "baselines/architectures/resnet20_new.py"])
def test_a_new_file_of_an_entry_is_in_the_keys_of_its_cells_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, path: str
) -> None:
    names = {"method": "mpbn-new"} if "methods" in path else {"method": "mpbn", "architecture": "resnet20-new"}
    keys = []
    for text in ("ONE = 1\n", "ONE = 2\n"):
        edited(monkeypatch, path, text, tmp_path)
        keys += [key(**names), key(method="mpbn")]
    assert keys[0] != keys[2] and keys[1] == keys[3]


def test_an_entry_that_another_imports_is_in_the_key_of_the_other(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    edited(monkeypatch, "baselines/methods/second.py", "from baselines.methods.first import FIRST\n", tmp_path)
    edited(monkeypatch, "baselines/methods/first.py", "FIRST = 1\n", tmp_path)
    before = key(method="second")
    edited(monkeypatch, "baselines/methods/first.py", "FIRST = 2\n", tmp_path)
    assert key(method="second") != before


def test_a_file_that_is_gone_is_in_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = key(method="vanilla")
    there = {path: file for path, file in vouched.files().items() if path != "baselines/recompute.py"}
    monkeypatch.setattr(vouched, "files", lambda: there)
    assert key(method="vanilla") != before


def test_numerics_that_were_raised_make_new_keys_for_whom_it_concerns(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {name: key(method=name) for name in ("mpbn", "vanilla")}
    lock = vouched.vouched()
    monkeypatch.setattr(vouched, "vouched", lambda: msgspec.structs.replace(lock, raised={"mpbn": 1}))
    assert key(method="mpbn") != before["mpbn"] and key(method="vanilla") == before["vanilla"]
    monkeypatch.setattr(vouched, "vouched", lambda: msgspec.structs.replace(lock, raised={"all": 1}))
    assert key(method="vanilla") != before["vanilla"]


def test_vouched_code_leaves_the_key_as_it_always_was() -> None:
    cell = msgspec.structs.replace(CELL, method="mpbn")
    assert code.stamping()(cell) == cell


# --- a job proves it --------------------------------------------------------------------------------------------------


def test_another_code_than_the_key_names_is_refused_and_both_are_named() -> None:
    write({"mine.py": MINE})
    with forgotten():
        plugins.load_plugins(["mine.py"])
        planned = code.stamping()(CELL)
        code.prove(planned)
        write({"mine.py": MINE.replace("TdBN()", "TdBN(momentum=0.9)")})
        code.prove(planned)  # what this process loaded is what the key names, whatever the file says by now
    with forgotten():
        plugins.load_plugins(["mine.py"])
        with pytest.raises(UserError) as refused:
            code.prove(planned)
        assert planned.source in str(refused.value) and code.code_of(CELL).source in str(refused.value)
        assert "run" in refused.value.to_type and "\n" not in str(refused.value)


def test_an_edited_file_of_this_project_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cell = msgspec.structs.replace(CELL, method="mpbn")
    edited(monkeypatch, "baselines/methods/mpbn.py", "ONE = 1\n", tmp_path)
    with pytest.raises(UserError, match=r"baselines/methods/mpbn\.py"):
        code.prove(cell)
