"""The probes that a figure is drawn from: those in the store, and those to compute from weights that are there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import msgspec

from harness.errors import UserError
from harness.plan import Plan
from harness.spec import Cell, Figure
from harness.store import Store
from harness.store.probes import NEEDED, WEIGHTLESS, Landscape, Operations, Potentials, Probes

Tell = Callable[[str], None]


def known(plan: Plan, done: Iterable[Cell], store: Store) -> Mapping[str, Probes]:
    """By key, of the finished cells of a figure that needs them. Nothing is computed."""
    return {cell.key: store.probes(cell) for cell in done} if needed(plan) else {}


def needed(plan: Plan) -> str:
    """The probe that the figure is drawn from; empty where it needs results alone, or is a table."""
    return NEEDED.get(plan.table.kind, "") if isinstance(plan.table, Figure) else ""


def complete(
    plan: Plan, done: Iterable[Cell], store: Store, data_root: Path | None, plugins: tuple[str, ...], tell: Tell
) -> list[UserError]:
    """Compute what is missing into the store, and say so; what cannot be, and why."""
    if not (name := needed(plan)):
        return []
    missing = [cell for cell in done if getattr(store.probes(cell), name) is None]
    able = [cell for cell in missing if name in WEIGHTLESS or (store.folder(cell) / "weights.pt").is_file()]
    problems = []
    if without := len(missing) - len(able):
        again = f"type: {elsewhere(plan)}"
        problems.append(UserError(f"{_count(without)} no {name}, and no weights to compute it from", to_type=again))
    for number, cell in enumerate(able, start=1):
        tell(f"computing the {name} of {cell.label}, {number} of {len(able)}; it is kept")
        try:
            probe = compute(name, cell, store, data_root, plugins)
            store.write_probe(cell, name, probe)
        except UserError as problem:
            problems.append(problem)
            continue
        tell(f"done in {probe.seconds:.0f} s")
    return problems


def compute(
    name: str, cell: Cell, store: Store, data_root: Path | None, plugins: tuple[str, ...] = ()
) -> Landscape | Potentials | Operations:
    """The probe `name` of a cell, as it is computed from its weights. Raises UserError."""
    from harness.measure import landscape, operations, potentials  # late: they bring torch

    start = time.perf_counter()
    found = {"landscape": landscape.of, "potentials": potentials.of, "operations": operations.of}[name](
        cell, store, data_root, plugins
    )
    return msgspec.structs.replace(found, seconds=round(time.perf_counter() - start, 1))


def elsewhere(plan: Plan) -> str:
    """Trains the cells again beside what is there: a result is never replaced."""
    preset = f" --preset {plan.preset}" if plan.preset else ""
    return f"python -m harness run {plan.table.name} --protocol {plan.protocol}{preset} --store ANOTHER"


def _count(count: int) -> str:
    return "1 cell has" if count == 1 else f"{count} cells have"
