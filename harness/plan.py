"""Table or figure (+ protocol, preset, filters, plugins) -> cells -> done / running / failed / missing."""

from __future__ import annotations

import functools
import re
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

import msgspec

from harness.errors import UserError, did_you_mean
from harness.spec import OFFICIAL, Cell, Change, Figure, Origin, Overlay, Preset, Protocol, Recipe, Row, Table
from harness.works import Step, Works, steps

if TYPE_CHECKING:
    from harness.store import Store
    from harness.store.result import Failure, Progress, Result

KEYS = ("method", "architecture", "dataset", "timesteps", "seed")
"""What `--only` and a preset's `only` can select by."""

Only = Mapping[str, Sequence[str]]
"""Key of `KEYS` -> the values wanted, as text; a key that is absent lets everything through."""

Identify = Callable[[Sequence[Cell]], Mapping[str, str]]
"""Cells with `data` undecided -> data set -> `Cell.data`: one sample set for each data set, so that none are mixed."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One row of a planned table: the cells behind it, one a seed, or why there are none."""

    number: int
    """Place in the table, from 1."""
    row: Row
    cells: tuple[Cell, ...]
    blank: str = ""
    """Why nothing is trained: `no method yet`, `not in preset cpu`, ...; empty when there are cells."""
    added: bool = False
    """A user's method: a row the paper does not have."""
    chosen: tuple[str, ...] = ()
    """Settings of its own paper's recipe that no public source has, and that were chosen."""
    alike: tuple[Cell, ...] = ()
    """Where the row is trained as its own paper does it: its method by the recipe of all rows. Looked up only."""

    @property
    def network(self) -> str:
        """The architecture behind the printed name, where it is trained as another."""
        return self.cells[0].architecture if self.cells else self.row.architecture


@dataclass(frozen=True, kw_only=True)
class Plan:
    table: Table | Figure
    protocol: str
    preset: str | None
    lines: tuple[Line, ...]
    mixed: bool = False
    """Runs that were not computed alike are judged all the same: it was asked for."""
    common: str = ""
    """Where each row is trained as its own paper does it: the protocol whose recipe all rows share, to set beside."""

    @property
    def own(self) -> bool:
        return bool(self.common)

    @functools.cached_property
    def cells(self) -> tuple[Cell, ...]:
        """Every distinct cell, in table order (two rows may share one), each behind what it begins from."""
        return tuple(dict.fromkeys(each for line in self.lines for cell in line.cells for each in cell.lineage))

    @property
    def shown(self) -> tuple[Cell, ...]:
        """Those, and what is only looked up beside them."""
        return tuple(dict.fromkeys((*self.cells, *(cell for line in self.lines for cell in line.alike))))


@dataclass(frozen=True, kw_only=True)
class State:
    """What the store knows of a plan's cells, each in table order."""

    outcomes: Mapping[str, Result | Failure | Progress]
    """By cell key, also of what a plan only looks up; a missing cell is absent."""
    done: tuple[Cell, ...]
    running: tuple[Cell, ...]
    failed: tuple[Cell, ...]
    missing: tuple[Cell, ...]


@dataclass(frozen=True, kw_only=True)
class Context:
    """What turns a row into cells: names that exist, recipes, seeds, a user's own methods, the code that is here."""

    protocol: Protocol
    preset: Preset | None
    seeds: tuple[int, ...]
    methods: Container[str]
    architectures: Container[str]
    datasets: Container[str]
    plugins: tuple[str, ...] = ()
    """Methods that are added to every table as rows of their own."""
    common: Protocol | None = None
    """What rows are set beside that are trained as their own papers do it."""
    mixed: bool = False
    """As of `Plan`."""
    origins: Mapping[str, Origin] = field(default_factory=dict)
    """Method -> what its cells begin from; one that is absent begins from nothing."""
    stamp: Callable[[Cell], Cell] = lambda cell: cell
    """Puts into a cell what its key says of the code (`identity.code.stamping`)."""


