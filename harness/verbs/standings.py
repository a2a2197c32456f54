"""What `status` looks at: what was asked for in this store, or tables that are named, with the queue of each cell."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from harness import tables
from harness.errors import UserError
from harness.identity.code import stamping
from harness.jobs import queue
from harness.jobs.fronts import fronts
from harness.jobs.queue import Queue, Task
from harness.plan import Plan, data_of, parse_only, plan, plan_cells
from harness.plugins import load_plugins
from harness.requests import SEEDS, Asked
from harness.spec import Cell
from harness.store import Store
from harness.verbs import elsewhere
from harness.verbs.entry import Sight
from harness.verbs.session import PROTOCOL, context_of, load_preset, loaded
from harness.verbs.status import Standing


@dataclass(frozen=True, kw_only=True)
class Look:
    """One look at everything."""

    standings: tuple[Standing, ...]
    problems: tuple[UserError, ...]
    """Files that cannot be read, clusters that cannot be asked."""

    @property
    def failed(self) -> bool:
        return any(standing.counts["failed"] for standing in self.standings)

    @property
    def going(self) -> bool:
        """Something runs, or waits in a queue."""
        return any(standing.going for standing in self.standings)


def look(asked: Asked) -> Look:
    """The tables named; without any, all cells that were ever asked for here, by their tables. Raises UserError."""
    jobs = queue.look(asked.store)  # before the store: a job that is gone by then has left its result there
    store = Store(asked.store)
    begun = store.begun
    planned = list(_plans(asked, begun) if asked.targets else _covering(_plans(asked, begun), asked, begun))
    if not asked.targets and not asked.only:
        planned += _of_no_table([made for made, _ in planned], begun)
    found = _standings(planned, store, jobs, asked)
    shown = tuple(standing for standing in found if standing.begun or asked.targets)
    hint = elsewhere.told(asked, [made for made, _ in planned], store) if asked.targets else ()
    return Look(standings=shown, problems=(*store.problems, *jobs.problems, *hint))


def command(name: str, plan: Plan, asked: Asked) -> str:
    """What to type to train what a plan misses."""
    words = [f"python -m harness run {shlex.quote(name)}"]
    words += [f"--preset {plan.preset}"] if plan.preset else []
    words += [f"--protocol {shlex.quote(asked.protocol or plan.protocol)}"] if plan.protocol != PROTOCOL else []
    return " ".join(words) + asked.where()


def _plans(asked: Asked, begun: Sequence[Cell]) -> Iterator[tuple[Plan, str]]:
    """With what to type to train what each misses."""
    presets = [asked.preset] if asked.preset or asked.targets else [None, *tables.preset_names()]
    protocols = [asked.protocol] if asked.protocol else [PROTOCOL]
    if not asked.protocol and not asked.targets:
        protocols = tables.protocol_names()
    plugins, identify, only = load_plugins(asked.plugin), data_of(begun), parse_only(asked.only)
    seeds = asked.seeds if asked.targets or asked.seeds != SEEDS else tuple(sorted({cell.seed for cell in begun}))
    names, stamp = asked.targets or tables.table_names(), stamping()
    for name, protocol, preset in itertools.product(names, protocols, presets):
        context = context_of(tables.load_protocol(protocol), load_preset(preset), seeds, plugins, stamp)
        made = plan(loaded(name, context), context, only=only, identify=identify)
        yield made, command(name, made, asked)


def _covering(planned: Iterable[tuple[Plan, str]], asked: Asked, begun: Sequence[Cell]) -> Iterator[tuple[Plan, str]]:
    """As few tables as have all of the cells, those that they fill most of first; of each, these cells alone.

    Tables share rows: one that has nothing of its own was not asked for.
    """
    keys = {cell.key for cell in begun}
    candidates = [(made, typed, {cell.key for cell in made.cells}) for made, typed in planned]
    left = set(keys)
    while candidates:
        made, typed, found = max(candidates, key=lambda one: (len(one[2] & left), -len(one[2])))
        if not found & left:
            return
        part = _narrowed(made, keys)
        yield part, typed + _selection(made, part)
        left -= found
        candidates = [one for one in candidates if one[2] & left]


def _narrowed(made: Plan, keys: Collection[str]) -> Plan:
    lines = (replace(line, cells=tuple(cell for cell in line.cells if cell.key in keys)) for line in made.lines)
    return replace(made, lines=tuple(line for line in lines if line.cells))


def _selection(whole: Plan, part: Plan) -> str:
    """What selects these rows and seeds of the table, where options can say it; else nothing."""
    seeds = sorted({cell.seed for cell in part.cells})
    chosen = "" if tuple(seeds) == SEEDS else f" --seeds {','.join(map(str, seeds))}"
    numbers = {line.number for line in part.lines}
    trained = [line for line in whole.lines if line.cells]
    if len(part.lines) == len(trained):
        return chosen
    for key in ("timesteps", "method", "dataset", "architecture"):
        values = dict.fromkeys(str(getattr(line.row, key)) for line in part.lines)
        if {line.number for line in trained if str(getattr(line.row, key)) in values} == numbers:
            return f" --only '{key}={'|'.join(values)}'{chosen}"
    return chosen


def _of_no_table(planned: Sequence[Plan], begun: Sequence[Cell]) -> list[tuple[Plan, str]]:
    """What a table of the user's own, a plugin or other seeds have left in the store."""
    keys = {cell.key for made in planned for cell in made.cells}
    rest = [cell for cell in begun if cell.key not in keys]
    return [(plan_cells(rest), "")] if rest else []


