"""The verbs: parse, call one function, render. Errors become one line each here, and nowhere else."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness import arguments, environment, requests
from harness.columns import columns
from harness.errors import UserError
from harness.printable import as_json, printable_lines, readable
from harness.streams import Unwritten, complain, open_outputs, say, say_no_more, say_pages, steps, tell, write

if TYPE_CHECKING:
    from harness.measure.spec import Benched
    from harness.plan import Plan, State
    from harness.render.page import Page
    from harness.verbs.run import Make
    from harness.verbs.session import Seen
    from harness.verbs.standings import Look

OK, INCOMPLETE, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code: 0 all asked for is there, 1 something failed or is missing, 2 bad input, 130 interrupted."""
    given = list(sys.argv[1:] if argv is None else argv)
    open_outputs()
    try:
        return _answer(given)
    except UserError as error:
        complain([arguments.carrying(error, given)])
        return BAD_INPUT
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # `... | head` has read enough
        say_no_more()
        return OK
    except Unwritten as error:
        complain([UserError(f"cannot be written ({error})", "standard output")])
        say_no_more()
        return INCOMPLETE
    except OSError as error:  # of a file that nothing nearer to it has an answer for
        complain([UserError((error.strerror or str(error)).lower(), str(error.filename or ""))])
        return BAD_INPUT if error.errno == errno.ENAMETOOLONG else INCOMPLETE


def _answer(given: list[str]) -> int:
    try:
        request = arguments.parse(given)
        code = VERBS[type(request)](request)
    except SystemExit as asked:  # for help, which is printed
        code = int(asked.code or OK)
    say("", end="")
    return code


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


def export(request: requests.Export) -> int:
    from harness import export as verb

    paths, problems = verb.export(request, tell)
    say("\n".join(map(str, paths)))
    complain(problems)
    return OK


def new(request: requests.New) -> int:
    from harness.verbs import starter

    path = starter.write_method(request.name)
    say(path)
    command = "python -m harness compare FILE --on table1 --preset smoke --only timesteps=2 --train-baselines"
    tell(f"check it: python -m harness check {path}")
    tell(f"try it: {command.replace('FILE', str(path))}")
    return OK


def claims(request: requests.Claims) -> int:
    from harness.verbs import ledger

    pages, problems = ledger.pages(request)
    say_pages(pages, request.format)
    complain(problems)
    return OK


def report(request: requests.Report) -> int:
    from harness import durable
    from harness.report import document, gather
    from harness.report.kept import keep

    if request.out.is_dir():
        raise UserError("is a folder", f"--out {request.out}", "name a file, such as report.html")
    step = steps()
    step("reading what is recorded")
    found = gather(request)
    if not request.replace:
        try:
            keep(request.out, found)
        except UserError:
            complain(found.problems)
            raise
    durable.make_folder(request.out.parent)
    durable.write(request.out, document(found, step).encode())
    say(request.out)
    complain(found.problems)
    if request.open:
        import webbrowser

        webbrowser.open(request.out.resolve().as_uri())
    return OK


def publish(request: requests.Publish) -> int:
    from harness.report import gather, publishing

    if (request.folder is None) != request.pages:
        raise UserError("say where to", "publish", "type a folder, or --pages, alone")
    step = steps()
    step("reading what is recorded")
    found = gather(requests.Report(asked=request.asked, bench=request.bench))
    if request.folder is None:
        say(publishing.commit(found, step))
        tell(f"on the branch {publishing.BRANCH}; to send it, type: git push origin {publishing.BRANCH}")
    else:
        say("\n".join(map(str, publishing.publish(found, request.folder, step))))
    complain(found.problems)
    return OK


def archive(request: requests.Archive) -> int:
    from harness.report import gather

    if request.check:
        from harness.report.checking import check

        steps()("printing it again")
        told, wrong = check(request.file)
        say("\n".join(told))
        complain(wrong)
        return INCOMPLETE if wrong else OK
    from harness.report.archive import pack

    step = steps()
    step("reading what is recorded")
    asked = requests.Report(asked=request.asked, bench=request.bench)
    found = gather(asked)
    pack(found, asked, request.file, step)
    say(request.file)
    complain(found.problems)
    return OK


