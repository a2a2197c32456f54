"""What the verbs of this house say: what there is to choose from, what a machine can do, what a method costs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from harness import arguments, requests
from harness.answers import INCOMPLETE, INTERRUPTED, OK
from harness.columns import columns
from harness.printable import as_json
from harness.streams import complain, say, say_pages, tell, write

if TYPE_CHECKING:
    from harness.measure.spec import Benched


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


def new(request: requests.New) -> int:
    from harness.verbs import starter

    path = starter.write_method(request.name)
    say(path)
    command = "python -m harness compare FILE --on table1 --preset smoke --only timesteps=2 --train-baselines"
    tell(f"check it: python -m harness check {path}")
    tell(f"try it: {command.replace('FILE', str(path))}")
    return OK


def bench(request: requests.Bench) -> int:
    from harness.measure import bench as measure
    from harness.plugins import load_plugins
    from harness.render.bench import bench_pages, write

    load_plugins(request.plugin)
    if request.bench.endswith(".json"):  # a record: told and drawn again, nothing is timed
        path, done = Path(request.bench), measure.read(Path(request.bench))
    else:
        asked = measure.narrowed(measure.load(request.bench), request.narrowed, request.rounds)
        from harness import environment

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
    from harness import __version__, environment

    commit = environment.commit()
    say(f"harness {__version__}{f', commit {commit}' if commit else ''}")
    return OK
