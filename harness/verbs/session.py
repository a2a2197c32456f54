"""What a verb does between the command line and the page: load, plan, look into the store, train, look again."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import baselines
from harness import amounts, data, environment, tables
from harness.amounts import duration
from harness.errors import UserError, UserErrors
from harness.plan import (
    Context,
    Identify,
    Plan,
    State,
    naming,
    parse_only,
    plan,
    plan_cells,
    state,
    stored_data,
    without_seed,
)
from harness.plugins import absolute, load_plugins, source_of
from harness.spec import OFFICIAL, Cell, Figure, Preset, Protocol, Table
from harness.store import Store

if TYPE_CHECKING:
    from harness.forecast.memory import Device
    from harness.jobs.submit import How

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


def look(options: argparse.Namespace, load: Load) -> Seen:
    """For `table` and `figure`: nothing is trained, and no data need be at hand."""
    store = Store(options.store)
    missing: dict[str, UserError] = {}
    identify = at_hand(options.data, store, missing) if options.data else stored_data(store)
    plans = plans_of(options, store, identify, load)
    states = tuple(state(plan, store) for plan in plans)
    return Seen(plans=plans, states=states, problems=store.problems)


Say = Callable[[Sequence[UserError]], None]
"""Tells the user of problems at once, before hours of work."""
Tell = Callable[[str], None]
"""Tells the user what was done, a line."""
Make = Callable[[argparse.Namespace, Store, Identify], tuple[Plan, ...]]
"""What is to be trained, where it is not the targets of the command line: as `plans_of`."""


def train(options: argparse.Namespace, say: Say, make: Make | None = None) -> Seen:
    """For `run`: train what is missing. Raises UserError if nothing can be done at all, KeyboardInterrupt on Ctrl-C."""
    store, missing = Store(options.store), dict[str, UserError]()
    plans = (make or plans_of)(options, store, at_hand(options.data, store, missing))
    store.prepare()
    cells = _to_train(plans, store, retry=options.retry == "failed")
    able = [cell for cell in cells if cell.dataset not in missing]
    if missing and not able and not any(state(plan, store).done for plan in plans):
        raise UserErrors(missing.values())
    say(store.problems)
    ended = _launch(able, plans, store, options) if able else {}
    return _seen_again(plans, options, ended, missing.values())


def submit(options: argparse.Namespace, say: Say, tell: Tell, make: Make | None = None) -> Seen:
    """For `run --on CLUSTER`: submit what is missing; with `--wait`, follow it to its end.

    Raises UserError if nothing can be done at all, KeyboardInterrupt on Ctrl-C, which the jobs do not hear of.
    """
    from harness.jobs import remote

    how = _remotely(options)
    store, missing = Store(options.store), dict[str, UserError]()
    plans = (make or plans_of)(options, store, at_hand(how.data_root, store, missing))
    store.prepare()

    def able() -> list[Cell]:
        found = [c for c in _to_train(plans, store, retry=options.retry == "failed") if c.dataset not in missing]
        if missing and not found and not any(state(plan, store).done for plan in plans):
            raise UserErrors(missing.values())
        say(store.problems)
        return found

    sent = remote.send(able, store, how, tell)
    if sent.queued:
        tell(f"{amounts.count(len(sent.queued), 'cell')} in the queue already")
    if sent.elsewhere:
        tell(f"{amounts.count(len(sent.elsewhere), 'cell')} trained by another run")
    problems, ended = [*missing.values(), *sent.problems], dict[str, str]()
    if options.wait and sent.under_way:
        ended = _follow(sent.under_way, plans, store, how)
        remote.tidy(store, wait=True)
    elif sent.under_way:
        tell("the jobs go on without this terminal; how they fare: python -m harness status")
    return _seen_again(plans, options, ended, problems, 0 if options.wait else len(sent.under_way))


def dry_run(options: argparse.Namespace, say: Say, make: Make | None = None) -> str:
    """The cells, what is done, how long the rest will take, and in how much memory."""
    from harness import clusters
    from harness.columns import columns
    from harness.forecast.memory import fits, memory
    from harness.forecast.time import forecast
    from harness.jobs import launch, remote
    from harness.verbs.status import describe

    how = _remotely(options) if options.on not in clusters.HERE else None
    options.data = how.data_root if how is not None else options.data
    store, missing = Store(options.store), dict[str, UserError]()
    plans = (make or plans_of)(options, store, at_hand(options.data, store, missing))
    rows, todo, name = [], [], naming(plans)
    for cell in _all_cells(plans):
        kind, text = describe(cell, store.outcome(cell), store)
        rows.append((kind, cell.key, name(cell), "no data" if kind == "missing" and cell.dataset in missing else text))
        if kind == "missing" or (kind == "failed" and options.retry == "failed"):
            todo.append(cell)
    able = [cell for cell in todo if cell.dataset not in missing]
    say([*missing.values(), *store.problems])
    lines = [f"{len(rows)} cells, {len(todo)} to train"]
    if how is not None:
        return "\n".join(
            [columns(rows), *lines, *remote.needs(todo, how, name), *remote.preview(able, store, how, name)]
        )
    environment.limit_threads(options.threads)
    default = launch.default_jobs(options.on, environment.gpus(), options.threads)
    jobs = min(options.jobs or default, max(1, len(able)))
    here = _device(jobs)
    small = [cell for cell in able if fits(_total(cell, cell.recipe.batch, options.recompute), here.gib)]
    expected = forecast(small, _measure(options), jobs)
    if expected.costs:
        lines.append(f"about {duration(expected.wall_seconds)} with {jobs} at once, by a few steps of each shape here:")
        costs = [
            (f"{c.cells} x", without_seed(name(c.cell)), f"{duration(c.seconds_per_cell)} each") for c in expected.costs
        ]
        lines.append(columns(costs, indent="  "))
    lines += memory(todo, _total, here, options.recompute, name)
    return "\n".join([columns(rows), *lines] if rows else lines)


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


def plans_of(
    options: argparse.Namespace, store: Store, identify: Identify, load: Load = tables.load
) -> tuple[Plan, ...]:
    """One for each table or figure named; cells named by key or path make one more, together."""
    context, only = context_for(options), parse_only(options.only)
    named = [name for name in options.targets if not _is_cell(name, store)]
    cells = [_cell(name, store) for name in options.targets if name not in named]
    made = [plan(load(name), context, only=only, identify=identify) for name in named]
    return (*made, plan_cells(cells)) if cells else tuple(made)


def _is_cell(name: str, store: Store) -> bool:
    path = Path(name)
    if path.is_dir() or path.name in ("cell.json", "result.json") or LABEL.fullmatch(name):
        return True
    return bool(len(name) > 5 and store.find(name))


def _cell(name: str, store: Store) -> Cell:
    from harness.verbs.show import find_cell

    return find_cell(name, store)[0]


def context_for(options: argparse.Namespace) -> Context:
    protocol = tables.load_protocol(options.protocol or PROTOCOL)
    return context_of(protocol, load_preset(options.preset), options.seeds, load_plugins(options.plugin))


def context_of(
    protocol: Protocol, preset: Preset | None, seeds: tuple[int, ...], plugins: Mapping[str, str]
) -> Context:
    return Context(
        protocol=protocol,
        preset=preset,
        seeds=seeds,
        methods=baselines.METHODS,
        architectures=baselines.ARCHITECTURES,
        datasets=data.names(),
        plugins=plugins,
        source_of=source_of,
    )


def load_preset(name: str | None) -> Preset | None:
    return tables.load_preset(name) if name else None


def _all_cells(plans: Sequence[Plan]) -> list[Cell]:
    return list(dict.fromkeys(cell for plan in plans for cell in plan.cells))


def _to_train(plans: Sequence[Plan], store: Store, *, retry: bool) -> list[Cell]:
    """Cells without a result, those that run elsewhere included; damaged results are set aside, failures forgiven."""
    states = [state(plan, store) for plan in plans]
    failed = dict.fromkeys(cell for s in states for cell in s.failed)
    todo = [cell for cell in _all_cells(plans) if not any(cell in s.done for s in states)]
    for cell in todo:
        store.set_aside(cell)
        if retry and cell in failed:
            store.forgive(cell)
    return [cell for cell in todo if retry or cell not in failed]


def _launch(cells: Sequence[Cell], plans: Sequence[Plan], store: Store, options: argparse.Namespace) -> dict[str, str]:
    from rich.console import Console

    from harness.jobs import launch
    from harness.jobs.progress import Monitor

    os.environ[environment.COMMAND] = environment.command_line(sys.argv[1:])
    gpus = environment.gpus()
    default = launch.default_jobs(options.on, gpus, options.threads)
    jobs = 1 if options.on == "inline" else options.jobs or default
    how = launch.Options(
        on=options.on,
        jobs=jobs,
        threads=options.threads,
        data_root=options.data.resolve() if options.data else None,
        plugins=absolute(options.plugin),
        recompute=options.recompute,
        gpus=gpus if options.on == "local" else (),
    )
    console = Console(stderr=True)
    with Monitor(cells, len(_all_cells(plans)) - len(cells), store, jobs, console, naming(plans)) as monitor:
        return launch.run(cells, store, how, monitor.watch)


def _remotely(options: argparse.Namespace) -> How:
    """Raises UserError for an unknown cluster, and where there is no SLURM."""
    from harness import clusters, slurm
    from harness.jobs.submit import How

    profile = clusters.load(options.on, options.store)
    slurm.require()
    data_root = options.data or (Path(profile.data).expanduser() if profile.data else None)
    return How(
        profile=profile,
        on=str(Path(options.on).resolve()) if Path(options.on).suffix == ".toml" else options.on,
        store_root=options.store.resolve(),
        threads=options.threads,
        data_root=data_root.resolve() if data_root else None,
        plugins=absolute(options.plugin),
        recompute=options.recompute,
        command=environment.command_line(sys.argv[1:]),
    )


def _follow(cells: Sequence[Cell], plans: Sequence[Plan], store: Store, how: How) -> dict[str, str]:
    from rich.console import Console

    from harness.jobs import remote
    from harness.jobs.progress import Monitor

    at_once = min(len(cells), how.profile.parallel * how.profile.pack)
    done, console = len(_all_cells(plans)) - len(cells), Console(stderr=True)
    with Monitor(cells, done, store, at_once, console, naming(plans)) as monitor:
        return remote.follow(cells, store, monitor.watch)


def _seen_again(
    plans: tuple[Plan, ...],
    options: argparse.Namespace,
    ended: Mapping[str, str],
    problems: Iterable[UserError],
    under_way: int = 0,
) -> Seen:
    """What the store holds after a run, and what went wrong in it."""
    again = Store(options.store)  # forgets what was said of files that were moved aside since
    states = tuple(state(plan, again) for plan in plans)
    errors = dict.fromkeys(text.removeprefix("error: ") for text in ended.values() if text.startswith("error: "))
    said = [*problems, *again.problems, *(UserError(line) for line in errors), *_failed(states, options)]
    return Seen(plans=plans, states=states, problems=tuple(said), under_way=under_way)


def _failed(states: Sequence[State], options: argparse.Namespace) -> list[UserError]:
    failed = len(dict.fromkeys(cell for s in states for cell in s.failed))
    again = options.command if options.retry else f"{options.command} --retry failed"
    return (
        [UserError(f"{amounts.count(failed, 'cell')} failed", to_type=f"to try again, type: {again}")] if failed else []
    )


def _measure(options: argparse.Namespace) -> Callable[[Cell], float]:
    def measure(cell: Cell) -> float:
        from harness.train.worker import time_step

        return time_step(cell, options.data, recompute=options.recompute)

    return measure


def _device(jobs: int) -> Device:
    """What the cells of a run here share."""
    from harness.forecast.memory import Device

    if gpus := environment.gpus():
        cells, gib = -(-jobs // len(gpus)), environment.gpu_memory_gib()
        return Device(gib=gib, cells=cells, fewer=f"--jobs {len(gpus)}")
    return Device(noun="machine", gib=environment.memory_gib() or None, cells=jobs, fewer="--jobs 1")


def _total(cell: Cell, batch: int, recompute: str) -> int | None:
    from harness.measure.footprint import total

    return total(cell, batch, recompute)  # type: ignore[arg-type]
