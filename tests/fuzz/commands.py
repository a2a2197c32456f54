"""What can be typed: every verb and every option that the parser knows, with values that fit, nearly fit, or do not."""

from __future__ import annotations

import argparse
import functools
from random import Random

from fuzz.mutations import TEXTS

from harness import arguments
from harness.arguments import groups
from harness.arguments.verbs import EXPORTS, KINDS

TABLES = ("tiny.toml", "table1", "table6", "ambiguities", "tables/table2.toml")
FIGURES = (*(f"figures/{kind}.toml" for kind in ("curves", "landscape", "potentials", "energy", "changes")), "figure2")
LABELS = ("vanilla/vgg11/digits/T2/seed0", "mpbn/vgg11/digits/T2/seed1", "mpbn/vgg11/digits/T2/seed2")
PLACES = ("inline", "local", "here.toml", "mine", "own", "cpu", "results/clusters/mine.toml")
NUMBERS = ("1", "2", "0", "-1", "3", "1.5", "nan", "100000", "99999999999999999999", "1e9", "٣", "²")
FOLDERS = (
    "results/runs",
    "other",
    "data",
    "batches",
    "nowhere",
    "tiny.toml",
    ".",
    "/dev/null",
    "results/bench",
    "home",
)

VALUES: dict[str, tuple[str, ...]] = {
    "0,1,2": ("0,1,2", "0", "1,1", "-1", "0,", "99999999999999999999", "2", ",".join(map(str, range(3000)))),
    "A,B": ("1,2", "vgg11", "mpbn", "0.05", "1", "0", "-1", "nan", "1e400", ",", "99999999999999999999"),
    "CELL": LABELS,
    "CELL|FILE|protocol": (*LABELS, "protocol", "protocol"),
    "CLAIM": ("cifar10-best", "figure2-convergence", "figure3-landscape", "fold-exact", "x"),
    "DIR": FOLDERS,
    "F": (*groups.FORMATS, *EXPORTS),
    "FIGURE": (*FIGURES, *TABLES),
    "FILE": ("page.html", "results", "/dev/full", "/dev/null", "nowhere/page.html", "tiny.toml"),
    "FILE.toml|FILE.py": ("tiny.toml", "nowhere.toml", "preset.toml", "nowhere.py", "data", "x.py"),
    "FILE.svg": ("badge.svg", "results", "/dev/null", "tiny.toml"),
    "FILE.zip": ("kept.zip", "results", "/dev/null", "nowhere/kept.zip", "tiny.toml"),
    "FILE.py|PACKAGE": ("mine.py", "nowhere.py", "harness", "mine", "a/b", ".py", "data"),
    "KEY=VALUE[,...]": ("method=mpbn", "seed=0", "timesteps=2", "timesteps=x", "metod=x", "method=", "=", "method=a|b"),
    "LOG": ("log.csv", "log.csv", "nowhere.csv", "tiny.toml", "results", "/dev/zero"),
    "METHOD.py": ("mine.py", "mpbn", "nowhere.py", "vanilla"),
    "N": NUMBERS,
    "NAME": ("fresh", "mpbn", "a/b", "5", "é", "x.py", "a b"),
    "OTHER_STORE": ("other", "other", "other", "results/runs", "nowhere", "data"),
    "PERCENT": NUMBERS,
    "PLACE": PLACES,
    "PRESET": ("preset.toml", "protocol.toml", "smoke", "cpu", "paper", "tiny.toml"),
    "PROGRAM": ("nir", "x"),  # torch and ONNX compile for many seconds; the weights are read the same way
    "PROTOCOL": ("paper", "released", "protocol.toml", "preset.toml", "tiny.toml", "x"),
    "REGEX": (r"epoch (?P<epoch>\d+) (?P<accuracy>[\d.]+)", "(", "x", "(?P<epoch>.)"),
    "ROW": NUMBERS,
    "SECONDS": NUMBERS,
    "SHELL": ("bash", "fish", "sh"),
    "TABLE": TABLES,
    "TABLE:N": ("tiny.toml:1", "table2:20", "table2:999", "x:1", "table2", ":", "table2:-1"),
    "TABLE|FIGURE": (*TABLES, *FIGURES),
    "TABLE|FIGURE|CELL": (*TABLES, *FIGURES, *LABELS),
    "VERB": ("run", "table", "x"),
    "failed": ("failed", "all"),
    "latency|training|overhead|events|gains|FILE": (
        "latency",
        "bench.toml",
        "bench.toml",
        *["results/bench/latency-cpu.json"] * 3,
    ),
    "method": ("method", "table"),
    "nothing|neurons|everything": (*groups.RECOMPUTE, "all"),
    "|".join(KINDS): (*KINDS, "x"),
}
"""How the help calls a value -> values. A new word in the help wants its line here (`test_every_option_has_values`)."""

