"""Every verb: the request that it becomes, a line about it, and the arguments of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import requests
from harness.arguments import groups
from harness.arguments.values import MOST_THREADS, names, one_of, seconds, several_of, whole

EXPORTS = ("csv", "parquet", "latex")
SHELLS = ("bash", "zsh", "fish")
PROGRAMS = ("torch", "onnx", "nir")
KINDS = ("methods", "architectures", "datasets", "tables", "figures", "presets", "protocols", "clusters")
WATCH_EVERY = 10.0
"""Seconds; each time is one call of squeue."""
NARROWED = {
    "architecture": names,
    "method": names,
    "width": several_of(float),
    "timesteps": several_of(int),
    "batch": several_of(int),
}
"""What a bench may be narrowed to."""

Add = Callable[[Any], None]


@dataclass(frozen=True)
class Verb:
    request: type
    help: str
    add: tuple[Add, ...]
    """Each adds arguments to the parser of the verb."""


def _run(parser: Any) -> None:
    help = "tables, figures, or cells by key or path"
    parser.add_argument("targets", nargs="+", metavar="TABLE|FIGURE|CELL", help=help)
    groups.running(parser)


def _table(parser: Any) -> None:
    parser.add_argument("targets", nargs="+", metavar="TABLE")
    help = "methods by data sets, the best in bold with all that cannot be told from it: a table for a paper"
    parser.add_argument("--compact", action="store_true", help=help)


def _figure(parser: Any) -> None:
    parser.add_argument("targets", nargs="+", metavar="FIGURE")


def _claims(parser: Any) -> None:
    parser.add_argument("names", nargs="*", metavar="CLAIM", help="all, unless some are named")
    help = "the whole arithmetic of the claims named: seeds, t, interval, p, Holm, and what to train"
    parser.add_argument("--explain", action="store_true", help=help)


def _report(parser: Any) -> None:
    help = "default: the paper's, and others that have results"
    parser.add_argument("targets", nargs="*", metavar="TABLE|FIGURE", help=help)
    out = requests.Report.out
    parser.add_argument("--out", type=Path, default=out, metavar="FILE", help=f"default {out}")
    parser.add_argument("--replace", action="store_true", help="a page that is there and shows more finished runs, too")
    parser.add_argument("--open", action="store_true", help="show it in the browser")


def _publish(parser: Any) -> None:
    parser.add_argument("folder", nargs="?", type=Path, metavar="DIR", help="new, empty, or published to before")
    help = "instead, as a commit on the branch gh-pages of this clone, which you push; nothing else is touched"
    parser.add_argument("--pages", action="store_true", help=help)


def _archive(parser: Any) -> None:
    parser.add_argument("file", type=Path, metavar="FILE.zip")
    help = "default: the paper's, and others that have results"
    parser.add_argument("targets", nargs="*", metavar="TABLE|FIGURE", help=help)
    help = "of an archive that is there: is every file as it was packed, and does this program print the same of it?"
    parser.add_argument("--check", action="store_true", help=help)


def _badge(parser: Any) -> None:
    parser.add_argument("table", metavar="TABLE")
    parser.add_argument("row", type=whole(1), metavar="ROW", help="its number; it must have a verdict")
    parser.add_argument("--out", type=Path, metavar="FILE.svg", help="default TABLE-row-ROW.svg")


def _compare(parser: Any) -> None:
    help = "the file or package that registers it, or the name of one that is known"
    parser.add_argument("method", metavar="METHOD.py", help=help)
    help = "the table whose rows it is held against; the place to run at is --place here"
    parser.add_argument("--on", dest="table", required=True, metavar="TABLE", help=help)
    help = "train what is missing of those rows too; without it, only of your method"
    parser.add_argument("--train-baselines", action="store_true", help=help)
    rounds = requests.Compare.rounds
    help = f"how often each network is timed at most; 0: no times; default {rounds}"
    parser.add_argument("--rounds", type=whole(0), default=rounds, metavar="N", help=help)
    groups.running(parser, "--place")


def _export(parser: Any) -> None:
    help = "whose cells; default: all of the store"
    parser.add_argument("targets", nargs="*", metavar="TABLE|FIGURE|CELL", help=help)
    help = "cells.F and epochs.F of it: csv (default), parquet; or latex: TABLE.tex"
    parser.add_argument("--format", type=one_of("format", EXPORTS), default="csv", metavar="F", help=help)
    help = "the network of one CELL instead: torch, onnx or nir"
    parser.add_argument("--to", type=one_of("program", PROGRAMS), metavar="PROGRAM", help=help)
    out = requests.Export.out
    parser.add_argument("--out", type=Path, default=out, metavar="DIR", help=f"where files are written; default {out}")


def _new(parser: Any) -> None:
    parser.add_argument("kind", type=one_of("kind", ("method",)), metavar="method")
    parser.add_argument("name", metavar="NAME", help="writes NAME.py here: a working method")


def _status(parser: Any) -> None:
    help = "cell by cell; without it, all that was begun"
    parser.add_argument("targets", nargs="*", metavar="TABLE|FIGURE", help=help)
    parser.add_argument("--cells", action="store_true", help="every cell, not only those that run or need somebody")
    help = f"show it again every so often (default {WATCH_EVERY:g}) until nothing runs or waits"
    parser.add_argument("--watch", nargs="?", const=WATCH_EVERY, type=seconds, metavar="SECONDS", help=help)


def _list(parser: Any) -> None:
    help = "without it, the kinds there are"
    parser.add_argument("kind", nargs="?", type=one_of("kind", KINDS), metavar="|".join(KINDS), help=help)


def _show(parser: Any) -> None:
    parser.add_argument("cell", metavar="CELL|FILE|protocol", help="a key, the beginning of one, a path in the store")
    parser.add_argument("protocols", nargs="*", metavar="PROTOCOL", help="after `protocol`: which come first")
    help = "of `protocol own`: method=NAME, and dataset, architecture, timesteps"
    parser.add_argument("--only", action="append", default=[], metavar="KEY=VALUE[,...]", help=help)


def _explain_gap(parser: Any) -> None:
    help = "a training log: CSV with epoch and accuracy, TensorBoard events, or text"
    parser.add_argument("log", type=Path, metavar="LOG", help=help)
    parser.add_argument(
        "--row", required=True, metavar="TABLE:N", help="the row that it was meant to repeat, by its number"
    )
    help = "the accuracy that is reported of it, in percent; default: the last epoch's"
    parser.add_argument("--claimed", type=float, metavar="PERCENT", help=help)
    help = "for text: a regular expression with the group (?P<accuracy>...), and maybe (?P<epoch>...)"
    parser.add_argument("--pattern", default="", metavar="REGEX", help=help)
    parser.add_argument("--preset", metavar="PRESET", help="as which it was trained (`list presets`)")
    measured = requests.ExplainGap.measured
    help = f"the store of what single changes were measured to do; default {measured}"
    parser.add_argument("--measured", type=groups.folder, default=measured, metavar="DIR", help=help)


def _logs(parser: Any) -> None:
    parser.add_argument("cell", metavar="CELL", help="a key, the beginning of one, a label, or a path in the store")
    lines = requests.Logs.lines
    parser.add_argument("--lines", type=whole(1), default=lines, metavar="N", help=f"of its end; default {lines}")
    parser.add_argument("--follow", action="store_true", help="go on with what comes, until the cell has ended")


def _cancel(parser: Any) -> None:
    parser.add_argument("targets", nargs="*", metavar="TABLE|FIGURE|CELL", help="whose cells")
    parser.add_argument("--all", action="store_true", help="every cell of the store")


def _merge(parser: Any) -> None:
    parser.add_argument("other", type=Path, metavar="OTHER_STORE", help="it is only read")
    parser.add_argument("--checkpoints", action="store_true", help="of unfinished cells too, to go on with them here")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done")


def _bench(parser: Any) -> None:
    help = "one of tables/benches, a file like them, or a record (.json) to tell and draw again"
    parser.add_argument("bench", metavar="latency|training|overhead|events|gains|FILE", help=help)
    for name, read in NARROWED.items():
        parser.add_argument(f"--{name}", type=read, default=(), metavar="A,B", help=f"only this {name}")
    parser.add_argument("--rounds", type=whole(1), metavar="N", help="how often each is timed")
    parser.add_argument("--threads", type=whole(1, MOST_THREADS), default=1, metavar="N", help="on a CPU; default 1")
    out = requests.Bench.out
    parser.add_argument("--out", type=Path, default=out, metavar="DIR", help=f"where the record goes; default {out}")


def _help(parser: Any) -> None:
    parser.add_argument("about", nargs="?", type=one_of("verb", list(VERBS)), metavar="VERB", help="or of all")


def _check(parser: Any) -> None:
    help = "a table or figure of yours, or a file that registers methods"
    parser.add_argument("targets", nargs="+", metavar="FILE.toml|FILE.py", help=help)


def _completion(parser: Any) -> None:
    help = 'bash, zsh or fish; how: eval "$(harness completion bash)", or into a file that your shell reads'
    parser.add_argument("shell", type=one_of("shell", SHELLS), metavar="SHELL", help=help)


def _verb(request: type, help: str, *add: Add) -> Verb:
    return Verb(request, help, add)


VERBS = {
    "run": _verb(
        requests.Run,
        "train what is missing, then print it",
        groups.select,
        groups.where,
        groups.format,
        groups.out,
        _run,
    ),
    "table": _verb(
        requests.Table,
        "print a table from the store; trains nothing",
        groups.select,
        groups.where,
        groups.format,
        _table,
    ),
    "figure": _verb(
        requests.Figure,
        "draw a figure from the store; trains nothing",
        groups.select,
        groups.where,
        groups.out,
        _figure,
    ),
    "claims": _verb(
        requests.Claims,
        "every claim of the paper: as measured, and what its own numbers say",
        groups.select,
        groups.where,
        groups.format,
        _claims,
        groups.benches,
    ),
    "report": _verb(
        requests.Report,
        "all of it as one HTML file: tables, figures, claims, what is missing",
        groups.select,
        groups.where,
        _report,
        groups.benches,
    ),
    "publish": _verb(
        requests.Publish,
        "the report with its data, badges and versions as a folder for any web host, or for Pages",
        groups.select,
        groups.where,
        _publish,
        groups.benches,
    ),
    "archive": _verb(
        requests.Archive,
        "store, report and the code that printed it in one file, and whether one is still whole",
        groups.select,
        groups.where,
        _archive,
        groups.benches,
    ),
    "badge": _verb(
        requests.Badge,
        "an SVG of a row's verdict, for the page of its method",
        groups.select,
        groups.where,
        _badge,
    ),
    "compare": _verb(
        requests.Compare,
        "a method of yours against the rows of a table",
        groups.select,
        groups.where,
        groups.format,
        _compare,
    ),
    "export": _verb(
        requests.Export,
        "results as CSV, parquet or LaTeX; a folded network for torch, ONNX or NIR",
        groups.select,
        groups.where,
        _export,
    ),
    "new": _verb(requests.New, "write a file to begin with", _new),
    "status": _verb(
        requests.Status,
        "done, running, queued, failed, missing, with the reason and how to retry",
        groups.select,
        groups.where,
        groups.json,
        _status,
    ),
    "list": _verb(
        requests.Listing,
        "what there is to choose from",
        groups.json,
        groups.plugin,
        groups.store,
        _list,
    ),
    "show": _verb(
        requests.Show,
        "one cell, or every setting of the protocols side by side",
        groups.where,
        groups.format,
        _show,
    ),
    "explain-gap": _verb(
        requests.ExplainGap,
        "a stranger's training log beside a row: what differs, and what such things were measured to do",
        groups.where,
        groups.format,
        _explain_gap,
    ),
    "logs": _verb(requests.Logs, "what the training of a cell has printed, and where that lies", groups.where, _logs),
    "cancel": _verb(
        requests.Cancel, "stop cells that wait or run, on a cluster or here", groups.select, groups.where, _cancel
    ),
    "merge": _verb(requests.Merge, "take over the results of another store", groups.store, _merge),
    "bench": _verb(
        requests.Bench,
        "what a network costs, side by side with what it is held against",
        groups.format,
        groups.plugin,
        _bench,
    ),
    "doctor": _verb(requests.Doctor, "what this machine can run, what is missing, what to type", groups.where),
    "check": _verb(
        requests.Check,
        "does a table of yours resolve; does a method build, train, resume, fold, export: in seconds",
        groups.select,
        groups.where,
        _check,
    ),
    "completion": _verb(requests.Completion, "a script by which your shell completes `harness` lines", _completion),
    "help": _verb(requests.Help, "what can be typed after a verb", _help),
}
