"""What can be typed. A mistake is a UserError with the nearest thing that exists, like every other."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from harness.errors import UserError, did_you_mean

FORMATS = ("terminal", "markdown", "latex", "csv", "json", "html")
KINDS = ("methods", "architectures", "datasets", "tables", "figures", "presets", "protocols", "clusters")
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
    status = verb("status", "done, running, failed, missing, with the reason and how to retry", _select, _where, _json)
    status.add_argument(
        "targets", nargs="*", metavar="TABLE|FIGURE", help="cell by cell; without it, all that was begun"
    )
    listing = verb("list", "what there is to choose from", _json, _plugin)
    listing.add_argument("kind", type=_one_of("kind", KINDS), metavar="|".join(KINDS))
    show = verb("show", "one cell: configuration, provenance, curve, fold proofs, log", _where)
    show.add_argument("cell", metavar="CELL|FILE", help="a key, the beginning of one, or a path in the store")
    verb("doctor", "what this machine can run, what is missing, what to type", _where)
    return parser, verbs


def _select(parser: Parser) -> None:
    group = parser.add_argument_group("which cells")
    group.add_argument("--preset", metavar="P", help="shrink the table to what a machine can do (`list presets`)")
    group.add_argument("--protocol", metavar="P", help="which recipes: paper (default) or released")
    group.add_argument("--seeds", type=_seeds, default=(0, 1, 2), metavar="0,1,2", help="default 0,1,2")
    group.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="KEY=VALUE[,...]",
        help="method, architecture, dataset, timesteps, seed; several values: KEY=A|B",
    )
    _plugin(group)


def _plugin(parser: Any) -> None:
    help = "a file or package that registers methods of yours; may be repeated"
    parser.add_argument("--plugin", action="append", default=[], metavar="FILE.py|PACKAGE", help=help)


def _where(parser: Parser) -> None:
    group = parser.add_argument_group("where")
    group.add_argument("--store", type=Path, default=Path("results/runs"), metavar="DIR", help="default results/runs")
    group.add_argument("--data", type=Path, metavar="DIR", help="the folder that holds the data sets")


def _format(parser: Parser) -> None:
    parser.add_argument(
        "--format", type=_one_of("format", FORMATS), default="terminal", metavar="F", help=", ".join(FORMATS)
    )


def _out(parser: Parser) -> None:
    help = "where figures are written; default results/figures"
    parser.add_argument("--out", type=Path, default=Path("results/figures"), metavar="DIR", help=help)


def _json(parser: Parser) -> None:
    formats = ("terminal", "json")
    parser.add_argument("--format", type=_one_of("format", formats), default="terminal", metavar="F", help="or json")


def _running(parser: Parser) -> None:
    group = parser.add_argument_group("how to run")
    group.add_argument("--on", default="local", metavar="PLACE", help="inline or local (default): `list clusters`")
    group.add_argument("--jobs", type=_positive, metavar="N", help="cells at once; default: one a GPU, or one a core")
    group.add_argument(
        "--threads", type=_positive, default=1, metavar="N", help="of each job; default 1: the same bits at any --jobs"
    )
    group.add_argument("--retry", type=_one_of("kind", ("failed",)), metavar="failed", help="train failed cells again")
    group.add_argument("--dry-run", action="store_true", help="print the cells and a time forecast; trains nothing")


def _one_of(what: str, known: Sequence[str]) -> Callable[[str], str]:
    def check(text: str) -> str:
        if text not in known:
            raise UserError(f"unknown {what} `{text}`", to_type=did_you_mean(text, known))
        return text

    return check


def _seeds(text: str) -> tuple[int, ...]:
    try:
        seeds = tuple(dict.fromkeys(int(part) for part in text.split(",")))
    except ValueError:
        seeds = ()
    if not seeds or min(seeds) < 0:
        raise UserError(f"`{text}` is no list of seeds", "--seeds", "type whole numbers from 0, such as --seeds 0,1,2")
    return seeds


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"`{text}` is no number of 1 or more")
    return int(text)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
