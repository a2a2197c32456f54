"""What can be typed. A mistake is a UserError with the nearest thing that exists, like every other."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from harness.errors import UserError, did_you_mean

FORMATS = ("terminal", "markdown", "latex", "csv", "json", "html")
EXPORTS = ("csv", "parquet", "latex")
PROGRAMS = ("torch", "onnx", "nir")
KINDS = ("methods", "architectures", "datasets", "tables", "figures", "presets", "protocols", "clusters")
RECOMPUTE = ("nothing", "neurons", "everything")
"""Those of `baselines.recompute`, which brings torch."""
LAST_SEED = 2**32 - 1
"""NumPy takes no larger one."""
MOST_THREADS = 1024
"""OpenMP dies of more than it can start."""
LARGEST = 10**6
"""Of any other number of something."""
LONGEST = 255
"""Bytes of a name in a path, on every common file system."""
WATCH_EVERY = 10.0
"""Seconds; each time is one call of squeue."""
EPILOG = """\
TABLE and FIGURE are names that `list tables` and `list figures` show, or the path of a TOML file of your own.
Results go to standard output, progress and errors to standard error. Exit codes: 0 all that was asked for is there,
1 something failed or is missing, 2 bad input, 130 interrupted.

  python -m harness run table1 --preset smoke     minutes on a laptop, nothing to download
  python -m harness run table1 --data DIR         the real thing
"""


class Parser(argparse.ArgumentParser):
    """argparse, but it raises UserError instead of printing its usage and leaving."""

    def error(self, message: str) -> NoReturn:
        where = self.prog.removeprefix("python -m harness").strip()
        found = re.match(r"argument (?P<name>\S+?)(?:/\S+)?: (?P<what>.*)", message)
        what = f"{found['name']}: {found['what']}" if found else message.removeprefix("the following ")
        raise UserError(what, where, f"`{self.prog} --help` says what can be typed")

    def options(self) -> list[str]:
        return [option for action in self._actions for option in action.option_strings]


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The arguments as a namespace with its `verb`. Raises UserError; if help was asked for, prints it and leaves."""
    parser, verbs = build()
    given = next((argument for argument in arguments if not argument.startswith("-")), None)
    if given is not None and given not in verbs and not arguments[0].startswith("-"):
        raise UserError(f"unknown verb `{given}`", to_type=did_you_mean(given, verbs))
    if empty := next((given for given in arguments if re.fullmatch(r"--[\w-]+=--", given)), None):
        raise UserError(f"`{empty.removesuffix('=--')}` has no value")  # argparse would make a list of it
    if not arguments:
        arguments = ["--help"]
    namespace, unknown = parser.parse_known_args(arguments)
    if unknown:
        chosen = verbs[namespace.verb]
        option = unknown[0].partition("=")[0]
        advice = did_you_mean(option, chosen.options()) if option.startswith("-") else f"type {chosen.prog} --help"
        raise UserError(f"unknown argument `{unknown[0]}`", namespace.verb, advice)
    return namespace


