"""`compare METHOD --on TABLE`: train what is missing of a user's method, then hold it against the rows of the table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import baselines
from harness import clusters, data, plugins, tables
from harness.comparison import Compared, Finding, Pairing, compare, pairing
from harness.errors import UserError, did_you_mean
from harness.plan import Identify, Plan, parse_only, state, stored_data
from harness.requests import Asked, Compare
from harness.spec import Cell
from harness.stats import Outcome
from harness.store import Store
from harness.store.result import Result
from harness.verbs import session
from harness.verbs.run import Make

if TYPE_CHECKING:
    from harness.render.comparison import Priced, Side
    from harness.render.page import Page

SECONDS = 10.0
"""What timing one setting's training steps may take on the wall, and its folded passes again."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    learned: Page
    costs: Page
    latex: tuple[str, ...]
    complete: bool
    """Every comparison has all its pairs."""
    problems: tuple[UserError, ...]


def checked(request: Compare) -> Compare:
    """With the method's file among the plugins. Raises UserError for a place where a table goes."""
    if request.table in clusters.HERE:
        advice = f"type: python -m harness compare METHOD.py --on table1 --place {request.table}"
        raise UserError(f"`{request.table}` is a place", "compare --on", advice)
    if not _is_plugin(request.method):
        return request
    return replace(request, asked=replace(request.asked, plugin=(*request.asked.plugin, request.method)))


def making(request: Compare) -> Make:
    """For `run`: what is to be trained."""

    def make(asked: Asked, store: Store, identify: Identify) -> tuple[Plan, ...]:
        made = _pairing(request, identify)
        return (made.mine, made.rows) if request.train_baselines else (made.mine,)

    return make


def answer(request: Compare, seen: session.Seen, tell: Callable[[str], None] = lambda line: None) -> Answer:
    """What the store holds now, compared; costs are measured here unless `--rounds 0`."""
    from harness.render.comparison import comparison_pages, latex_rows

    store = Store(request.asked.store)
    identify = session.at_hand(request.asked.data, store, {}) if request.asked.data else stored_data(store)
    made = _pairing(request, _same_data(seen, identify))
    states = [state(plan, store) for plan in (made.mine, made.rows)]
    outcomes = {key: outcome for each in states for key, outcome in each.outcomes.items()}
    found = compare(made, outcomes)
    prices = [_counted(c, outcomes) for c in found]
    untold: list[str] = []
    if request.rounds:
        prices = _measured(found, prices, outcomes, request, tell, untold)
    learned, costs = comparison_pages(
        found,
        prices,
        table=made.rows.table.name,
        protocol=made.rows.protocol,
        preset=made.rows.preset,
        notes=untold,
    )
    missing = [cell for cell in made.rows.cells if cell.key not in outcomes]
    problems = {str(problem): problem for problem in (*seen.problems, *store.problems, *_untrained(missing, request))}
    complete = bool(found) and all(c.finding != Finding.INCOMPLETE for c in found)
    return Answer(
        learned=learned,
        costs=costs,
        latex=latex_rows(found),
        complete=complete,
        problems=tuple(problems.values()),
    )


def _pairing(request: Compare, identify: Identify) -> Pairing:
    context = session.context_for(request.asked)
    methods = _methods(request.method)
    table = tables.load_table(request.table)
    session.held(table, request.table, context)
    return pairing(table, methods, context, parse_only(request.asked.only), identify)


def _methods(given: str) -> tuple[str, ...]:
    """Those that a file or package registers, or one that is known by its name. Raises UserError."""
    if _is_plugin(given):
        return plugins.load(given).methods
    return (given,)


def _is_plugin(given: str) -> bool:
    """Raises UserError for what is neither a known method nor a file or package."""
    plugins.installed()
    if given in baselines.METHODS:
        return False
    if not given.endswith(".py") and "/" not in given and not plugins.importable(given):
        known = did_you_mean(given, list(baselines.METHODS))
        raise UserError(
            f"no method `{given}`", "compare", f"{known}; or give a file, my_method.py: new method my_method"
        )
    return True


def _same_data(seen: session.Seen, otherwise: Identify) -> Identify:
    """The samples that were just planned with, so that all sides are looked for on the same."""
    planned = {cell.dataset: cell.data for plan in seen.plans for cell in plan.cells}
    return lambda cells: {**otherwise(cells), **planned}


