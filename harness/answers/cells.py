"""What the verbs of single cells and of the store say: how they stand, are shown, stopped, taken over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness import requests
from harness.answers import INCOMPLETE, OK
from harness.errors import UserError
from harness.printable import as_json, printable_lines, readable
from harness.streams import complain, say, say_pages, tell

if TYPE_CHECKING:
    from harness.render.page import Page
    from harness.verbs.standings import Look


def status(request: requests.Status) -> int:
    from harness.verbs import standings
    from harness.verbs.watch import watch

    if request.watch is None:
        look = standings.look(request.asked)
        say(_standings_text(look, request))
        complain(look.problems)
        return INCOMPLETE if look.failed else OK

    def again() -> tuple[str, bool]:
        look = standings.look(request.asked)
        problems = [f"harness: {line}" for problem in look.problems for line in str(problem).splitlines()]
        return printable_lines("\n".join([_standings_text(look, request), *problems])), look.going

    watch(again, request.watch, say)
    return OK


def _standings_text(look: Look, request: requests.Status) -> str:
    from harness.verbs import status as report

    if request.format == "json":
        return as_json(report.records(look.standings))
    if not look.standings:
        begin = f"python -m harness run table1 --preset smoke{request.asked.where()}"
        return f"nothing is in {request.asked.store} yet; to begin, type: {begin}"
    return report.page(look.standings, every=bool(request.asked.targets) or request.cells)


def show(request: requests.Show) -> int:
    from harness.store import Store
    from harness.verbs import show as report

    if request.cell == "protocol":
        say_pages(_protocol_pages(request), request.format)
        return OK
    if request.only:
        raise UserError("a cell is shown without `--only`", "show", "type show CELL, or show protocol own --only ...")
    if request.protocols or request.format != "terminal":
        odd = request.protocols[0] if request.protocols else f"--format {request.format}"
        raise UserError(f"a cell is shown without `{odd}`", "show", "type show CELL, or show protocol [NAME]")
    cell, store = report.find_cell(request.cell, Store(request.store))
    for heading, text in report.sections(cell, store):
        say(f"\n{heading}\n{text}" if heading else text)
    complain(store.problems)
    return OK


def _protocol_pages(request: requests.Show) -> list[Page]:
    """Of protocols of works a page for each work; else all settings side by side."""
    from harness.plan import parse_only
    from harness.tables import load_protocol
    from harness.verbs.settings import settings_page
    from harness.verbs.systems import works_pages
    from harness.works import Works

    named = [load_protocol(name) for name in request.protocols]
    works = [protocol for protocol in named if isinstance(protocol, Works)]
    if request.only and not works:
        raise UserError("`--only` is of a protocol of works", "show", "type show protocol own --only method=NAME")
    pages = [page for protocol in works for page in works_pages(protocol, parse_only(request.only))]
    others = [name for name, protocol in zip(request.protocols, named, strict=True) if protocol not in works]
    return [*([settings_page(others)] if others or not works else []), *pages]


def explain_gap(request: requests.ExplainGap) -> int:
    from harness.gap.asked import explained

    say_pages(explained(request), request.format)
    return OK


def logs(request: requests.Logs) -> int:
    from harness.verbs.logs import Logs
    from harness.verbs.tail import tail

    found = Logs(request.cell, request.store)
    paths = found.paths()
    if not paths and not (request.follow and found.to_come):
        complain([found.why_none()])
        return INCOMPLETE
    at = 0
    for path in paths:
        tell(str(path))
        text, at = tail(path, request.lines)
        say(readable(text), end="")
    if request.follow:
        for text in found.follow(found.cell, at if paths == [found.cell] else 0):
            say(text, end="")
    return OK


def cancel(request: requests.Cancel) -> int:
    from harness.verbs.cancel import cancel as stop

    said = stop(request)
    say("\n".join(said.lines))
    complain(said.problems)
    return INCOMPLETE if said.problems else OK


def merge(request: requests.Merge) -> int:
    from harness.verbs.merge import merge as unite

    done = unite(request.other, request.store, checkpoints=request.checkpoints, dry_run=request.dry_run)
    say("\n".join(done.lines))
    complain(done.problems)
    return INCOMPLETE if done.problems else OK
