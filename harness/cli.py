"""The verbs: parse, call one function, render. Errors become one line each here, and nowhere else."""

from __future__ import annotations

import argparse
import contextlib
import errno
import io
import os
import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness import arguments, environment
from harness.columns import columns
from harness.errors import UserError
from harness.printable import SPELLING, as_json, printable, printable_lines

if TYPE_CHECKING:
    from harness.plan import Plan, State
    from harness.render.page import Page
    from harness.verbs.session import Seen
    from harness.verbs.standings import Look

OK, INCOMPLETE, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130


class Unwritten(Exception):
    """Standard output does not take what is said: the disk behind it is full, or its device gone."""


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code: 0 all asked for is there, 1 something failed or is missing, 2 bad input, 130 interrupted."""
    given = list(sys.argv[1:] if argv is None else argv)
    _open_outputs()
    try:
        return _answer(given)
    except UserError as error:
        complain([error])
        return BAD_INPUT
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # `... | head` has read enough
        _say_no_more()
        return OK
    except Unwritten as error:
        complain([UserError(f"cannot be written ({error})", "standard output")])
        _say_no_more()
        return INCOMPLETE
    except OSError as error:  # of a file that nothing nearer to it has an answer for
        complain([UserError((error.strerror or str(error)).lower(), str(error.filename or ""))])
        return BAD_INPUT if error.errno == errno.ENAMETOOLONG else INCOMPLETE


def _answer(given: list[str]) -> int:
    try:
        options = arguments.parse(given)
        options.command = shlex.join(["python", "-m", "harness", *given])
        code = VERBS[options.verb](options)
    except SystemExit as asked:  # for help, which is printed
        code = int(asked.code or OK)
    say("", end="")
    return code


def say(text: object, end: str = "\n") -> None:
    """The answer, on standard output, with nothing in it that a terminal would obey. Raises Unwritten."""
    _write(printable_lines(str(text)), end)


def _say_pages(pages: Page | Sequence[Page], form: str) -> None:
    from harness.render import render

    _write(render(pages, form))  # which may have colours


def _write(text: str, end: str = "\n") -> None:
    try:
        print(text, end=end, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise Unwritten((error.strerror or str(error)).lower()) from None


def complain(errors: Iterable[UserError]) -> None:
    """Each problem on a line of standard error."""
    for error in errors:
        for line in str(error).splitlines():
            tell(line)


def tell(line: str) -> None:
    """What was done, on standard error; if that is full, nobody can be told so."""
    with contextlib.suppress(OSError):
        print(f"harness: {printable(line)}", file=sys.stderr, flush=True)


def _open_outputs() -> None:
    """Those that are closed (``>&-``) lead nowhere, or the next file that is opened would take their place; a sign that
    the output's encoding lacks is spelt."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = sys.stdout or _nowhere()
    sys.stderr = sys.stderr or _nowhere()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=SPELLING)


def _nowhere() -> io.TextIOWrapper:
    return Path(os.devnull).open("w")


