"""The verbs: parse, call one function, render. Errors become one line each here, and nowhere else."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness import arguments, environment
from harness.columns import columns
from harness.errors import UserError

if TYPE_CHECKING:
    from harness.plan import Plan, State
    from harness.verbs.session import Seen
    from harness.verbs.standings import Look

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


def tell(line: str) -> None:
    """What was done, on standard error."""
    print(f"harness: {line}", file=sys.stderr, flush=True)


def run(options: argparse.Namespace) -> int:
    from harness import clusters
    from harness.verbs import run as verb

    if options.dry_run:
        from harness.verbs.dry_run import dry_run

        print(dry_run(options, complain))
        return OK
    here = options.on in clusters.HERE
    try:
        done = verb.train(options, complain) if here else verb.submit(options, complain, tell)
    except KeyboardInterrupt:
        return _interrupted(options, here)
    shown = _show(done, options)
    complain(done.problems)
    submitted = bool(done.under_way) and not done.problems
    return OK if shown and (done.complete or submitted) else INCOMPLETE


def _interrupted(options: argparse.Namespace, here: bool) -> int:
    kept = "finished cells and epochs are kept" if here else "what was submitted goes on"
    print(f"harness: interrupted; {kept}", file=sys.stderr)
    print(f"harness: to go on, type: {options.command}", file=sys.stderr)
    return INTERRUPTED


def table(options: argparse.Namespace) -> int:
    from harness import tables
    from harness.verbs import session

    seen = session.look(options, tables.load_table)
    shown = _show(seen, options)
    complain(seen.problems)
    return OK if shown and seen.complete else INCOMPLETE


def figure(options: argparse.Namespace) -> int:
    from harness import tables
    from harness.verbs import session

    seen = session.look(options, tables.load_figure)
    shown = _show(seen, options)
    complain(seen.problems)
    return OK if shown and seen.complete else INCOMPLETE


def compare(options: argparse.Namespace) -> int:
    from harness import clusters
    from harness.render import render
    from harness.verbs import compare as verb
    from harness.verbs import run

    placed = verb.placed(options)
    if options.dry_run:
        from harness.verbs.dry_run import dry_run

        print(dry_run(placed, complain, verb.make))
        return OK
    here = placed.on in clusters.HERE
    try:
        make = verb.make
        seen = run.train(placed, complain, make) if here else run.submit(placed, complain, tell, make)
        found = verb.answer(placed, seen, tell)
    except KeyboardInterrupt:
        return _interrupted(options, here)
    pages = [found.learned] if options.format in ("csv", "json") else [found.learned, found.costs]
    print(render(pages, options.format))
    if options.format in ("terminal", "latex"):
        print("\n" + "\n".join(found.latex))
    complain(found.problems)
    submitted = bool(seen.under_way) and not found.problems
    return OK if found.complete or submitted else INCOMPLETE


def export(options: argparse.Namespace) -> int:
    from harness import export as verb

    paths, problems = verb.export(options, tell)
    print("\n".join(map(str, paths)))
    complain(problems)
    return OK


def new(options: argparse.Namespace) -> int:
    from harness.verbs import starter

    path = starter.write_method(options.name)
    print(path)
    command = "python -m harness compare FILE --on table1 --preset smoke --only timesteps=2 --train-baselines"
    tell(f"try it: {command.replace('FILE', str(path))}")
    return OK


def claims(options: argparse.Namespace) -> int:
    from harness.render import render
    from harness.verbs import ledger

    pages, problems = ledger.pages(options)
    print(render(pages, options.format))
    complain(problems)
    return OK


def report(options: argparse.Namespace) -> int:
    from harness import durable
    from harness.report import document, gather

    if options.out.is_dir():
        raise UserError("is a folder", f"--out {options.out}", "name a file, such as report.html")
    found = gather(options)
    durable.make_folder(options.out.parent)
    durable.write(options.out, document(found).encode())
    print(options.out)
    complain(found.problems)
    if options.open:
        import webbrowser

        webbrowser.open(options.out.resolve().as_uri())
    return OK


def status(options: argparse.Namespace) -> int:
    from harness.verbs import standings
    from harness.verbs.watch import watch

    if options.watch is None:
        look = standings.look(options)
        print(_standings_text(look, options))
        complain(look.problems)
        return OK

    def again() -> tuple[str, bool]:
        look = standings.look(options)
        problems = [f"harness: {line}" for problem in look.problems for line in str(problem).splitlines()]
        return "\n".join([_standings_text(look, options), *problems]), look.going

    watch(again, options.watch, lambda text: print(text, flush=True))
    return OK


def _standings_text(look: Look, options: argparse.Namespace) -> str:
    from harness.verbs import status as report

    if options.format == "json":
        return json.dumps(report.records(look.standings), indent=2)
    if not look.standings:
        return f"nothing is in {options.store} yet; to begin, type: python -m harness run table1 --preset smoke"
    return report.page(look.standings, every=bool(options.targets) or options.cells)


def list_(options: argparse.Namespace) -> int:
    from harness.plugins import clashes, load_plugins
    from harness.verbs import catalogue

    load_plugins(options.plugin)
    complain(clashes() if options.kind == "methods" else ())
    rows = catalogue.entries(options.kind, options.store)
    if options.format == "json":
        print(json.dumps([{"name": name, "description": text} for name, text in rows], indent=2))
    else:
        print(columns(rows))
    return OK


def show(options: argparse.Namespace) -> int:
    from harness.store import Store
    from harness.verbs import show as report

    if options.cell == "protocol":
        from harness.render import render
        from harness.verbs.settings import settings_page

        print(render(settings_page(options.protocols), options.format))
        return OK
    if options.protocols or options.format != "terminal":
        odd = options.protocols[0] if options.protocols else f"--format {options.format}"
        raise UserError(f"a cell is shown without `{odd}`", "show", "type show CELL, or show protocol [NAME]")
    cell, store = report.find_cell(options.cell, Store(options.store))
    for heading, text in report.sections(cell, store):
        print(f"\n{heading}\n{text}" if heading else text)
    complain(store.problems)
    return OK


def logs(options: argparse.Namespace) -> int:
    from harness.verbs.logs import Logs, tail

    found = Logs(options.cell, options.store)
    paths = found.paths()
    if not paths and not (options.follow and found.to_come):
        complain([found.why_none()])
        return INCOMPLETE
    at = 0
    for path in paths:
        print(f"harness: {path}", file=sys.stderr, flush=True)
        text, at = tail(path, options.lines)
        print(text, end="", flush=True)
    if options.follow:
        for text in found.follow(found.cell, at if paths == [found.cell] else 0):
            print(text, end="", flush=True)
    return OK


def cancel(options: argparse.Namespace) -> int:
    from harness.verbs.cancel import cancel as stop

    said = stop(options)
    print("\n".join(said.lines))
    complain(said.problems)
    return INCOMPLETE if said.problems else OK


def merge(options: argparse.Namespace) -> int:
    from harness.verbs.merge import merge as unite

    done = unite(options.other, options.store, checkpoints=options.checkpoints, dry_run=options.dry_run)
    print("\n".join(done.lines))
    complain(done.problems)
    return INCOMPLETE if done.problems else OK


def bench(options: argparse.Namespace) -> int:
    from harness.measure import bench as measure
    from harness.render import render
    from harness.render.bench import bench_pages, write

    if options.bench.endswith(".json"):  # a record: told and drawn again, nothing is timed
        path, done = Path(options.bench), measure.read(Path(options.bench))
    else:
        wanted = {name: getattr(options, name) for name in ("architecture", "width", "timesteps", "batch", "method")}
        asked = measure.narrowed(measure.load(options.bench), wanted, options.rounds)
        os.environ[environment.COMMAND] = environment.command_line(sys.argv[1:])
        done = measure.run(asked, options.threads, lambda line: print(line, file=sys.stderr, flush=True))
        path = measure.record(done, options.out)
    write(done, path.with_suffix(""))
    print(render(bench_pages(done), options.format))
    print(f"harness: recorded in {path}, drawn beside it", file=sys.stderr)
    return OK


def doctor(options: argparse.Namespace) -> int:
    from harness.store import Store
    from harness.verbs import doctor as report

    wrong = False
    for finding in report.examine(Store(options.store), options.data):
        wrong = wrong or (finding.state == "missing" and not finding.what.startswith("data "))
        print(columns([(f"{finding.state:<7}", f"{finding.what:<19}", finding.detail)]), flush=True)
    return INCOMPLETE if wrong else OK


def _show(seen: Seen, options: argparse.Namespace) -> bool:
    """Tables are printed, figures drawn. False where something that a figure needs could not be computed."""
    from harness.render import render, table_page
    from harness.spec import Figure

    found = list(zip(seen.plans, seen.states, strict=True))
    pages = [table_page(plan, state.outcomes) for plan, state in found if not isinstance(plan.table, Figure)]
    if pages:
        print(render(pages, options.format))
    drawn = [_draw(plan, state, options) for plan, state in found if isinstance(plan.table, Figure)]
    return all(drawn)


def _draw(plan: Plan, state: State, options: argparse.Namespace) -> bool:
    from harness.measure import probing
    from harness.render import draw_figure
    from harness.store import Store

    store = Store(options.store)
    missing = probing.complete(plan, state.done, store, options.data, tuple(options.plugin), tell)
    print("\n".join(draw_figure(plan, state.outcomes, options.out, probing.known(plan, state.done, store))))
    complain([*store.problems, *missing])
    return not missing


VERBS: dict[str, Callable[[argparse.Namespace], int]] = {
    "run": run,
    "table": table,
    "figure": figure,
    "compare": compare,
    "export": export,
    "new": new,
    "claims": claims,
    "report": report,
    "status": status,
    "list": list_,
    "show": show,
    "logs": logs,
    "cancel": cancel,
    "merge": merge,
    "bench": bench,
    "doctor": doctor,
}
