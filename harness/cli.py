"""The verbs: parse, call one function, render. Errors become one line each here, and nowhere else."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from harness import arguments
from harness.columns import columns
from harness.errors import UserError

if TYPE_CHECKING:
    from harness.session import Seen

OK, INCOMPLETE, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code: 0 all asked for is there, 1 something failed or is missing, 2 bad input, 130 interrupted."""
    given = list(sys.argv[1:] if argv is None else argv)
    try:
        options = arguments.parse(given)
        options.command = shlex.join(["python", "-m", "harness", *given])
        code = VERBS[options.verb](options)
        sys.stdout.flush()
        return code
    except UserError as error:
        complain([error])
        return BAD_INPUT
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # `... | head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK


def complain(errors: Iterable[UserError]) -> None:
    """Each problem on a line of standard error."""
    for error in errors:
        for line in str(error).splitlines():
            print(f"harness: {line}", file=sys.stderr)


def run(options: argparse.Namespace) -> int:
    from harness import session

    if options.dry_run:
        print(session.dry_run(options, complain))
        return OK
    try:
        done = session.train(options, complain)
    except KeyboardInterrupt:
        print("harness: interrupted; finished cells and epochs are kept", file=sys.stderr)
        print(f"harness: to go on, type: {options.command}", file=sys.stderr)
        return INTERRUPTED
    _show(done, options)
    complain(done.problems)
    return OK if done.complete else INCOMPLETE


def table(options: argparse.Namespace) -> int:
    from harness import session, tables

    seen = session.look(options, tables.load_table)
    _show(seen, options)
    complain(seen.problems)
    return OK if seen.complete else INCOMPLETE


def figure(options: argparse.Namespace) -> int:
    from harness import session, tables

    seen = session.look(options, tables.load_figure)
    _show(seen, options)
    complain(seen.problems)
    return OK if seen.complete else INCOMPLETE


def claims(options: argparse.Namespace) -> int:
    from harness import session
    from harness.render import render

    page, problems = session.claims(options)
    print(render(page, options.format))
    complain(problems)
    return OK


def status(options: argparse.Namespace) -> int:
    from harness import session
    from harness import status as report

    standings, store = session.standings(options)
    if options.format == "json":
        print(json.dumps(report.records(standings, store), indent=2))
        return OK
    if not standings:
        print(f"nothing is in {store.root} yet; to begin, type: python -m harness run table1 --preset smoke")
        return OK
    print(columns(report.overview(standings)))
    for standing in standings:
        if rows := report.details(standing, store, every=bool(options.targets)):
            print(f"\n{standing.title}\n{columns(rows, indent='  ')}")
        for line in report.advice(standing):
            print(f"  {line}")
    complain(store.problems)
    return OK


def list_(options: argparse.Namespace) -> int:
    from harness import catalogue
    from harness.plugins import load_plugins

    load_plugins(options.plugin)
    rows = catalogue.entries(options.kind)
    if options.format == "json":
        print(json.dumps([{"name": name, "description": text} for name, text in rows], indent=2))
    else:
        print(columns(rows))
    return OK


def show(options: argparse.Namespace) -> int:
    from harness import show as report
    from harness.store import Store

    cell, store = report.find_cell(options.cell, Store(options.store))
    for heading, text in report.sections(cell, store):
        print(f"\n{heading}\n{text}" if heading else text)
    complain(store.problems)
    return OK


def doctor(options: argparse.Namespace) -> int:
    from harness import doctor as report
    from harness.store import Store

    wrong = False
    for finding in report.examine(Store(options.store), options.data):
        wrong = wrong or (finding.state == "missing" and not finding.what.startswith("data "))
        print(columns([(f"{finding.state:<7}", f"{finding.what:<19}", finding.detail)]), flush=True)
    return INCOMPLETE if wrong else OK


def _show(seen: Seen, options: argparse.Namespace) -> None:
    """Tables are printed, figures drawn."""
    from harness.render import draw_figure, render, table_page
    from harness.spec import Figure

    found = list(zip(seen.plans, seen.states, strict=True))
    pages = [table_page(plan, state.outcomes) for plan, state in found if not isinstance(plan.table, Figure)]
    if pages:
        between = "\n\n" if options.format in ("terminal", "markdown", "latex") else "\n"
        print(between.join(render(page, options.format) for page in pages))
    for plan, state in found:
        if isinstance(plan.table, Figure):
            print("\n".join(draw_figure(plan, state.outcomes, options.out)))


VERBS: dict[str, Callable[[argparse.Namespace], int]] = {
    "run": run,
    "table": table,
    "figure": figure,
    "claims": claims,
    "status": status,
    "list": list_,
    "show": show,
    "doctor": doctor,
}
