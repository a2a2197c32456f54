"""What the verbs of tables say: what is trained or looked at, printed, drawn, compared and judged."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness import requests
from harness.answers import INCOMPLETE, INTERRUPTED, OK
from harness.errors import UserError
from harness.printable import as_json
from harness.streams import complain, say, say_pages, steps, tell, write

if TYPE_CHECKING:
    from harness.plan import Plan, State
    from harness.verbs.run import Make
    from harness.verbs.session import Seen


def run(request: requests.Run) -> int:
    from harness import clusters
    from harness.verbs import run as verb

    asked, how = request.asked, request.how
    if request.dry_run:
        return _foretell(asked, how, request.format)
    here = how.on in clusters.HERE
    try:
        done = verb.train(asked, how, complain) if here else verb.submit(asked, how, complain, tell)
    except KeyboardInterrupt:
        return _interrupted(asked, here)
    shown = _show(done, asked, request.format, request.out)
    complain(done.problems)
    submitted = bool(done.under_way) and not done.problems
    return OK if shown and (done.complete or submitted) else INCOMPLETE


def table(request: requests.Table) -> int:
    from harness import tables
    from harness.verbs.looking import look

    seen = look(request.asked, tables.load_table)
    if request.compact:
        from harness.render.compact import compact_page

        found = zip(seen.plans, seen.states, strict=True)
        say_pages([compact_page(plan, state.outcomes) for plan, state in found], request.format)
    else:
        _show(seen, request.asked, request.format)
    complain(seen.problems)
    return OK if seen.complete else INCOMPLETE


def figure(request: requests.Figure) -> int:
    from harness import tables
    from harness.verbs.looking import look

    seen = look(request.asked, tables.load_figure)
    shown = _show(seen, request.asked, out=request.out)
    complain(seen.problems)
    return OK if shown and seen.complete else INCOMPLETE


def compare(request: requests.Compare) -> int:
    from harness import clusters
    from harness.verbs import compare as verb
    from harness.verbs import run

    request = verb.checked(request)
    asked, how, make = request.asked, request.how, verb.making(request)
    if request.dry_run:
        return _foretell(asked, how, request.format, make)
    here = how.on in clusters.HERE
    try:
        seen = run.train(asked, how, complain, make) if here else run.submit(asked, how, complain, tell, make)
        found = verb.answer(request, seen, tell)
    except KeyboardInterrupt:
        return _interrupted(asked, here)
    pages = [found.learned] if request.format in ("csv", "json") else [found.learned, found.costs]
    say_pages(pages, request.format)
    if request.format in ("terminal", "latex"):
        say("\n" + "\n".join(found.latex))
    complain(found.problems)
    submitted = bool(seen.under_way) and not found.problems
    return OK if found.complete or submitted else INCOMPLETE


def claims(request: requests.Claims) -> int:
    from harness.verbs import ledger

    pages, problems = ledger.pages(request)
    say_pages(pages, request.format)
    complain(problems)
    return OK


def _foretell(asked: requests.Asked, how: requests.How, form: str, make: Make | None = None) -> int:
    from harness.verbs.dry_run import dry_run

    if form not in ("terminal", "json"):
        raise UserError(f"a dry run is not told as {form}", "--dry-run --format", "leave out --format, or take json")
    found = dry_run(asked, how, complain, make, steps())
    if form == "json":
        write(as_json(found.record))
    else:
        say(found.text)
    return OK


def _interrupted(asked: requests.Asked, here: bool) -> int:
    kept = "finished cells and epochs are kept" if here else "what was submitted goes on"
    tell(f"interrupted; {kept}")
    tell(f"to go on, type: {asked.command}")
    return INTERRUPTED


def _show(seen: Seen, asked: requests.Asked, form: str = "terminal", out: Path = requests.Run.out) -> bool:
    """Tables are printed, figures drawn. False where something that a figure needs could not be computed."""
    from harness.render import table_page
    from harness.spec import Figure

    found = list(zip(seen.plans, seen.states, strict=True))
    pages = [table_page(plan, state.outcomes) for plan, state in found if not isinstance(plan.table, Figure)]
    if pages:
        say_pages(pages, form)
    drawn = [_draw(plan, state, asked, out) for plan, state in found if isinstance(plan.table, Figure)]
    return all(drawn)


def _draw(plan: Plan, state: State, asked: requests.Asked, out: Path) -> bool:
    from harness.measure import probing
    from harness.render import draw_figure
    from harness.store import Store

    if not state.done:
        complain([UserError("nothing is measured, nothing is drawn", plan.table.name, f"type: {_run(plan, asked)}")])
        return False
    store = Store(asked.store)
    missing = probing.complete(plan, state.done, store, asked.data, asked.plugin, tell)
    say("\n".join(draw_figure(plan, state.outcomes, out, probing.known(plan, state.done, store))))
    complain([*store.problems, *missing])
    return not missing


def _run(plan: Plan, asked: requests.Asked) -> str:
    """What trains it."""
    from harness.verbs.standings import command

    name = next((target for target in asked.targets if Path(target).stem == plan.table.name), plan.table.name)
    return command(name, plan, asked)
