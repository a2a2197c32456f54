"""What a report tells, from the store: planned tables and figures, outcomes, claims, past times. Trains nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness import tables
from harness.errors import UserError
from harness.forecast.history import Past, Place, past
from harness.measure import probing
from harness.measure.spec import Benched
from harness.plan import Line, Plan, State, data_of, parse_only, plan, state
from harness.render.claims import claims_page
from harness.render.page import Page
from harness.requests import Asked, Claims, Report
from harness.spec import Cell, Figure, Preset, Protocol
from harness.statements.recorded import recorded
from harness.stats import Outcome, RowSummary, summarise
from harness.store import Store
from harness.store.probes import Probes
from harness.store.result import Failure, Result
from harness.verbs import elsewhere, ledger, session
from harness.verbs.standings import command


@dataclass(frozen=True, kw_only=True)
class Sight:
    """A planned table or figure, and what the store holds for it."""

    name: str
    """As it can be typed; the file alone where it is a path."""
    plan: Plan
    state: State
    command: str
    """Trains what it misses."""
    probes: Mapping[str, Probes] = field(default_factory=dict)
    """Of a figure that is drawn from them, by key."""

    @property
    def outcomes(self) -> Mapping[str, Outcome]:
        return self.state.outcomes

    def of(self, line: Line) -> list[Result]:
        """The finished cells of a row."""
        found = (self.outcomes.get(cell.key) for cell in line.cells)
        return [outcome for outcome in found if isinstance(outcome, Result)]

    def summary(self, line: Line) -> RowSummary:
        return summarise(line, self.plan, self.outcomes)

    @property
    def probed(self) -> bool:
        """Of a figure that is drawn from probes: one of them is there."""
        name = probing.needed(self.plan)
        return any(getattr(probes, name) is not None for probes in self.probes.values())

    @property
    def begun(self) -> bool:
        """A cell of it has ended, well or not."""
        return any(isinstance(outcome, Result | Failure) for outcome in self.outcomes.values())


@dataclass(frozen=True, kw_only=True)
class Found:
    tables: tuple[Sight, ...]
    figures: tuple[Sight, ...]
    claims: Page
    benches: tuple[Benched, ...]
    past: Mapping[Cell, Past]
    """What the cells without a result will cost, where that is known."""
    paper: tables.Paper
    protocol: Protocol
    preset: Preset | None
    shown: Asked
    """As it can be shown: without the places on this machine."""
    bench: Path
    """The same, of the records of benches."""
    problems: tuple[UserError, ...]

    @property
    def sights(self) -> tuple[Sight, ...]:
        return (*self.tables, *self.figures)

    @property
    def results(self) -> list[Result]:
        """Each once, in table order."""
        found = {o.cell.key: o for sight in self.sights for o in sight.outcomes.values() if isinstance(o, Result)}
        return list(found.values())

    @property
    def unfinished(self) -> list[Cell]:
        """Cells without a result, each once."""
        cells = dict.fromkeys(cell for sight in self.sights for cell in sight.plan.cells)
        return [cell for cell in cells if not any(cell in sight.state.done for sight in self.sights)]


def gather(request: Report) -> Found:
    """Of the tables and figures named; without any, of the paper's, and of others that have results.

    Raises UserError, also where `--only` leaves no row.
    """
    asked = request.asked
    store = Store(asked.store)
    sights = list(_sights(asked, store))
    # Claims compare rows of several tables: `--only`, which may leave none of one of them, is not for them.
    held = ledger.ledger(Claims(asked=replace(asked, only=()), bench=request.bench))
    problems = (*store.problems, *held.problems, *elsewhere.told(asked, [sight.plan for sight in sights], store))
    found = Found(
        tables=tuple(sight for sight in sights if not isinstance(sight.plan.table, Figure)),
        figures=tuple(sight for sight in sights if isinstance(sight.plan.table, Figure)),
        claims=claims_page(held.chosen, held.printed, held.measured, protocol=held.protocol, preset=held.preset),
        benches=recorded(request.bench)[0],
        past={},
        paper=tables.load_paper(),
        protocol=tables.load_protocol(asked.protocol or session.PROTOCOL),
        preset=session.load_preset(asked.preset),
        shown=_published(asked),
        bench=Path(published(request.bench)),
        problems=tuple({str(problem): problem for problem in problems}.values()),
    )
    gpu = any(result.environment.get("device") not in ("cpu", None) for result in found.results)
    return replace(found, past=past(found.unfinished, store, Place(cluster="", gpu=gpu)))


def published(path: Path | str) -> str:
    """A path as it can be shown to others: one that names a place on this machine keeps its last part only."""
    return Path(path).name if Path(path).is_absolute() else str(path)


def _published(asked: Asked) -> Asked:
    """As they can be shown: no place on this machine."""
    plugin = tuple(published(given) for given in asked.plugin)
    return replace(asked, plugin=plugin, store=Path(published(asked.store)), data=None)


def _printed_first(names: Iterable[str]) -> list[str]:
    return sorted(names, key=lambda name: (not tables.NUMBERED.fullmatch(name), name))


def _sights(asked: Asked, store: Store) -> Iterator[Sight]:
    named = list(asked.targets)
    context, only, shown = session.context_for(asked), parse_only(asked.only), _published(asked)
    missing: dict[str, UserError] = {}
    identify = session.at_hand(asked.data, store, missing) if asked.data else data_of(store.begun)
    refused: list[UserError] = []
    some = False
    for name in named or [*_printed_first(tables.table_names()), *_printed_first(tables.figure_names())]:
        table = session.loaded(name, context)
        try:
            made = plan(table, context, only=only, identify=identify)
        except UserError as error:  # another table may have what this one lacks
            if named or not only:
                raise
            refused.append(error)
            continue
        sight = Sight(
            name=published(name), plan=made, state=state(made, store), command=command(published(name), made, shown)
        )
        sight = replace(sight, probes=probing.known(made, sight.state.done, store))
        drawable = sight.begun and (not probing.needed(made) or sight.probed)
        if named or drawable or tables.NUMBERED.fullmatch(name):
            some = True
            yield sight
    if not some and refused:
        raise refused[0]