def build() -> tuple[Parser, dict[str, Parser]]:
    """The parser, and that of each verb."""
    parser = Parser(
        prog="python -m harness",
        description="Does a published number of a spiking neural network hold? Trains the tables of a paper and says.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    group = parser.add_subparsers(dest="verb", required=True, metavar="VERB", parser_class=Parser)
    verbs: dict[str, Parser] = {}

    def verb(name: str, help: str, *adders: Callable[[Parser], None]) -> Parser:
        verbs[name] = group.add_parser(name, help=help, description=_capital(help) + ".", allow_abbrev=False)
        for add in adders:
            add(verbs[name])
        return verbs[name]

    run = verb("run", "train what is missing, then print it", _select, _where, _format, _out)
    run.add_argument("targets", nargs="+", metavar="TABLE|FIGURE|CELL", help="tables, figures, or cells by key or path")
    _running(run)
    table = verb("table", "print a table from the store; trains nothing", _select, _where, _format)
    table.add_argument("targets", nargs="+", metavar="TABLE")
    figure = verb("figure", "draw a figure from the store; trains nothing", _select, _where, _out)
    figure.add_argument("targets", nargs="+", metavar="FIGURE")
    claims = verb("claims", "every claim of the paper: as printed, as measured", _select, _where, _format)
    claims.add_argument("names", nargs="*", metavar="CLAIM", help="all, unless some are named")
    help = "the whole arithmetic of the claims named: seeds, t, interval, p, Holm, and what to train"
    claims.add_argument("--explain", action="store_true", help=help)
    _benches(claims)
    report = verb("report", "all of it as one HTML file: tables, figures, claims, what is missing", _select, _where)
    help = "default: the paper's, and others that have results"
    report.add_argument("targets", nargs="*", metavar="TABLE|FIGURE", help=help)
    help = "default results/report.html"
    report.add_argument("--out", type=Path, default=Path("results/report.html"), metavar="FILE", help=help)
    _benches(report)
    report.add_argument("--open", action="store_true", help="show it in the browser")
    compare = verb("compare", "a method of yours against the rows of a table", _select, _where, _format)
    help = "the file or package that registers it, or the name of one that is known"
    compare.add_argument("method", metavar="METHOD.py", help=help)
    help = "the table whose rows it is held against; the place to run at is --place here"
    compare.add_argument("--on", required=True, metavar="TABLE", help=help)
    help = "train what is missing of those rows too; without it, only of your method"
    compare.add_argument("--train-baselines", action="store_true", help=help)
    help = "how often each network is timed at most; 0: no times; default 30"
    compare.add_argument("--rounds", type=_whole(0), default=30, metavar="N", help=help)
    _running(compare, "--place")
    export = verb(
        "export", "results as CSV, parquet or LaTeX; a folded network for torch, ONNX or NIR", _select, _where
    )
    export.add_argument(
        "targets", nargs="*", metavar="TABLE|FIGURE|CELL", help="whose cells; default: all of the store"
    )
    help = "cells.F and epochs.F of it: csv (default), parquet; or latex: TABLE.tex"
    export.add_argument("--format", type=_one_of("format", EXPORTS), default="csv", metavar="F", help=help)
    help = "the network of one CELL instead: torch, onnx or nir"
    export.add_argument("--to", type=_one_of("program", PROGRAMS), metavar="PROGRAM", help=help)
    help = "where files are written; default results/export"
    export.add_argument("--out", type=Path, default=Path("results/export"), metavar="DIR", help=help)
    new = verb("new", "write a file to begin with")
    new.add_argument("kind", type=_one_of("kind", ("method",)), metavar="method")
    new.add_argument("name", metavar="NAME", help="writes NAME.py here: a working method")
    help = "done, running, queued, failed, missing, with the reason and how to retry"
    status = verb("status", help, _select, _where, _json)
    status.add_argument(
        "targets", nargs="*", metavar="TABLE|FIGURE", help="cell by cell; without it, all that was begun"
    )
    status.add_argument("--cells", action="store_true", help="every cell, not only those that run or need somebody")
    status.add_argument(
        "--watch",
        nargs="?",
        const=WATCH_EVERY,
        type=_seconds,
        metavar="SECONDS",
        help=f"show it again every so often (default {WATCH_EVERY:g}) until nothing runs or waits",
    )
    listing = verb("list", "what there is to choose from", _json, _plugin, _store)
    listing.add_argument("kind", type=_one_of("kind", KINDS), metavar="|".join(KINDS))
    show = verb("show", "one cell, or every setting of the protocols side by side", _where, _format)
    show.add_argument("cell", metavar="CELL|FILE|protocol", help="a key, the beginning of one, a path in the store")
    show.add_argument("protocols", nargs="*", metavar="PROTOCOL", help="after `protocol`: which come first")
    logs = verb("logs", "what the training of a cell has printed, and where that lies", _where)
    logs.add_argument("cell", metavar="CELL", help="a key, the beginning of one, a label, or a path in the store")
    logs.add_argument("--lines", type=_whole(1), default=20, metavar="N", help="of its end; default 20")
    logs.add_argument("--follow", action="store_true", help="go on with what comes, until the cell has ended")
    cancel = verb("cancel", "stop cells that wait or run, on a cluster or here", _select, _where)
    cancel.add_argument("targets", nargs="*", metavar="TABLE|FIGURE|CELL", help="whose cells")
    cancel.add_argument("--all", action="store_true", help="every cell of the store")
    merge = verb("merge", "take over the results of another store", _store)
    merge.add_argument("other", type=Path, metavar="OTHER_STORE", help="it is only read")
    merge.add_argument("--checkpoints", action="store_true", help="of unfinished cells too, to go on with them here")
    merge.add_argument("--dry-run", action="store_true", help="say what would be done")
    bench = verb("bench", "what a network costs, side by side with what it is held against", _format)
    bench.add_argument(
        "bench",
        metavar="latency|training|overhead|FILE",
        help="one of tables/benches, a file like them, or a record (.json) to tell and draw again",
    )
    lists = {"width": _several_of(float), "timesteps": _several_of(int), "batch": _several_of(int)}
    for name in ("architecture", "method", *lists):
        bench.add_argument(
            f"--{name}", type=lists.get(name, _names), default=(), metavar="A,B", help=f"only this {name}"
        )
    bench.add_argument("--rounds", type=_whole(1), metavar="N", help="how often each is timed")
    bench.add_argument("--threads", type=_whole(1, MOST_THREADS), default=1, metavar="N", help="on a CPU; default 1")
    out = Path("results/bench")
    bench.add_argument("--out", type=Path, default=out, metavar="DIR", help=f"where the record goes; default {out}")
    verb("doctor", "what this machine can run, what is missing, what to type", _where)
    return parser, verbs


def _select(parser: Parser) -> None:
    group = parser.add_argument_group("which cells")
    group.add_argument("--preset", metavar="P", help="shrink the table to what a machine can do (`list presets`)")
    group.add_argument("--protocol", metavar="P", help="which recipes: paper (default) or released")
    help = "default 0,1,2; may be repeated"
    group.add_argument("--seeds", type=_seeds, action=_Seeds, default=(0, 1, 2), metavar="0,1,2", help=help)
    group.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="KEY=VALUE[,...]",
        help="method, architecture, dataset, timesteps, seed; several values: KEY=A|B",
    )
    help = "judge runs that were not computed alike too: other threads, processor, torch"
    group.add_argument("--mixed", action="store_true", help=help)
    _plugin(group)


