"""`run --dry-run`: the cells, what is done, and what the rest will take of time and memory. Nothing is trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from harness import clusters, environment
from harness.amounts import duration
from harness.columns import columns
from harness.errors import UserError
from harness.forecast import remainder
from harness.forecast.gpu import gpu_hours, speeds
from harness.forecast.memory import Device, fits, memory
from harness.forecast.time import forecast
from harness.jobs import launch, remote
from harness.plan import naming, without_seed
from harness.requests import Asked, Claims, How
from harness.spec import Cell
from harness.store import Store
from harness.verbs import known
from harness.verbs.entry import describe
from harness.verbs.run import Make, Say, remotely
from harness.verbs.session import all_cells, at_hand, plans_of


@dataclass(frozen=True, kw_only=True)
class Foretold:
    cells: tuple[tuple[str, str, str, str], ...]
    """Of each: where it stands, key, name, a line about it."""
    to_train: int
    lines: tuple[str, ...]
    """What the rest will take, for people."""
    seconds: float | None = None
    """Of the clock on the wall; None where it is not known, or asked of a cluster."""

    @property
    def text(self) -> str:
        counted = f"{len(self.cells)} cells, {self.to_train} to train"
        return "\n".join([*([columns(self.cells)] if self.cells else []), counted, *self.lines])

    @property
    def record(self) -> dict[str, object]:
        cells = [dict(zip(("state", "key", "label", "detail"), row, strict=True)) for row in self.cells]
        return {"cells": cells, "to_train": self.to_train, "seconds": self.seconds, "told": self.lines}


def dry_run(
    asked: Asked, how: How, say: Say, make: Make | None = None, step: Callable[[str], None] = lambda what: None
) -> Foretold:
    """The cells, what is done, how long the rest will take, and in how much memory; `step`: told what is timed."""
    sending = remotely(asked, how) if how.on not in clusters.HERE else None
    asked = replace(asked, data=sending.data_root) if sending is not None else asked
    store, missing = Store(asked.store), dict[str, UserError]()
    plans = (make or plans_of)(asked, store, at_hand(asked.data, store, missing))
    rows, todo, name = [], [], naming(plans)
    for cell in all_cells(plans):
        kind, text = describe(cell, store.outcome(cell), store)
        rows.append((kind, cell.key, name(cell), "no data" if kind == "missing" and cell.dataset in missing else text))
        if kind == "missing" or (kind == "failed" and how.again):
            todo.append(cell)
    if todo:
        known.check(plans)
    able = [cell for cell in todo if cell.dataset not in missing]
    say([*missing.values(), *store.problems, *remainder.problems(able, asked.data).values()])
    if sending is not None:
        profile = f"profile {sending.profile.name}: {sending.source}"
        lines = (profile, *remote.needs(todo, sending, name), *remote.preview(able, store, sending, name))
        return Foretold(cells=tuple(rows), to_train=len(todo), lines=lines)
    environment.limit_threads(how.threads)
    environment.large_pages()
    default = launch.default_jobs(how.on, environment.gpus(), how.threads)
    jobs = min(how.jobs or default, max(1, len(able)))
    here = _device(jobs)
    whole = all(plan.own and plan.preset is None for plan in plans) and not environment.gpus()
    measured = () if environment.gpus() else speeds(Claims.bench)
    lines = [gpu_hours(todo, store, measured)] if todo and (whole or measured) else []
    able = [] if whole else able  # whole recipes of other papers: a few steps of each shape would take hours here
    small = [cell for cell in able if fits(_total(cell, cell.recipe.batch, how.recompute), here.gib)]
    expected = forecast(small, _measure(asked, how, step), jobs)
    if expected.costs:
        lines.append(f"about {duration(expected.wall_seconds)} with {jobs} at once, by a few steps of each shape here:")
        costs = [
            (f"{c.cells} x", without_seed(name(c.cell)), f"{duration(c.seconds_per_cell)} each") for c in expected.costs
        ]
        lines.append(columns(costs, indent="  "))
    lines += memory(todo, _counting(step), here, how.recompute, name)
    seconds = expected.wall_seconds if expected.costs else None
    return Foretold(cells=tuple(rows), to_train=len(todo), lines=tuple(lines), seconds=seconds)


def _measure(asked: Asked, how: How, step: Callable[[str], None]) -> Callable[[Cell], float]:
    def measure(cell: Cell) -> float:
        step(f"timing a few steps of {without_seed(cell.label)}")
        from harness.measure import timing

        return timing.epoch(cell, asked.data, recompute=how.recompute)

    return measure


def _counting(step: Callable[[str], None]) -> Callable[[Cell, int, str], int | None]:
    told: set[Cell] = set()

    def measure(cell: Cell, batch: int, recompute: str) -> int | None:
        if cell not in told:
            told.add(cell)
            step(f"counting the memory of {without_seed(cell.label)}")
        return _total(cell, batch, recompute)

    return measure


def _device(jobs: int) -> Device:
    """What the cells of a run here share."""
    if gpus := environment.gpus():
        cells, gib = -(-jobs // len(gpus)), environment.gpu_memory_gib()
        return Device(gib=gib, cells=cells, fewer=f"--jobs {len(gpus)}")
    return Device(noun="machine", gib=environment.memory_gib() or None, cells=jobs, fewer="--jobs 1")


def _total(cell: Cell, batch: int, recompute: str) -> int | None:
    from harness.measure.footprint import total

    return total(cell, batch, recompute)  # type: ignore[arg-type]
