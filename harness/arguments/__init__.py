"""What can be typed, decoded once into a request. A mistake is a UserError with the nearest thing that exists."""

from __future__ import annotations

import argparse
import itertools
import re
import shlex
from collections.abc import Collection, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, NoReturn

from harness.arguments.verbs import KINDS, NARROWED, VERBS
from harness.errors import UserError, UserErrors, did_you_mean
from harness.requests import Request, Version

__all__ = ["KINDS", "build", "parse"]

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


def parse(arguments: Sequence[str]) -> Request:
    """What is asked. Raises UserError; if help was asked for, prints it and leaves."""
    parser, verbs = build()
    if tuple(arguments) == ("--version",):
        return Version()
    _before_the_verb(arguments, verbs)
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
    given = vars(namespace)
    narrowed = {name: given[name] for name in NARROWED if given.get(name)}
    return _decoded(VERBS[namespace.verb].request, {**given, "words": tuple(arguments), "narrowed": narrowed})


CARRIED = ("--preset", "--protocol", "--store", "--data", "--plugin")


def carrying(error: UserError, given: Sequence[str]) -> UserError:
    """The command that an error says to type, with what was given of where things are and which they are."""
    if isinstance(error, UserErrors):
        return error
    words = error.to_type.split()
    if words[:4] != ["type:", "python", "-m", "harness"] or len(words) < 5 or "..." in words:
        return error
    known = build()[1][words[4]].options() if words[4] in VERBS else []
    added = []
    for word, value in itertools.pairwise([*given, ""]):
        option, equals, said = word.partition("=")
        if option in CARRIED and option in known and option not in words:
            added += [option, said if equals else value]
    return UserError(error.what, error.where, f"{error.to_type} {shlex.join(added)}" if added else error.to_type)


def _before_the_verb(arguments: Sequence[str], verbs: Collection[str]) -> None:
    """Raises UserError for options that stand there: they belong to one."""
    verb = next((at for at, word in enumerate(arguments) if word in verbs), 0)
    if verb and arguments[0] not in ("-h", "--help"):
        ordered = shlex.join([arguments[verb], *arguments[:verb], *arguments[verb + 1 :]])
        raise UserError(f"`{arguments[0]}` stands before the verb", to_type=f"type: python -m harness {ordered}")


def _decoded(request: type, given: dict[str, Any]) -> Any:
    """Fields that are requests themselves are made of the same arguments."""
    made: dict[str, Any] = {}
    for field in fields(request):
        if is_dataclass(field.default_factory):
            made[field.name] = _decoded(field.default_factory, given)  # type: ignore[arg-type]
        elif field.name in given:
            value = given[field.name]
            made[field.name] = tuple(value) if isinstance(value, list) else value
    return request(**made)


def build() -> tuple[Parser, dict[str, Parser]]:
    """The parser, and that of each verb."""
    parser = Parser(
        prog="python -m harness",
        description="Does a published number of a spiking neural network hold? Trains the tables of a paper and says.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="store_true", help="show version and commit")
    group = parser.add_subparsers(dest="verb", required=True, metavar="VERB", parser_class=Parser)
    verbs: dict[str, Parser] = {}
    for name, verb in VERBS.items():
        description = f"{verb.help[:1].upper()}{verb.help[1:]}."
        verbs[name] = group.add_parser(name, help=verb.help, description=description, allow_abbrev=False)
        for add in verb.add:
            add(verbs[name])
    return parser, verbs
