"""The functions of `import harness`, by the examples of docs/python.md."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import stand_in
import torch

import harness
from baselines import METHODS
from baselines.method import Method
from baselines.methods.mpbn import MPBN
from baselines.network import Network
from baselines.parts.neurons import FoldedFire
from baselines.parts.normalisations import TdBN
from harness import environment, interface, plugins, requests
from harness.arguments import parse
from harness.errors import UserError
from harness.identity import spelled
from harness.identity.value import describe
from harness.jobs import launch
from harness.spec import Cell
from harness.store import Store
from harness.train import worker

ROOT = Path(__file__).parents[1]
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", (ROOT / "docs/python.md").read_text(encoding="utf-8"), re.M | re.S)
PUBLIC = ("claims", "compare", "load_network", "results", "run", "table")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in; what is registered there is forgotten."""
    for method in METHODS:
        METHODS.get(method)
    monkeypatch.setattr(METHODS, "_entries", dict(METHODS._entries))
    monkeypatch.setattr(plugins, "_LOADED", {})
    monkeypatch.setenv(environment.COMMAND, "")
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.setenv(name, "1")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs in this process that train nothing, and leave the weights that a network begins with."""
    monkeypatch.setattr(interface, "_here", lambda place: "inline")
    monkeypatch.setattr(launch, "worker", untrained)


def untrained(cell: Cell, store_root: Path, *rest: object) -> str:
    status = stand_in.train(cell, store_root)
    if cell.method == "mpbn":
        _, network = worker.prepare(cell, None)
        torch.save(network.state_dict(), Store(store_root).folder(cell) / "weights.pt")
    return status


def test_the_examples(here: Path, cheap: None) -> None:
    names: dict = {}
    for example in EXAMPLES:
        exec(compile(example, "docs/python.md", "exec"), names)
    assert set(re.findall(r"harness\.(\w+)\(", "".join(EXAMPLES))) == set(PUBLIC)
    cells, curves, found = names["cells"], names["curves"], names["found"]
    assert sorted(cells["method"]) == ["mpbn"] * 2 + ["mpbn-on-tdbn"] * 2 + ["vanilla"] * 2
    assert set(cells["status"]) == {"done"} and set(curves["key"]) == set(cells["key"])
    assert [row["n"] for row in names["shown"]] == [2] * 4 and names["data"]["accuracy"].isna().all()
    assert {row["method"] for row in found} == {"mpbn-on-tdbn"} and len(found) == 2
    assert "<td>mpbn-on-tdbn</td>" in found._repr_html_() and "<html" not in found._repr_html_()
    folded, trained = names["network"], names["trained"]
    assert isinstance(folded, Network) and not folded.training and not trained.training
    kinds = [any(isinstance(module, FoldedFire) for module in each.modules()) for each in (folded, trained)]
    assert kinds == [True, False]
    assert len(names["claims"]) == 30


def test_a_call_leaves_the_command_that_repeats_it(here: Path, cheap: None, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[requests.Asked] = []
    monkeypatch.setattr("harness.verbs.run.train", lambda asked, *rest: seen.append(asked))
    with pytest.raises(AttributeError):
        harness.run("table1", preset="smoke", seeds="0-2,7", only="timesteps=1", store="my runs", jobs=2)
    with pytest.raises(AttributeError):
        harness.compare("mpbn", on="table1", seeds=range(2), data=Path("d"))
    asked = [parse(asked.words) for asked in seen]
    assert isinstance(asked[0], requests.Run) and isinstance(asked[1], requests.Compare)
    assert asked[0].asked == requests.Asked(
        targets=("table1",), preset="smoke", seeds=(0, 1, 2, 7), only=("timesteps=1",), store=Path("my runs")
    )
    assert (asked[0].how.jobs, asked[0].how.on, asked[1].how.on) == (2, "inline", "inline")
    assert asked[1].asked == requests.Asked(seeds=(0, 1), data=Path("d"))
    assert (asked[1].method, asked[1].table) == ("mpbn", "table1")


def test_importing_costs_nothing_and_says_what_there_is() -> None:
    code = (
        "import sys, time; t = time.perf_counter(); import harness; took = time.perf_counter() - t\n"
        "assert harness.table and harness.UserError\n"
        "print(*{name.partition('.')[0] for name in sys.modules}); assert took < 0.1, took"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    assert not {"torch", "numpy", "pandas", "msgspec", "rich"} & set(done.stdout.split())
    assert {*PUBLIC, "UserError", "__version__"} <= set(dir(harness)) and set(harness.__all__) <= set(dir(harness))
    with pytest.raises(AttributeError, match="no attribute 'tabel'"):
        harness.tabel  # noqa: B018


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: harness.table("tabel1"), "did you mean `table1`"),
        (lambda: harness.table("table1", preset="smok"), "did you mean `smoke`"),
        (lambda: harness.table("table1", seeds=[-1]), "is no list of seeds"),
        (lambda: harness.table("table1", seeds=[]), "is no list of seeds"),
        (lambda: harness.table("table1", only={"method": "mpnb"}), "did you mean `mpbn`"),
        (lambda: harness.run("table1", on="cluster"), "python -m harness run --on cluster"),
        (lambda: harness.compare(object(), on="table1"), "a object is no method"),  # type: ignore[arg-type]
        (lambda: harness.compare(Method(), name="no name", on="table1"), "no method can be called"),
        (lambda: harness.load_network("abcdef"), "no cell `abcdef`"),
    ],
)
def test_bad_input_is_a_user_error(call, told: str, here: Path) -> None:
    with pytest.raises(UserError, match=re.escape(told)):
        call()


def test_an_unknown_option_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="unexpected argument 'presets'; known: preset"):
        harness.table("table1", presets="smoke")  # type: ignore[call-arg]


# --- A method given as an object --------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [*METHODS, "mine"])
def test_a_method_is_spelled_so_that_another_process_makes_the_same(method: str) -> None:
    value = replace(MPBN, normalisation=TdBN()) if method == "mine" else METHODS.get(method)
    expression, modules = spelled.spell(value)
    names: dict = {}
    exec("".join(f"import {module}\n" for module in modules), names)
    assert describe(eval(expression, names), set()) == describe(value, set())


@dataclass(frozen=True)
class Mine:
    """What a notebook has."""


def test_what_no_other_process_can_import_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Mine, "__module__", "__main__")
    with pytest.raises(UserError, match="`Mine`, which no other process can import, is part of it; put it into a file"):
        spelled.module(replace(MPBN, normalisation=Mine()))
    with pytest.raises(UserError, match="<lambda>`, which"):
        spelled.spell(lambda: None)


def test_the_name_is_by_the_value() -> None:
    one, other = spelled.module(MPBN), spelled.module(replace(MPBN, normalisation=TdBN()))
    assert one[0] == spelled.module(replace(MPBN))[0] != other[0]
    assert spelled.module(MPBN, "mine")[0] == "mine"