def _standings(planned: Sequence[tuple[Plan, str]], store: Store, jobs: Queue, asked: Asked) -> Iterator[Standing]:
    cells = {cell.key: cell for made, _ in planned for cell in made.cells}
    found = store.briefs(cells.values())
    missing = {key for key, outcome in found.items() if outcome is None}
    waiting = {key: front.pid for front in fronts(store.root) for key in front.cells}
    sight = Sight(store=store, queue=_with_reasons(jobs, missing), waiting=waiting, retry=_retry(asked, store))
    entries = {key: sight.entry(cell, found[key]) for key, cell in cells.items()}
    for made, typed in planned:
        mine = tuple(entries[cell.key] for cell in made.cells)
        failed = [entry.cell for entry in mine if entry.kind == "failed"]
        on = _on(made, jobs) or next((f" --on {where}" for cell in failed if (where := _noted(cell, store))), "")
        yield Standing(plan=made, entries=mine, command=typed + on if typed else "")


def _with_reasons(jobs: Queue, keys: Collection[str]) -> Queue:
    """How the jobs of these cells ended, where accounting knows."""
    wanted = [task for task in jobs.over if any(key in keys for key in task.cells)]
    known = {(task.array.name, task.index): task for task in queue.with_reasons(wanted)} if wanted else {}
    return replace(jobs, over=tuple(known.get((task.array.name, task.index), task) for task in jobs.over))


def _on(made: Plan, jobs: Queue) -> str:
    """The place where cells of this table were trained last, as an option."""
    profiles = {key: place(task) for task in (*jobs.over, *jobs.tasks) for key in task.cells}
    used = [profiles[cell.key] for cell in made.cells if cell.key in profiles] if profiles else []
    return f" --on {used[-1]}" if used else ""


def place(task: Task) -> str:
    """What to give `--on`."""
    return shlex.quote(task.array.on or task.array.profile)


def _noted(cell: Cell, store: Store) -> str:
    """What to give `--on`, by the failure itself: the record of its job is gone once all of its cells have ended."""
    failure = store.failure(cell)
    return shlex.quote(failure.place) if failure is not None and failure.place else ""


def _retry(asked: Asked, store: Store) -> Callable[[Cell, Task | None], str]:
    """What to type for one failed cell; where its job is forgotten, the failure itself says where it ran."""

    def retry(cell: Cell, task: Task | None) -> str:
        where = place(task) if task is not None else _noted(cell, store)
        on = f" --on {where}" if where else ""
        return f"python -m harness run {cell.key} --retry failed{on}{asked.where()}"

    return retry