def plan(
    table: Table | Figure,
    context: Context,
    *,
    only: Only = MappingProxyType({}),
    identify: Identify | None = None,
) -> Plan:
    """The cells behind every row of `table` that `only` selects. Raises UserError for a selection that fits nothing."""
    rows = [*_numbered(table), *_added(table, context)]
    check_only(only, [row for _, row, _ in rows], context)
    lines = tuple(
        _line(number, row, added, context, only) for number, row, added in rows if _selects(only, row, context.preset)
    )
    if not lines:
        raise UserError("no row is left", f"{table.name}: --only", "the rows ask for other combinations; ask for less")
    made = Plan(
        table=table,
        protocol=context.protocol.name,
        preset=context.preset.name if context.preset else None,
        lines=lines,
        mixed=context.mixed,
        common=context.common.name if context.common is not None else "",
    )
    return _with_data(made, identify) if identify else made


def plan_cells(cells: Sequence[Cell]) -> Plan:
    """Cells that were asked for one by one, as a table of their own: a row for those that differ by seed only."""
    groups = by_row(cells)
    rows = [
        Row(method=c.method, architecture=c.architecture, dataset=c.dataset, timesteps=c.timesteps) for c, *_ in groups
    ]
    lines = [
        Line(number=number, row=row, cells=tuple(seeds), added=True)
        for number, (row, seeds) in enumerate(zip(rows, groups, strict=True), start=1)
    ]
    table = Table(name="cells", title="cells asked for by their keys", row=tuple(rows))
    return Plan(table=table, protocol="as recorded", preset=None, lines=tuple(lines))


def by_row(cells: Iterable[Cell]) -> list[list[Cell]]:
    """Those that differ by seed only beside each other."""
    groups: dict[Cell, list[Cell]] = defaultdict(list)
    known: dict[int, list[Cell]] = {}  # most cells of a store share the very object, which is found faster by itself
    for cell in cells:
        if (mine := known.get(id(cell.seedless))) is None:
            mine = known[id(cell.seedless)] = groups[cell.seedless]
        mine.append(cell)
    return list(groups.values())


def in_order(cells: Iterable[Cell]) -> tuple[Cell, ...]:
    """Each once, behind what it begins from."""
    return tuple({each.key: each for cell in cells for each in cell.lineage}.values())


Name = Callable[[Cell], str]
"""What a cell is called: its label, or more (`plan.naming`)."""


def label(cell: Cell) -> str:
    return cell.label


def without_seed(name: str) -> str:
    """``mpbn/resnet20/digits/T2/seed0 (surrogate tanh)`` -> ``mpbn/resnet20/digits/T2 (surrogate tanh)``."""
    return re.sub(r"/seed\d+", "", name, count=1)


def naming(plans: Iterable[Plan]) -> Callable[[Cell], str]:
    """A cell -> its label, and behind it what its row changes in the recipe: ``mpbn/…/seed0 (surrogate tanh)``."""
    rows = [line for plan in plans for line in plan.lines if line.row.change != Change()]
    changes = {cell.seedless: line.row.change.text for line in rows for cell in line.cells}

    def name(cell: Cell) -> str:
        text = changes.get(cell.seedless) if changes else None
        return f"{cell.label} ({text})" if text else cell.label

    return name


def state(plan: Plan, store: Store) -> State:
    """Read what `store` knows of every cell of `plan`."""
    from harness.store.result import Failure, Result

    found = store.outcomes(plan.shown)
    groups: dict[str, list[Cell]] = defaultdict(list)
    for cell, outcome in ((cell, found[cell]) for cell in plan.cells):
        kind = "missing" if outcome is None else "running"
        kind = "done" if isinstance(outcome, Result) else "failed" if isinstance(outcome, Failure) else kind
        groups[kind].append(cell)
    lists = {kind: tuple(groups[kind]) for kind in ("done", "running", "failed", "missing")}
    return State(outcomes={cell.key: o for cell, o in found.items() if o is not None}, **lists)


def stored_data(store: Store) -> Identify:
    """For showing without the data at hand: the store's official results, where it has some, else its one variant."""
    return lambda cells: data_of(store.cells())(cells)


def data_of(begun: Iterable[Cell]) -> Identify:
    """As `stored_data`, of the cells that a store has begun; they are looked through once, for any number of plans."""
    known: dict[Cell, set[str]] = defaultdict(set)
    for cell, *_ in by_row(begun):
        known[_shape(cell)].add(cell.data)

    def identify(cells: Sequence[Cell]) -> dict[str, str]:
        found: dict[str, set[str]] = defaultdict(set)
        for cell, shape in ((cell, _shape(cell)) for cell in cells):
            if shape in known:
                found[cell.dataset] |= known[shape]
        return {dataset: _the_one(dataset, data) for dataset, data in found.items()}

    return identify