def badge(request: requests.Badge) -> int:
    from harness import durable
    from harness.report.badge import badge_of

    text, name = badge_of(request)
    path = request.out or Path(name)
    durable.make_folder(path.parent)
    durable.write(path, text.encode())
    say(path)
    return OK


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


def list_(request: requests.Listing) -> int:
    from harness.plugins import clashes, load_plugins
    from harness.verbs import catalogue

    load_plugins(request.plugin)
    complain(clashes() if request.kind == "methods" else ())
    rows = catalogue.entries(request.kind) if request.kind else catalogue.kinds()
    if request.format == "json":
        write(as_json([{"name": name, "description": text} for name, text in rows]))
    else:
        say(columns(rows))
    return OK


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


def explain_gap(request: requests.ExplainGap) -> int:
    from harness.gap.asked import explained

    say_pages(explained(request), request.format)
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


def bench(request: requests.Bench) -> int:
    from harness.measure import bench as measure
    from harness.render.bench import bench_pages, write

    if request.bench.endswith(".json"):  # a record: told and drawn again, nothing is timed
        path, done = Path(request.bench), measure.read(Path(request.bench))
    else:
        asked = measure.narrowed(measure.load(request.bench), request.narrowed, request.rounds)
        os.environ[environment.COMMAND] = environment.command_line(request.words)
        done = measure.run(asked, request.threads, tell, request.out)
        if done.left:
            return _interrupted_bench(done, request)
        path = measure.record(done, request.out)
    write(done, path.with_suffix(""))
    say_pages(bench_pages(done), request.format)
    tell(f"recorded in {path}, drawn beside it")
    return OK


def _interrupted_bench(done: Benched, request: requests.Bench) -> int:
    from harness.render.bench import bench_pages

    say_pages(bench_pages(done), request.format)
    tell(f"interrupted; {len(done.left)} left, what is timed is kept: type the same again to go on from there")
    return INTERRUPTED


def doctor(request: requests.Doctor) -> int:
    from harness.store import Store
    from harness.verbs import doctor as report
    from harness.verbs import runnable

    wrong, here, gpu = False, set[str](), False
    for finding in report.examine(Store(request.store), request.data):
        if finding.state == "ok":
            here.add(finding.what.removeprefix("data "))
            gpu = gpu or finding.what == "gpu"
        wrong = wrong or (finding.state == "missing" and not finding.what.startswith("data "))
        say(columns([(f"{finding.state:<7}", f"{finding.what:<19}", finding.detail)]))
    able = list(runnable.commands(here, requests.Asked(store=request.store, data=request.data), gpu=gpu))
    say("\nyou can run:" if able else "\nyou can run nothing yet")
    for command, about in able:
        say(f"  {command}\n      {about}")
    return INCOMPLETE if wrong else OK


def check(request: requests.Check) -> int:
    from harness import conformance

    wrong = False
    for finding in conformance.check(request.asked):
        wrong = wrong or finding.state == "FAILED"
        say(columns([(f"{finding.state:<6}", f"{finding.what:<9}", finding.detail)]))
    return INCOMPLETE if wrong else OK


def completion(request: requests.Completion) -> int:
    from harness.arguments.completion import script

    write(script(request.shell, *arguments.build()))
    return OK


def help_(request: requests.Help) -> int:
    parser, verbs = arguments.build()
    write((verbs[request.about] if request.about else parser).format_help(), end="")
    return OK


def version(request: requests.Version) -> int:
    from harness import __version__

    commit = environment.commit()
    say(f"harness {__version__}{f', commit {commit}' if commit else ''}")
    return OK


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


VERBS: Mapping[type, Callable[..., int]] = {
    requests.Run: run,
    requests.Table: table,
    requests.Figure: figure,
    requests.Compare: compare,
    requests.Export: export,
    requests.New: new,
    requests.Claims: claims,
    requests.Report: report,
    requests.Publish: publish,
    requests.Archive: archive,
    requests.Badge: badge,
    requests.Status: status,
    requests.Listing: list_,
    requests.Show: show,
    requests.ExplainGap: explain_gap,
    requests.Logs: logs,
    requests.Cancel: cancel,
    requests.Merge: merge,
    requests.Bench: bench,
    requests.Doctor: doctor,
    requests.Check: check,
    requests.Completion: completion,
    requests.Help: help_,
    requests.Version: version,
}