def _untrained(missing: Sequence[Cell], request: Compare) -> Iterator[UserError]:
    if missing and not request.train_baselines:
        few = f"{len(missing)} cell{'s' * (len(missing) != 1)} of the rows it is held against"
        verb = "are" if len(missing) != 1 else "is"
        yield UserError(
            f"{few} {verb} not trained", to_type=f"to train them too, type: {request.asked.command} --train-baselines"
        )


# --- What it costs ----------------------------------------------------------------------------------------------------


def _counted(c: Compared, outcomes: Mapping[str, Outcome]) -> Priced:
    """Parameters, as the results say."""
    from harness.render.comparison import Priced, Side

    mine, theirs = (next(_results(line.cells, outcomes), None) for line in (c.own, c.row))
    return Priced(
        mine=Side(parameters=mine.parameters if mine else None),
        theirs=Side(parameters=theirs.parameters if theirs else None),
    )


def _results(cells: Sequence[Cell], outcomes: Mapping[str, Outcome]) -> Iterator[Result]:
    for cell in cells:
        if isinstance(found := outcomes.get(cell.key), Result):
            yield found


def _measured(
    found: Sequence[Compared],
    prices: Sequence[Priced],
    outcomes: Mapping[str, Outcome],
    request: Compare,
    tell: Callable[[str], None],
    untold: list[str],
) -> list[Priced]:
    """With times and operations, setting by setting; what could not be measured goes into `untold`."""
    priced = list(prices)
    for own in dict.fromkeys(c.own.number for c in found):
        places = [i for i, c in enumerate(found) if c.own.number == own]
        cell = found[places[0]].own.cells[0]
        tell(f"timing {cell.label.rpartition('/')[0]} beside {len(places)} other{'s' * (len(places) != 1)}")
        try:
            loaded = data.load(cell.dataset, request.asked.data, cell.recipe, cell.timesteps, device="cpu")
        except UserError as error:
            untold.append(f"Times and operations on {cell.dataset} are not measured: {error.what}.")
            continue
        images, _ = next(iter(loaded.test.batches(1)))
        still = images.dim() == 4
        _price(priced, places, found, loaded.shape, loaded.classes, still, outcomes, request.rounds)
    return priced


def _price(
    priced: list[Priced],
    places: Sequence[int],
    found: Sequence[Compared],
    shape: tuple[int, int, int],
    classes: int,
    still: bool,
    outcomes: Mapping[str, Outcome],
    rounds: int,
) -> None:
    """Fill in `priced` at `places`, which share the user's line."""
    from harness.measure.cost import costs
    from harness.render.comparison import Measure

    own = found[places[0]].own
    others = list(dict.fromkeys(found[i].row.row.method for i in places))
    taken = costs(own.row.method, others, own.cells[0], shape, classes, rounds=rounds, seconds=SECONDS)
    sides = {line.number: line for i in places for line in (found[i].row,)}
    mine = _operations(own.cells, shape, classes, still, outcomes)
    theirs = {number: _operations(line.cells, shape, classes, still, outcomes) for number, line in sides.items()}
    for i in places:
        cost = taken[found[i].row.row.method]
        step, latency = (
            Measure(ratio=b.ratio.value, low=b.ratio.low, high=b.ratio.high, verdict=b.verdict, rounds=b.rounds)
            if b is not None
            else None
            for b in (cost.step, cost.latency)
        )
        other = theirs[found[i].row.number]
        priced[i] = replace(
            priced[i],
            mine=replace(mine, parameters=priced[i].mine.parameters),
            theirs=replace(other, parameters=priced[i].theirs.parameters),
            step=step,
            latency=latency,
        )


def _operations(
    cells: Sequence[Cell], shape: tuple[int, int, int], classes: int, still: bool, outcomes: Mapping[str, Outcome]
) -> Side:
    """Mean over the seeds that have a result; empty without one."""
    from harness.measure.operations import inference
    from harness.render.comparison import Side

    proved = [result for result in _results(cells, outcomes) if result.firing_rates]
    counted = [inference(result, shape, classes, still=still) for result in proved]
    if not counted:
        return Side()
    n = len(counted)
    return Side(
        macs=sum(o.macs for o in counted) / n,
        acs=sum(o.acs for o in counted) / n,
        microjoules=sum(o.microjoules for o in counted) / n,
    )
