"""`run`: train what is missing, here or on a cluster, then look again."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness import amounts, environment
from harness.errors import UserError, UserErrors
from harness.forecast import remainder
from harness.jobs import fronts
from harness.plan import Identify, Plan, State, naming, state
from harness.plugins import absolute
from harness.requests import Asked, How
from harness.spec import Cell
from harness.store import Store
from harness.verbs import known
from harness.verbs.session import Seen, all_cells, at_hand, plans_of

if TYPE_CHECKING:
    from harness.jobs.submit import How as Submission

Say = Callable[[Sequence[UserError]], None]
"""Tells the user of problems at once, before hours of work."""
Tell = Callable[[str], None]
"""Tells the user what was done, a line."""
Make = Callable[[Asked, Store, Identify], tuple[Plan, ...]]
"""What is to be trained, where it is not the targets: as `plans_of`."""


def train(asked: Asked, how: How, say: Say, make: Make | None = None) -> Seen:
    """For `run`: train what is missing. Raises UserError if nothing can be done at all, KeyboardInterrupt on Ctrl-C."""
    store, missing = Store(asked.store), dict[str, UserError]()
    plans = (make or plans_of)(asked, store, at_hand(asked.data, store, missing))
    fronts.remove_dead(store.root)
    cells = _to_train(plans, store, retry=how.again)
    able = [cell for cell in cells if cell.dataset not in missing]
    if missing and not able and not any(state(plan, store).done for plan in plans):
        raise UserErrors(missing.values())
    able, vain = _apart(able, asked.data)
    if able or vain:
        say([*store.problems, *vain])
    ended = _launch(able, plans, store, asked, how) if able else {}
    return _seen_again(plans, asked, how, ended, [*_wanted(missing, plans, store), *vain])


def submit(asked: Asked, how: How, say: Say, tell: Tell, make: Make | None = None) -> Seen:
    """For `run --on CLUSTER`: submit what is missing; with `--wait`, follow it to its end.

    Raises UserError if nothing can be done at all, KeyboardInterrupt on Ctrl-C, which the jobs do not hear of.
    """
    from harness.jobs import remote

    sending = remotely(asked, how)
    store, missing = Store(asked.store), dict[str, UserError]()
    plans = (make or plans_of)(asked, store, at_hand(sending.data_root, store, missing))
    if not _wanting(plans, store, retry=how.again):  # of a store that may only be read, too
        return _seen_again(plans, asked, how, {}, ())
    store.prepare()

    def able() -> list[Cell]:
        found = [c for c in _to_train(plans, store, retry=how.again) if c.dataset not in missing]
        if missing and not found and not any(state(plan, store).done for plan in plans):
            raise UserErrors(missing.values())
        found, vain = _apart(found, sending.data_root)
        say([*store.problems, *vain])
        return found

    sent = remote.send(able, store, sending, tell)
    if sent.submitted:
        tell(f"profile {sending.profile.name}: {sending.source}")
    if sent.queued:
        tell(f"{amounts.count(len(sent.queued), 'cell')} in the queue already")
    if sent.elsewhere:
        tell(f"{amounts.count(len(sent.elsewhere), 'cell')} trained by another run")
    problems, ended = [*_wanted(missing, plans, store), *sent.problems], dict[str, str]()
    if how.wait and sent.under_way:
        ended = _follow(sent.under_way, plans, store, sending)
        remote.tidy(store, wait=True)
    elif sent.under_way:
        tell(f"the jobs go on without this terminal; how they fare: python -m harness status{asked.where()}")
    return _seen_again(plans, asked, how, ended, problems, 0 if how.wait else len(sent.under_way))


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


def _launch(cells: Sequence[Cell], plans: Sequence[Plan], store: Store, asked: Asked, how: How) -> dict[str, str]:
    from rich.console import Console

    from harness.jobs import launch
    from harness.jobs.progress import Monitor

    os.environ[environment.COMMAND] = environment.command_line(asked.words)
    gpus = environment.gpus()
    default = launch.default_jobs(how.on, gpus, how.threads)
    jobs = 1 if how.on == "inline" else how.jobs or default
    chosen = launch.Options(
        on=how.on,
        jobs=jobs,
        threads=how.threads,
        data_root=asked.data.resolve() if asked.data else None,
        plugins=absolute(asked.plugin),
        recompute=how.recompute,
        gpus=gpus if how.on == "local" else (),
    )
    console = Console(stderr=True)
    with Monitor(
        cells, len(all_cells(plans)) - len(cells), store, jobs, console, naming(plans), all_cells(plans)
    ) as monitor:
        return launch.run(cells, store, chosen, monitor.watch)


def remotely(asked: Asked, how: How) -> Submission:
    """Raises UserError for an unknown cluster, and where there is no SLURM."""
    from harness import clusters, slurm
    from harness.jobs.submit import How as Submission

    source = clusters.find(how.on, asked.store)
    profile = clusters.load(str(source), asked.store)
    slurm.require()
    store_root = asked.store.resolve()
    if odd := re.search(r"[%\\\x00-\x1f\x7f\ud800-\udfff]", str(store_root)):
        what = f"the path of the store has {odd[0]!r}, by which SLURM or its script would mean something else"
        raise UserError(what, str(store_root), "choose another folder: --store DIR")
    data_root = asked.data or (Path(profile.data).expanduser() if profile.data else None)
    return Submission(
        profile=profile,
        source=source,
        on=str(Path(how.on).resolve()) if Path(how.on).suffix == ".toml" else how.on,
        store_root=store_root,
        threads=how.threads,
        data_root=data_root.resolve() if data_root else None,
        plugins=absolute(asked.plugin),
        recompute=how.recompute,
        command=environment.command_line(asked.words),
    )


def _follow(cells: Sequence[Cell], plans: Sequence[Plan], store: Store, sending: Submission) -> dict[str, str]:
    from rich.console import Console

    from harness.jobs import remote
    from harness.jobs.progress import Monitor

    at_once = min(len(cells), sending.profile.parallel * sending.profile.pack)
    done, console = len(all_cells(plans)) - len(cells), Console(stderr=True)
    with Monitor(cells, done, store, at_once, console, naming(plans), all_cells(plans)) as monitor:
        return remote.follow(cells, store, monitor.watch)


def _seen_again(
    plans: tuple[Plan, ...],
    asked: Asked,
    how: How,
    ended: Mapping[str, str],
    problems: Iterable[UserError],
    under_way: int = 0,
) -> Seen:
    """What the store holds after a run, and what went wrong in it."""
    again = Store(asked.store)  # forgets what was said of files that were moved aside since
    states = tuple(state(plan, again) for plan in plans)
    errors = dict.fromkeys(text.removeprefix("error: ") for text in ended.values() if text.startswith("error: "))
    said = [*problems, *again.problems, *(UserError(line) for line in errors), *_failed(states, asked, how, again)]
    return Seen(plans=plans, states=states, problems=tuple(said), under_way=under_way)


def _failed(states: Sequence[State], asked: Asked, how: How, store: Store) -> list[UserError]:
    failed = list(dict.fromkeys(cell for s in states for cell in s.failed))
    if not failed:
        return []
    again = asked.command if how.retry else f"{asked.command} --retry failed"
    log = f"log: {store.log(failed[0])}" if len(failed) == 1 else f"logs: {store.log(failed[0])}, ..."
    return [UserError(f"{amounts.count(len(failed), 'cell')} failed; {log}", to_type=f"to try again, type: {again}")]