def parse_only(given: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """``["method=mpbn|vanilla,timesteps=2"]`` -> key -> values; a key may be given again. Raises UserError."""
    only: dict[str, list[str]] = {}
    for part in (part for text in given for part in text.split(",") if part.strip()):
        key, equals, values = part.strip().partition("=")
        if not equals and only:  # the comma of a list
            last = list(only)[-1]
            more = f"type --only '{last}={only[last][-1]}|{part.strip()}'"
            raise UserError(f"`{part.strip()}` stands without a key", "--only", f"{more}: a comma begins the next key")
        if key not in KEYS:
            raise UserError(f"unknown key `{key}`", "--only", did_you_mean(key, KEYS))
        if not equals or not values:
            raise UserError(f"`{part}` has no value", "--only", f"type {key}=VALUE, or {key}=VALUE|VALUE")
        only.setdefault(key, []).extend(value for value in values.split("|") if value)
    return {key: tuple(dict.fromkeys(values)) for key, values in only.items()}


def check_only(only: Only, rows: Sequence[Row], context: Context) -> None:
    """Every value must be one that the table (or its stand-ins) has. Raises UserError with the nearest."""
    for key, values in only.items():
        known = _known(key, rows, context)
        for value in values:
            if value not in known:
                raise UserError(f"no row has {key} `{value}`", "--only", did_you_mean(value, known))


def _known(key: str, rows: Sequence[Row], context: Context) -> list[str]:
    if key == "seed":
        return [str(seed) for seed in context.seeds]
    known = dict.fromkeys(str(getattr(row, key)) for row in rows)
    if key == "dataset" and context.preset:
        known |= dict.fromkeys(context.preset.datasets.get(name, name) for name in tuple(known))
    return list(known)


def _selects(only: Only, row: Row, preset: Preset | None) -> bool:
    """Whether `row` is asked for; a data set may be named as the table's or as its stand-in."""
    names = {key: {str(getattr(row, key))} for key in KEYS if key != "seed"}
    names["dataset"].add(_trained_on(row, preset))
    return all(names[key] & set(values) for key, values in only.items() if key != "seed")


def _numbered(table: Table | Figure) -> Iterator[tuple[int, Row, bool]]:
    for number, row in enumerate(table.row, start=1):
        yield number, row, False


def _added(table: Table | Figure, context: Context) -> Iterator[tuple[int, Row, bool]]:
    """A user's methods, in every setting of the table; one that the paper has a row for fills that row instead."""
    settings = dict.fromkeys((row.architecture, row.dataset, row.timesteps) for row in table.row)
    number, printed = len(table.row), {row.method for row in table.row}
    for method in context.plugins:
        for architecture, dataset, timesteps in settings if method not in printed else ():
            row = Row(method=method, architecture=architecture, dataset=dataset, timesteps=timesteps)
            if not _blank(row, context):
                number += 1
                yield number, row, True


def _line(number: int, row: Row, added: bool, context: Context, only: Only) -> Line:
    if blank := _blank(row, context):
        return Line(number=number, row=row, cells=(), blank=blank, added=added)
    seeds = [seed for seed in context.seeds if str(seed) in only.get("seed", (str(seed),))]

    def over_seeds(first: Cell) -> tuple[Cell, ...]:
        return tuple(first.throughout(seed=seed) for seed in seeds)  # they differ in nothing else

    if not isinstance(context.protocol, Works):
        return Line(number=number, row=row, cells=over_seeds(_common(row, context)), added=added)
    cells, chosen = over_seeds(_of_phases(row, context.protocol, context)), context.protocol.chosen_for(row)
    beside = replace(context, protocol=context.common) if context.common is not None else None
    alike = over_seeds(_common(row, beside)) if beside is not None and not _blank(row, beside) else ()
    return Line(number=number, row=row, cells=cells, added=added, chosen=chosen, alike=alike)


def _common(row: Row, context: Context) -> Cell:
    """At seed 0, by the recipe that all rows share."""
    return _beginning(row, _recipe(row, context), context)


def _blank(row: Row, context: Context) -> str:
    if row.method not in context.methods:
        return row.blank or "no method yet"
    if row.architecture not in context.architectures:
        return "no architecture yet"
    preset = context.preset
    if preset is not None and not _selects(preset.only, row, preset):
        return f"not in preset {preset.name}"
    if _trained_on(row, preset) not in context.datasets:
        return "no data set yet"
    if isinstance(context.protocol, Works):
        return _without_system(row, context.protocol, context)
    if row.dataset not in context.protocol.recipe:
        return f"no recipe in protocol {context.protocol.name}"
    if row.change != Change() and _recipe(row, context) == _recipe(_unchanged(row), context):
        return f"as {context.protocol.name} has it"
    return ""


def _without_system(row: Row, works: Works, context: Context) -> str:
    if blank := works.blank(row):
        return blank
    found = _steps(row, works, context)
    for step in found:
        if step.method not in context.methods:
            return f"no method {step.method} yet"
        if step.architecture not in context.architectures:
            return f"no architecture {step.architecture} yet"
    if row.change != Change() and found == _steps(_unchanged(row), works, context):
        return f"as {works.name} has it"
    return ""


def _steps(row: Row, works: Works, context: Context) -> tuple[Step, ...]:
    return steps(row, works, context.preset, _trained_on(row, context.preset) != row.dataset)


def _unchanged(row: Row) -> Row:
    return msgspec.structs.replace(row, change=Change())


def _trained_on(row: Row, preset: Preset | None) -> str:
    """The row's data set, or what stands in for it."""
    return preset.datasets.get(row.dataset, row.dataset) if preset else row.dataset


def _of_phases(row: Row, works: Works, context: Context) -> Cell:
    """The cell of the last phase at seed 0, which begins from the one before, and so on."""
    cell, dataset = None, _trained_on(row, context.preset)
    for step in _steps(row, works, context):
        cell = context.stamp(Cell(**step._asdict(), dataset=dataset, seed=0, origin=cell))
    assert cell is not None
    return cell


def _beginning(row: Row, recipe: Recipe, context: Context) -> Cell:
    """The cell of `row` at seed 0, and before it the one that its method begins from."""
    begins, origin = context.origins.get(row.method), None
    if begins is not None and begins.method:
        other = msgspec.structs.replace(row, method=begins.method, timesteps=begins.timesteps or row.timesteps)
        origin = _beginning(other, begins.recipe.onto(recipe), context)
    recipe = recipe if begins is None else begins.after(recipe)
    smaller = context.preset.method.get(row.method) if context.preset is not None else None
    recipe = recipe if smaller is None else smaller.onto(recipe)
    return context.stamp(
        Cell(
            method=row.method,
            architecture=row.architecture,
            dataset=_trained_on(row, context.preset),
            timesteps=row.timesteps,
            seed=0,
            recipe=recipe,
            origin=origin,
        )
    )


def _recipe(row: Row, context: Context) -> Recipe:
    """The protocol's, under the preset's overlays (for all, the architecture, the table's data set), then the row's."""
    recipe, preset = context.protocol.recipe[row.dataset], context.preset
    overlays: list[Overlay | None] = []
    if preset is not None:
        overlays = [preset.recipe, preset.architecture.get(row.architecture), preset.dataset.get(row.dataset)]
    for overlay in (*overlays, row.change):
        recipe = overlay.onto(recipe) if overlay is not None else recipe
    return recipe


def _with_data(plan: Plan, identify: Identify) -> Plan:
    data = identify(plan.shown)

    def known(cells: tuple[Cell, ...]) -> tuple[Cell, ...]:
        return tuple(cell.throughout(data=data.get(cell.dataset, OFFICIAL)) for cell in cells)

    lines = (replace(line, cells=known(line.cells), alike=known(line.alike)) for line in plan.lines)
    return replace(plan, lines=tuple(lines))


def _shape(cell: Cell) -> Cell:
    """What a cell is but for its seed and its samples."""
    return cell.throughout(seed=0, data=OFFICIAL)


def _the_one(dataset: str, data: set[str]) -> str:
    if OFFICIAL in data:
        return OFFICIAL
    if len(data) > 1:
        raise UserError(
            f"the store has results of several sample sets ({', '.join(sorted(data))})",
            dataset,
            "say which by --data DIR",
        )
    return next(iter(data))