FITTING: dict[str, str] = {"--preset": "preset.toml", "--protocol": "protocol.toml", "--store": "results/runs"}
"""Option -> the value with which the world's own files are reached: mostly."""
WEIGHTS = {"table": 8, "status": 5, "show": 4, "logs": 3, "merge": 4, "run": 5, "claims": 3, "export": 3, "list": 3}
WEIGHTS |= {
    "publish": 0.5,
    "archive": 1,
    "badge": 1,
    "cancel": 2,
    "compare": 2,
    "report": 2,
    "bench": 0.5,
    "doctor": 1,
    "figure": 0.4,
    "new": 1,
}
COSTLY = ("--to", "--open")
"""Options that take seconds, or open a window: seldom."""


@functools.cache
def verbs() -> dict[str, arguments.Parser]:
    return arguments.build()[1]


def options(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """Of a verb, the positional ones first."""
    return sorted((a for a in parser._actions if a.dest != "help"), key=lambda action: bool(action.option_strings))


def command(random: Random) -> list[str]:
    """A line, mostly one that gets far: its errors are to be found behind the parser."""
    known = verbs()
    verb = random.choices(list(known), [WEIGHTS.get(name, 1) for name in known])[0]
    bold = random.random() < 0.35
    typed = [verb]
    for action in options(known[verb]):
        typed += _positional(action, random, bold) if not action.option_strings else _option(action, random, bold, verb)
    if verb in ("run", "compare") and random.random() < 0.5:
        typed.append("--dry-run")
    if random.random() < 0.03:
        typed.insert(random.randrange(len(typed) + 1), random.choice((*TEXTS, "--help", "--opt=--", "-x", "--", "@x")))
    return [word.replace("\0", "").replace("\ud800", "\udcff") for word in typed]  # as a command line can hold it


def _positional(action: argparse.Action, random: Random, bold: bool) -> list[str]:
    few = {"*": (0, 1, 1, 2), "+": (1, 1, 1, 2)}.get(str(action.nargs), (1,))
    return [_value(action, random, bold) for _ in range(random.choice(few))]


def _option(action: argparse.Action, random: Random, bold: bool, verb: str) -> list[str]:
    name = action.option_strings[0]
    fits = FITTING.get(name)
    wanted = 0.75 if fits == "protocol.toml" else 0.03 if name in COSTLY else 0.5 if action.required else 0.12
    if not action.required and random.random() > wanted:
        return []
    if action.nargs == 0:
        return [name]
    if fits and random.random() < (0.6 if bold else 0.95):
        return [name, fits]
    text = _value(action, random, bold)
    return [f"{name}={text}"] if random.random() < 0.3 else [name, text]


def _value(action: argparse.Action, random: Random, bold: bool) -> str:
    known = VALUES[word(action)]
    if not bold or random.random() < 0.6:
        return known[0] if random.random() < 0.35 else random.choice(known)
    text = random.choice((*TEXTS, *NUMBERS, *FOLDERS, *known))
    return text[:20_000]


def word(action: argparse.Action) -> str:
    """How the help calls the value."""
    return str(action.metavar or action.dest)
