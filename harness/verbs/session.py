"""What verbs share between the command line and a page: what is asked for, planned, and what the store holds of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import baselines
from harness import data, tables
from harness.errors import UserError
from harness.identity.code import stamping
from harness.plan import (
    Context,
    Identify,
    Plan,
    State,
    parse_only,
    plan,
    plan_cells,
    stored_data,
)
from harness.plugins import load_plugins
from harness.requests import Asked
from harness.spec import OFFICIAL, Cell, Figure, Preset, Protocol, Table
from harness.store import Store
from harness.verbs import known
from harness.verbs.show import cell_folder, find_cell
from harness.works import Works

LABEL = re.compile(r".+/T\d+/seed\d+")
"""As `Cell.label`."""
PROTOCOL = "paper"
"""What `--protocol` is unless it is given."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """Plans, what the store holds for each, and what went wrong on the way."""

    plans: tuple[Plan, ...]
    states: tuple[State, ...]
    problems: tuple[UserError, ...]
    under_way: int = 0
    """Cells that wait or run on a cluster."""

    @property
    def complete(self) -> bool:
        """Every cell has its result; rows that nothing can train yet do not count."""
        return all(len(state.done) == len(plan.cells) for plan, state in zip(self.plans, self.states, strict=True))


Load = Callable[[str], Table | Figure]
"""What a target that is no cell may be."""


def at_hand(root: Path | None, store: Store, missing: dict[str, UserError]) -> Identify:
    """The samples that are here; for a data set that is not, what the store has, and the reason goes into `missing`."""

    def identify(cells: Sequence[Cell]) -> Mapping[str, str]:
        found = {}
        for dataset in dict.fromkeys(cell.dataset for cell in cells):
            try:
                found[dataset] = data.identify(dataset, root)
            except UserError as error:
                missing[dataset] = error
                found |= stored_data(store)([cell for cell in cells if cell.dataset == dataset])
        return {dataset: found.get(dataset, OFFICIAL) for dataset in found}

    return identify


def plans_of(asked: Asked, store: Store, identify: Identify, load: Load = tables.load) -> tuple[Plan, ...]:
    """One for each table or figure named; cells named by key or path make one more, together."""
    context, only = context_for(asked), parse_only(asked.only)
    named = [name for name in asked.targets if not _is_cell(name, store)]
    cells = [_cell(name, store) for name in asked.targets if name not in named]
    made = [plan(loaded(name, context, load), context, only=only, identify=identify) for name in named]
    return (*made, plan_cells(cells)) if cells else tuple(made)


def loaded(name: str, context: Context, load: Load = tables.load) -> Table | Figure:
    """Raises UserError, UserErrors."""
    table = load(name)
    held(table, name, context)
    return table


def held(table: Table | Figure, name: str, context: Context) -> None:
    """A user's own table, against what there is, like everything else. Raises UserErrors."""
    if tables.is_path(name):
        known.rows(table, context)


def _is_cell(name: str, store: Store) -> bool:
    if name in (*tables.table_names(), *tables.figure_names()):  # whatever lies in the working folder
        return False
    if cell_folder(name) and Path(name).suffix != ".toml":
        return True
    if Path(name).name in ("cell.json", "result.json") or LABEL.fullmatch(name):
        return True
    return bool(len(name) > 5 and store.find(name))


def _cell(name: str, store: Store) -> Cell:
    return find_cell(name, store)[0]


def context_for(asked: Asked) -> Context:
    protocol = tables.load_protocol(asked.protocol or PROTOCOL)
    context = context_of(protocol, load_preset(asked.preset), asked.seeds, load_plugins(asked.plugin))
    return replace(context, mixed=asked.mixed)


def context_of(
    protocol: Protocol,
    preset: Preset | None,
    seeds: tuple[int, ...],
    plugins: tuple[str, ...],
    stamp: Callable[[Cell], Cell] | None = None,
) -> Context:
    """`stamp` (`identity.code.stamping`): shared, where there are several contexts."""
    return Context(
        protocol=protocol,
        preset=preset,
        seeds=seeds,
        methods=baselines.METHODS,
        architectures=baselines.ARCHITECTURES,
        datasets=data.names(),
        plugins=plugins,
        common=tables.load_protocol(PROTOCOL) if isinstance(protocol, Works) else None,
        origins=tables.load_origins(),
        stamp=stamp or stamping(),
    )


def load_preset(name: str | None) -> Preset | None:
    return tables.load_preset(name) if name else None


def all_cells(plans: Sequence[Plan]) -> list[Cell]:
    return list(dict.fromkeys(cell for plan in plans for cell in plan.cells))
