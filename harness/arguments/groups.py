"""Options that several verbs share. Their defaults are those of the requests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.arguments.values import MOST_THREADS, Seeds, folder, one_of, seeds, whole
from harness.requests import Asked, Claims, How, Run

FORMATS = ("terminal", "markdown", "latex", "csv", "json", "html")
RECOMPUTE = ("nothing", "neurons", "everything")
"""Those of `baselines.recompute`, which brings torch."""


def select(parser: Any) -> None:
    group = parser.add_argument_group("which cells")
    group.add_argument("--preset", metavar="PRESET", help="shrink the table to what a machine can do (`list presets`)")
    group.add_argument(
        "--protocol", metavar="PROTOCOL", help="which recipes: paper (default), released, own or own-sane"
    )
    help = "default 0,1,2; 0-9 is a range; may be repeated"
    group.add_argument("--seeds", type=seeds, action=Seeds, default=Asked.seeds, metavar="0,1,2", help=help)
    group.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="KEY=VALUE[,...]",
        help="method, architecture, dataset, timesteps, seed; several values: KEY=A|B",
    )
    help = "judge runs that were not computed alike too: other threads, processor, torch"
    group.add_argument("--mixed", action="store_true", help=help)
    plugin(group)


def plugin(parser: Any) -> None:
    help = "a file or package that registers methods of yours; may be repeated"
    parser.add_argument("--plugin", action="append", default=[], metavar="FILE.py|PACKAGE", help=help)


def where(parser: Any) -> None:
    group = parser.add_argument_group("where")
    store(group)
    group.add_argument("--data", type=Path, metavar="DIR", help="the folder that holds the data sets")


def store(parser: Any) -> None:
    help = f"default {Asked.store}"
    parser.add_argument("--store", type=folder, default=Asked.store, metavar="DIR", help=help)


def format(parser: Any) -> None:
    parser.add_argument(
        "--format", type=one_of("format", FORMATS), default="terminal", metavar="F", help=", ".join(FORMATS)
    )


def json(parser: Any) -> None:
    formats = ("terminal", "json")
    parser.add_argument("--format", type=one_of("format", formats), default="terminal", metavar="F", help="or json")


def benches(parser: Any) -> None:
    help = f"the records of benches that claims are judged by; default {Claims.bench}"
    parser.add_argument("--bench", type=Path, default=Claims.bench, metavar="DIR", help=help)


def out(parser: Any) -> None:
    help = f"where figures are written; default {Run.out}"
    parser.add_argument("--out", type=Path, default=Run.out, metavar="DIR", help=help)


def running(parser: Any, place: str = "--on") -> None:
    group = parser.add_argument_group("how to run")
    help = "inline, local (default), a cluster, or the TOML file of one: `list clusters`"
    group.add_argument(place, dest="on", default=How.on, metavar="PLACE", help=help)
    group.add_argument("--jobs", type=whole(1), metavar="N", help="cells at once; default: one a GPU, or one a core")
    group.add_argument("--wait", action="store_true", help="on a cluster: stay until all is trained, then print it")
    help = "of each job; default 1: the same bits at any --jobs"
    group.add_argument("--threads", type=whole(1, MOST_THREADS), default=How.threads, metavar="N", help=help)
    help = "in less memory: compute neurons, or everything, a second time; slower, the same bits; default nothing"
    ways = one_of("way to recompute", RECOMPUTE)
    group.add_argument("--recompute", type=ways, default=How.recompute, metavar="nothing|neurons|everything", help=help)
    group.add_argument("--retry", type=one_of("kind", ("failed",)), metavar="failed", help="train failed cells again")
    help = "print the cells, a forecast, and on a cluster the scripts; trains and submits nothing"
    group.add_argument("--dry-run", action="store_true", help=help)
