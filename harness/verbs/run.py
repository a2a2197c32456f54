"""`run`: train what is missing, here or on a cluster, then look again."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness import amounts, environment
from harness.errors import UserError, UserErrors
from harness.forecast import remainder
from harness.jobs import fronts
from harness.plan import Identify, Plan, State, naming, state
from harness.plugins import absolute
from harness.spec import Cell
from harness.store import Store
from harness.verbs import known
from harness.verbs.session import Seen, all_cells, at_hand, plans_of

if TYPE_CHECKING:
    from harness.jobs.submit import How

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
    fronts.remove_dead(store.root)
    cells = _to_train(plans, store, retry=options.retry == "failed")
    able = [cell for cell in cells if cell.dataset not in missing]
    if missing and not able and not any(state(plan, store).done for plan in plans):
        raise UserErrors(missing.values())
    able, vain = _apart(able, options.data)
    if able or vain:
        say([*store.problems, *vain])
    ended = _launch(able, plans, store, options) if able else {}
    return _seen_again(plans, options, ended, [*_wanted(missing, plans, store), *vain])


def submit(options: argparse.Namespace, say: Say, tell: Tell, make: Make | None = None) -> Seen:
    """For `run --on CLUSTER`: submit what is missing; with `--wait`, follow it to its end.

    Raises UserError if nothing can be done at all, KeyboardInterrupt on Ctrl-C, which the jobs do not hear of.
    """
    from harness.jobs import remote

    how = remotely(options)
    store, missing = Store(options.store), dict[str, UserError]()
    plans = (make or plans_of)(options, store, at_hand(how.data_root, store, missing))
    if not _wanting(plans, store, retry=options.retry == "failed"):  # of a store that may only be read, too
        return _seen_again(plans, options, {}, ())
    store.prepare()

    def able() -> list[Cell]:
        found = [c for c in _to_train(plans, store, retry=options.retry == "failed") if c.dataset not in missing]
        if missing and not found and not any(state(plan, store).done for plan in plans):
            raise UserErrors(missing.values())
        found, vain = _apart(found, how.data_root)
        say([*store.problems, *vain])
        return found

    sent = remote.send(able, store, how, tell)
    if sent.submitted:
        tell(f"profile {how.profile.name}: {how.source}")
    if sent.queued:
        tell(f"{amounts.count(len(sent.queued), 'cell')} in the queue already")
    if sent.elsewhere:
        tell(f"{amounts.count(len(sent.elsewhere), 'cell')} trained by another run")
    problems, ended = [*_wanted(missing, plans, store), *sent.problems], dict[str, str]()
    if options.wait and sent.under_way:
        ended = _follow(sent.under_way, plans, store, how)
        remote.tidy(store, wait=True)
    elif sent.under_way:
        tell("the jobs go on without this terminal; how they fare: python -m harness status")
    return _seen_again(plans, options, ended, problems, 0 if options.wait else len(sent.under_way))


def _to_train(plans: Sequence[Plan], store: Store, *, retry: bool) -> list[Cell]:
    """Cells without a result, those that run elsewhere included; damaged results are set aside, failures forgiven.

    Raises UserErrors for a recipe that nothing can be trained by.
    """
    todo = _wanting(plans, store, retry=retry)
    failed = {cell for plan in plans for cell in state(plan, store).failed} if retry else ()
    if todo:
        known.check(plans)
        store.prepare()
    for cell in todo:
        store.set_aside(cell)
        if cell in failed:
            store.forgive(cell)
    return todo


def _wanting(plans: Sequence[Plan], store: Store, *, retry: bool) -> list[Cell]:
    """Cells to be trained: not those with a result, though we may not be able to read it, nor what failed before."""
    states = [state(plan, store) for plan in plans]
    settled = {cell for s in states for cell in (*s.done, *(() if retry else s.failed))}
    return [cell for cell in all_cells(plans) if cell not in settled and store.refused(cell) is None]


def _apart(cells: list[Cell], data_root: Path | None) -> tuple[list[Cell], list[UserError]]:
    """The cells that can be trained, and why the others cannot."""
    vain = remainder.problems(cells, data_root)
    return [cell for cell in cells if cell not in vain], list(vain.values())


def _wanted(missing: Mapping[str, UserError], plans: Sequence[Plan], store: Store) -> list[UserError]:
    """Why data sets are not here, of those that something is still to be trained on."""
    wanted = {cell.dataset for plan in plans for cell in set(plan.cells) - set(state(plan, store).done)}
    return [error for dataset, error in missing.items() if dataset in wanted]


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
    with Monitor(cells, len(all_cells(plans)) - len(cells), store, jobs, console, naming(plans)) as monitor:
        return launch.run(cells, store, how, monitor.watch)


def remotely(options: argparse.Namespace) -> How:
    """Raises UserError for an unknown cluster, and where there is no SLURM."""
    from harness import clusters, slurm
    from harness.jobs.submit import How

    source = clusters.find(options.on, options.store)
    profile = clusters.load(str(source), options.store)
    slurm.require()
    store_root = options.store.resolve()
    if odd := re.search(r"[%\\\x00-\x1f\x7f\ud800-\udfff]", str(store_root)):
        what = f"the path of the store has {odd[0]!r}, by which SLURM or its script would mean something else"
        raise UserError(what, str(store_root), "choose another folder: --store DIR")
    data_root = options.data or (Path(profile.data).expanduser() if profile.data else None)
    return How(
        profile=profile,
        source=source,
        on=str(Path(options.on).resolve()) if Path(options.on).suffix == ".toml" else options.on,
        store_root=store_root,
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
    done, console = len(all_cells(plans)) - len(cells), Console(stderr=True)
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
    if blocked := sum(text == "blocked" for text in ended.values()):
        said.append(UserError(f"{amounts.count(blocked, 'cell')} blocked: what they begin from has no result"))
    return Seen(plans=plans, states=states, problems=tuple(said), under_way=under_way)


def _failed(states: Sequence[State], options: argparse.Namespace) -> list[UserError]:
    failed = len(dict.fromkeys(cell for s in states for cell in s.failed))
    again = options.command if options.retry else f"{options.command} --retry failed"
    return (
        [UserError(f"{amounts.count(failed, 'cell')} failed", to_type=f"to try again, type: {again}")] if failed else []
    )