def _say_no_more() -> None:
    """What is still in the buffer would fail once more when Python ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def run(options: argparse.Namespace) -> int:
    from harness import clusters
    from harness.verbs import run as verb

    if options.dry_run:
        from harness.verbs.dry_run import dry_run

        say(dry_run(options, complain))
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
    tell(f"interrupted; {kept}")
    tell(f"to go on, type: {options.command}")
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
    from harness.verbs import compare as verb
    from harness.verbs import run

    placed = verb.placed(options)
    if options.dry_run:
        from harness.verbs.dry_run import dry_run

        say(dry_run(placed, complain, verb.make))
        return OK
    here = placed.on in clusters.HERE
    try:
        make = verb.make
        seen = run.train(placed, complain, make) if here else run.submit(placed, complain, tell, make)
        found = verb.answer(placed, seen, tell)
    except KeyboardInterrupt:
        return _interrupted(options, here)
    pages = [found.learned] if options.format in ("csv", "json") else [found.learned, found.costs]
    _say_pages(pages, options.format)
    if options.format in ("terminal", "latex"):
        say("\n" + "\n".join(found.latex))
    complain(found.problems)
    submitted = bool(seen.under_way) and not found.problems
    return OK if found.complete or submitted else INCOMPLETE


def export(options: argparse.Namespace) -> int:
    from harness import export as verb

    paths, problems = verb.export(options, tell)
    say("\n".join(map(str, paths)))
    complain(problems)
    return OK


def new(options: argparse.Namespace) -> int:
    from harness.verbs import starter

    path = starter.write_method(options.name)
    say(path)
    command = "python -m harness compare FILE --on table1 --preset smoke --only timesteps=2 --train-baselines"
    tell(f"try it: {command.replace('FILE', str(path))}")
    return OK


def claims(options: argparse.Namespace) -> int:
    from harness.verbs import ledger

    pages, problems = ledger.pages(options)
    _say_pages(pages, options.format)
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
    say(options.out)
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
        say(_standings_text(look, options))
        complain(look.problems)
        return OK

    def again() -> tuple[str, bool]:
        look = standings.look(options)
        problems = [f"harness: {line}" for problem in look.problems for line in str(problem).splitlines()]
        return "\n".join([_standings_text(look, options), *problems]), look.going

    watch(again, options.watch, say)
    return OK


def _standings_text(look: Look, options: argparse.Namespace) -> str:
    from harness.verbs import status as report

    if options.format == "json":
        return as_json(report.records(look.standings))
    if not look.standings:
        return f"nothing is in {options.store} yet; to begin, type: python -m harness run table1 --preset smoke"
    return report.page(look.standings, every=bool(options.targets) or options.cells)


def list_(options: argparse.Namespace) -> int:
    from harness.plugins import clashes, load_plugins
    from harness.verbs import catalogue

    load_plugins(options.plugin)
    complain(clashes() if options.kind == "methods" else ())
    rows = catalogue.entries(options.kind)
    if options.format == "json":
        _write(as_json([{"name": name, "description": text} for name, text in rows]))
    else:
        say(columns(rows))
    return OK


def show(options: argparse.Namespace) -> int:
    from harness.store import Store
    from harness.verbs import show as report

    if options.cell == "protocol":
        from harness.verbs.settings import settings_page

        _say_pages(settings_page(options.protocols), options.format)
        return OK
    if options.protocols or options.format != "terminal":
        odd = options.protocols[0] if options.protocols else f"--format {options.format}"
        raise UserError(f"a cell is shown without `{odd}`", "show", "type show CELL, or show protocol [NAME]")
    cell, store = report.find_cell(options.cell, Store(options.store))
    for heading, text in report.sections(cell, store):
        say(f"\n{heading}\n{text}" if heading else text)
    complain(store.problems)
    return OK


def logs(options: argparse.Namespace) -> int:
    from harness.verbs.logs import Logs
    from harness.verbs.tail import tail

    found = Logs(options.cell, options.store)
    paths = found.paths()
    if not paths and not (options.follow and found.to_come):
        complain([found.why_none()])
        return INCOMPLETE
    at = 0
    for path in paths:
        tell(str(path))
        text, at = tail(path, options.lines)
        say(text, end="")
    if options.follow:
        for text in found.follow(found.cell, at if paths == [found.cell] else 0):
            say(text, end="")
    return OK


def cancel(options: argparse.Namespace) -> int:
    from harness.verbs.cancel import cancel as stop

    said = stop(options)
    say("\n".join(said.lines))
    complain(said.problems)
    return INCOMPLETE if said.problems else OK


def merge(options: argparse.Namespace) -> int:
    from harness.verbs.merge import merge as unite

    done = unite(options.other, options.store, checkpoints=options.checkpoints, dry_run=options.dry_run)
    say("\n".join(done.lines))
    complain(done.problems)
    return INCOMPLETE if done.problems else OK


def bench(options: argparse.Namespace) -> int:
    from harness.measure import bench as measure
    from harness.render.bench import bench_pages, write

    if options.bench.endswith(".json"):  # a record: told and drawn again, nothing is timed
        path, done = Path(options.bench), measure.read(Path(options.bench))
    else:
        wanted = {name: getattr(options, name) for name in ("architecture", "width", "timesteps", "batch", "method")}
        asked = measure.narrowed(measure.load(options.bench), wanted, options.rounds)
        os.environ[environment.COMMAND] = environment.command_line(sys.argv[1:])
        done = measure.run(asked, options.threads, tell)
        path = measure.record(done, options.out)
    write(done, path.with_suffix(""))
    _say_pages(bench_pages(done), options.format)
    tell(f"recorded in {path}, drawn beside it")
    return OK


def doctor(options: argparse.Namespace) -> int:
    from harness.store import Store
    from harness.verbs import doctor as report

    wrong = False
    for finding in report.examine(Store(options.store), options.data):
        wrong = wrong or (finding.state == "missing" and not finding.what.startswith("data "))
        say(columns([(f"{finding.state:<7}", f"{finding.what:<19}", finding.detail)]))
    return INCOMPLETE if wrong else OK


def _show(seen: Seen, options: argparse.Namespace) -> bool:
    """Tables are printed, figures drawn. False where something that a figure needs could not be computed."""
    from harness.render import table_page
    from harness.spec import Figure

    found = list(zip(seen.plans, seen.states, strict=True))
    pages = [table_page(plan, state.outcomes) for plan, state in found if not isinstance(plan.table, Figure)]
    if pages:
        _say_pages(pages, options.format)
    drawn = [_draw(plan, state, options) for plan, state in found if isinstance(plan.table, Figure)]
    return all(drawn)


def _draw(plan: Plan, state: State, options: argparse.Namespace) -> bool:
    from harness.measure import probing
    from harness.render import draw_figure
    from harness.store import Store

    store = Store(options.store)
    missing = probing.complete(plan, state.done, store, options.data, tuple(options.plugin), tell)
    say("\n".join(draw_figure(plan, state.outcomes, options.out, probing.known(plan, state.done, store))))
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