def _plugin(parser: Any) -> None:
    help = "a file or package that registers methods of yours; may be repeated"
    parser.add_argument("--plugin", action="append", default=[], metavar="FILE.py|PACKAGE", help=help)


def _where(parser: Parser) -> None:
    group = parser.add_argument_group("where")
    _store(group)
    group.add_argument("--data", type=Path, metavar="DIR", help="the folder that holds the data sets")


def _folder(text: str) -> Path:
    path = Path(text)
    if any(len(os.fsencode(part)) > LONGEST for part in path.parts):
        raise argparse.ArgumentTypeError(f"a name in it is longer than {LONGEST} bytes, which no folder can have")
    return path


def _store(parser: Any) -> None:
    parser.add_argument(
        "--store", type=_folder, default=Path("results/runs"), metavar="DIR", help="default results/runs"
    )


def _format(parser: Parser) -> None:
    parser.add_argument(
        "--format", type=_one_of("format", FORMATS), default="terminal", metavar="F", help=", ".join(FORMATS)
    )


def _benches(parser: Parser) -> None:
    help = "the records of benches that claims are judged by; default results/bench"
    parser.add_argument("--bench", type=Path, default=Path("results/bench"), metavar="DIR", help=help)


def _out(parser: Parser) -> None:
    help = "where figures are written; default results/figures"
    parser.add_argument("--out", type=Path, default=Path("results/figures"), metavar="DIR", help=help)


def _json(parser: Parser) -> None:
    formats = ("terminal", "json")
    parser.add_argument("--format", type=_one_of("format", formats), default="terminal", metavar="F", help="or json")


def _running(parser: Parser, place: str = "--on") -> None:
    group = parser.add_argument_group("how to run")
    help = "inline, local (default), a cluster, or the TOML file of one: `list clusters`"
    group.add_argument(place, default="local", metavar="PLACE", help=help)
    group.add_argument("--jobs", type=_whole(1), metavar="N", help="cells at once; default: one a GPU, or one a core")
    group.add_argument("--wait", action="store_true", help="on a cluster: stay until all is trained, then print it")
    group.add_argument(
        "--threads",
        type=_whole(1, MOST_THREADS),
        default=1,
        metavar="N",
        help="of each job; default 1: the same bits at any --jobs",
    )
    help = "in less memory: compute neurons, or everything, a second time; slower, the same bits; default nothing"
    ways = _one_of("way to recompute", RECOMPUTE)
    group.add_argument("--recompute", type=ways, default="nothing", metavar="nothing|neurons|everything", help=help)
    group.add_argument("--retry", type=_one_of("kind", ("failed",)), metavar="failed", help="train failed cells again")
    help = "print the cells, a forecast, and on a cluster the scripts; trains and submits nothing"
    group.add_argument("--dry-run", action="store_true", help=help)


def _one_of(what: str, known: Sequence[str]) -> Callable[[str], str]:
    def check(text: str) -> str:
        if text not in known:
            raise UserError(f"unknown {what} `{text}`", to_type=did_you_mean(text, known))
        return text

    return check


class _Seeds(argparse.Action):
    """Given again, it adds to what was given before."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        before = () if namespace.seeds is self.default else namespace.seeds
        namespace.seeds = tuple(dict.fromkeys((*before, *values)))


def _seeds(text: str) -> tuple[int, ...]:
    parts = text.split(",")
    if not all(part.strip().isdecimal() and len(part) < 20 and int(part) <= LAST_SEED for part in parts):
        what = f"`{text}` is no list of seeds"
        raise UserError(what, "--seeds", f"type whole numbers from 0 to {LAST_SEED}, such as --seeds 0,1,2")
    return tuple(dict.fromkeys(map(int, parts)))


def _several_of(kind: Callable[[str], float]) -> Callable[[str], tuple[float, ...]]:
    def read(text: str) -> tuple[float, ...]:
        with contextlib.suppress(ValueError):
            numbers = tuple(kind(part) for part in text.split(","))
            if all(0 < number < LARGEST for number in numbers):
                return numbers
        raise argparse.ArgumentTypeError(f"`{text}` is no list of numbers such as 1,4")

    return read


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


def _whole(least: int, most: int = LARGEST) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isdecimal() or len(text) > 20 or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"`{text}` is no number of {least} or more, {most} at most")
        return int(text)

    return read


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 1.0 <= seconds < 1e6:
        raise argparse.ArgumentTypeError(f"`{text}` is no number of seconds from 1 on; tables come before --watch")
    return seconds


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
