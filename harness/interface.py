"""The verbs as functions: each makes the request that the command line would make, and answers with rows.

Every function raises UserError (`harness.UserError`) for bad input, with what to do instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

from harness import requests
from harness.errors import UserError
from harness.shown import Shown

if TYPE_CHECKING:
    import pandas as pd

    from baselines.method import Method
    from baselines.network import Network
    from harness.verbs.session import Seen

METHODS_HERE = ".methods"
"""Folder of a store: methods that were given as objects."""


class Selection(TypedDict, total=False):
    """Which cells, of which store, on which data: as the options of the same names."""

    preset: str
    protocol: str
    seeds: Iterable[int]
    only: str | Mapping[str, object]
    """``"method=mpbn,timesteps=2"``, or ``{"method": "mpbn", "timesteps": [1, 2]}``."""
    mixed: bool
    plugin: str | Path | Sequence[str | Path]
    store: str | Path
    data: str | Path


def table(name: str | Path, **selection: Unpack[Selection]) -> Shown:
    """A table as the store has it; trains nothing."""
    from harness import tables
    from harness.verbs.looking import look

    asked = _asked(selection, name)
    return _tables(look(replace(asked, words=requests.words("table", asked)), tables.load_table))


def run(
    *targets: str | Path,
    on: str = "local",
    jobs: int | None = None,
    threads: int = 1,
    recompute: Literal["nothing", "neurons", "everything"] = "nothing",
    retry_failed: bool = False,
    **selection: Unpack[Selection],
) -> Shown:
    """Train what is missing of tables or cells, on this machine; then as `table`. Interrupted, it goes on next time."""
    from harness.verbs import run as verb

    how = requests.How(
        on=_here(on), jobs=jobs, threads=threads, recompute=recompute, retry="failed" if retry_failed else None
    )
    asked = _asked(selection, *targets)
    asked = replace(asked, words=requests.words("run", asked, how))
    return _tables(verb.train(asked, how, lambda problems: None))


def compare(
    method: Method | str | Path,
    *,
    on: str | Path,
    name: str = "",
    train_baselines: bool = False,
    rounds: int = 0,
    place: str = "local",
    jobs: int | None = None,
    **selection: Unpack[Selection],
) -> Shown:
    """A method (an object, a file that registers it, a known name) against the rows of a table; trains what is missing.

    `name` is what an object is called in the store; by default a name of its value. `rounds`: how often each network is
    timed.
    """
    from harness.verbs import compare as verb
    from harness.verbs import run as running

    asked = _asked(selection)
    given = str(method) if isinstance(method, str | Path) else _written(method, name, asked.store)
    how = requests.How(on=_here(place), jobs=jobs)
    request = verb.checked(
        requests.Compare(
            method=given, table=str(on), asked=asked, how=how, train_baselines=train_baselines, rounds=rounds
        )
    )
    words = requests.words("compare", request.asked, how, given, "--on", str(on))
    request = replace(request, asked=replace(request.asked, words=words))
    seen = running.train(request.asked, request.how, lambda problems: None, verb.making(request))
    found = verb.answer(request, seen)
    pages = (found.learned, found.costs) if rounds else (found.learned,)
    return Shown(pages=pages, complete=found.complete, problems=found.problems, latex=found.latex)


def claims(
    *names: str, explain: bool = False, bench: str | Path = requests.Claims.bench, **selection: Unpack[Selection]
) -> Shown:
    """Every claim of the paper, or those named: as printed, as measured; trains nothing."""
    from harness.verbs import ledger

    request = requests.Claims(asked=_asked(selection), names=names, explain=explain, bench=Path(bench))
    pages, problems = ledger.pages(request)
    return Shown(pages=tuple(pages), complete=True, problems=problems)


def results(*, epochs: bool = False, store: str | Path = requests.Asked.store) -> pd.DataFrame:
    """All that a store holds, tidy: a row a cell, or with `epochs` a row an epoch of each; `key` joins the two."""
    from harness.store import Store, frame
    from harness.store.result import Result

    here = Store(Path(store))
    found = ((cell, here.outcome(cell)) for cell in here.cells())
    return frame.epochs(o for _, o in found if isinstance(o, Result)) if epochs else frame.cells(found)


def load_network(
    cell: str,
    *,
    folded: bool = True,
    store: str | Path = requests.Asked.store,
    data: str | Path | None = None,
    plugin: str | Path | Sequence[str | Path] = (),
) -> Network:
    """The trained network of a cell (by key or label) in evaluation mode: everything folded, or as it was trained."""
    from harness.export import network
    from harness.measure import trained
    from harness.store import Store
    from harness.verbs.show import find_cell

    asked, here = find_cell(cell, Store(Path(store)))
    loaded = trained.load(asked, here, Path(data) if data is not None else None, _several(plugin)).network.cpu()
    return network.folded(loaded) if folded else loaded


# --- Requests ---------------------------------------------------------------------------------------------------------


def _asked(selection: Mapping[str, Any], *targets: str | Path) -> requests.Asked:
    if odd := sorted(selection.keys() - Selection.__annotations__.keys()):
        raise TypeError(f"unexpected argument {odd[0]!r}; known: {', '.join(Selection.__annotations__)}")
    given = dict(selection)
    for name in ("store", "data"):
        if given.get(name) is not None:
            given[name] = Path(given[name])
    if "seeds" in given:
        given["seeds"] = _seeds(given["seeds"])
    given |= {"only": _only(given.get("only", ())), "plugin": _several(given.get("plugin", ()))}
    return requests.Asked(targets=tuple(map(str, targets)), **given)


def _seeds(given: Any) -> tuple[int, ...]:
    from harness.arguments.values import seeds

    text = given if isinstance(given, str) else ",".join(map(str, [given] if isinstance(given, int) else given))
    return seeds(text)


def _only(given: str | Mapping[str, object] | Sequence[str]) -> tuple[str, ...]:
    if isinstance(given, str):
        return (given,)
    if not isinstance(given, Mapping):
        return tuple(given)
    return tuple(f"{key}={'|'.join(map(str, _listed(values)))}" for key, values in given.items())


def _listed(values: object) -> Iterable[object]:
    return values if isinstance(values, Iterable) and not isinstance(values, str) else [values]


def _several(given: str | Path | Sequence[str | Path]) -> tuple[str, ...]:
    return tuple(map(str, [given] if isinstance(given, str | Path) else given))


def _here(on: str) -> str:
    """Raises UserError for a cluster: a call that waits for its queue is no call."""
    from harness.clusters import HERE

    if on not in HERE:
        raise UserError(f"`{on}` is no place that a call runs at", "harness", f"type: python -m harness run --on {on}")
    return on


def _written(method: object, name: str, store: Path) -> str:
    """A known method's own name, or the file that registers this one, written into the store."""
    from baselines import METHODS
    from baselines.method import Method
    from harness import durable
    from harness.identity import spelled

    if not isinstance(method, Method):
        raise UserError(f"a {type(method).__name__} is no method", "compare", "give a Method, or the path of a file")
    if known := next((known for known in METHODS.registered if METHODS.get(known) is method), ""):
        return known
    name, source = spelled.module(method, name)
    folder = store / METHODS_HERE
    durable.make_folder(folder)
    path = folder / f"{name}.py"
    durable.write(path, source.encode())
    return str(path)


def _tables(seen: Seen) -> Shown:
    from harness.render import table_page
    from harness.spec import Figure

    found = zip(seen.plans, seen.states, strict=True)
    pages = [table_page(plan, state.outcomes) for plan, state in found if not isinstance(plan.table, Figure)]
    return Shown(pages=tuple(pages), complete=seen.complete, problems=seen.problems)
