"""What a verb is asked: the command line, or a call from Python, decoded once. No verb sees anything else.

Every name, number and path is as it was given; a default stands here and nowhere else.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

SEEDS = (0, 1, 2)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Which cells, of which store, on which data."""

    targets: tuple[str, ...] = ()
    """Tables, figures or cells."""
    preset: str | None = None
    protocol: str | None = None
    seeds: tuple[int, ...] = SEEDS
    only: tuple[str, ...] = ()
    mixed: bool = False
    plugin: tuple[str, ...] = ()
    store: Path = Path("results/runs")
    data: Path | None = None
    words: tuple[str, ...] = field(default=(), compare=False)
    """What was typed after ``python -m harness``, or could have been."""

    @property
    def command(self) -> str:
        """What to type to ask the same again."""
        return shlex.join(["python", "-m", "harness", *self.words])

    def where(self) -> str:
        """The options that say where things are, as they were given, each after a blank."""
        return _joined(options(self, ("store", "data", "plugin")))


@dataclass(frozen=True, kw_only=True)
class How:
    """How cells are trained."""

    on: str = "local"
    jobs: int | None = None
    wait: bool = False
    threads: int = 1
    recompute: Literal["nothing", "neurons", "everything"] = "nothing"
    retry: str | None = None

    @property
    def again(self) -> bool:
        """Failed cells too."""
        return self.retry == "failed"


@dataclass(frozen=True, kw_only=True)
class Run:
    asked: Asked = field(default_factory=Asked)
    how: How = field(default_factory=How)
    dry_run: bool = False
    format: str = "terminal"
    out: Path = Path("results/figures")


@dataclass(frozen=True, kw_only=True)
class Table:
    asked: Asked = field(default_factory=Asked)
    compact: bool = False
    """Methods by data sets, what was measured alone."""
    format: str = "terminal"


@dataclass(frozen=True, kw_only=True)
class Figure:
    asked: Asked = field(default_factory=Asked)
    out: Path = Run.out


@dataclass(frozen=True, kw_only=True)
class Claims:
    asked: Asked = field(default_factory=Asked)
    names: tuple[str, ...] = ()
    """All, unless some are named."""
    explain: bool = False
    bench: Path = Path("results/bench")
    format: str = "terminal"


@dataclass(frozen=True, kw_only=True)
class Report:
    asked: Asked = field(default_factory=Asked)
    bench: Path = Claims.bench
    out: Path = Path("report.html")
    replace: bool = False
    """A page that shows more than this one will."""
    open: bool = False


@dataclass(frozen=True, kw_only=True)
class Publish:
    folder: Path | None = None
    """None: the branch of Pages."""
    pages: bool = False
    asked: Asked = field(default_factory=Asked)
    bench: Path = Claims.bench


@dataclass(frozen=True, kw_only=True)
class Archive:
    file: Path
    check: bool = False
    """Of one that is there, instead of writing it."""
    asked: Asked = field(default_factory=Asked)
    bench: Path = Claims.bench


@dataclass(frozen=True, kw_only=True)
class Badge:
    table: str
    row: int
    out: Path | None = None
    """None: ``TABLE-row-ROW.svg`` here."""
    asked: Asked = field(default_factory=Asked)


@dataclass(frozen=True, kw_only=True)
class Compare:
    method: str
    """A file or package that registers it, or the name of one that is known."""
    table: str
    asked: Asked = field(default_factory=Asked)
    """Its targets are empty."""
    how: How = field(default_factory=How)
    train_baselines: bool = False
    rounds: int = 30
    dry_run: bool = False
    format: str = "terminal"


@dataclass(frozen=True, kw_only=True)
class Export:
    asked: Asked = field(default_factory=Asked)
    format: str = "csv"
    to: str | None = None
    out: Path = Path("results/export")


@dataclass(frozen=True, kw_only=True)
class New:
    kind: str
    name: str


@dataclass(frozen=True, kw_only=True)
class Status:
    asked: Asked = field(default_factory=Asked)
    cells: bool = False
    watch: float | None = None
    format: str = "terminal"


@dataclass(frozen=True, kw_only=True)
class Listing:
    kind: str | None = None
    plugin: tuple[str, ...] = ()
    store: Path = Asked.store
    format: str = "terminal"


@dataclass(frozen=True, kw_only=True)
class Show:
    cell: str
    protocols: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    """Of a protocol that has a recipe for each method."""
    store: Path = Asked.store
    data: Path | None = None
    format: str = "terminal"


@dataclass(frozen=True, kw_only=True)
class ExplainGap:
    log: Path
    """A stranger's: CSV, TensorBoard events, text."""
    row: str
    """``TABLE:NUMBER``."""
    claimed: float | None = None
    """The number that its owner reports; None: the last epoch's."""
    pattern: str = ""
    preset: str | None = None
    measured: Path = Path("results/cpu")
    """The store of what single changes were measured to do."""
    store: Path = Asked.store
    data: Path | None = None
    format: str = "terminal"


@dataclass(frozen=True, kw_only=True)
class Logs:
    cell: str
    lines: int = 20
    follow: bool = False
    store: Path = Asked.store


@dataclass(frozen=True, kw_only=True)
class Cancel:
    asked: Asked = field(default_factory=Asked)
    all: bool = False


@dataclass(frozen=True, kw_only=True)
class Merge:
    other: Path
    store: Path = Asked.store
    checkpoints: bool = False
    dry_run: bool = False


@dataclass(frozen=True, kw_only=True)
class Bench:
    bench: str
    narrowed: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    """Which of its architectures, widths, ..., where not all."""
    rounds: int | None = None
    threads: int = 1
    plugin: tuple[str, ...] = ()
    out: Path = Claims.bench
    format: str = "terminal"
    words: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Doctor:
    store: Path = Asked.store
    data: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Check:
    asked: Asked = field(default_factory=Asked)
    """Its targets are files."""


@dataclass(frozen=True, kw_only=True)
class Completion:
    shell: str


@dataclass(frozen=True, kw_only=True)
class Help:
    about: str | None = None


@dataclass(frozen=True, kw_only=True)
class Version:
    """Of this program."""


HOW = How()

Request = (
    Run
    | Table
    | Figure
    | Claims
    | Report
    | Publish
    | Archive
    | Badge
    | Compare
    | Export
    | New
    | Status
    | Listing
    | Show
    | ExplainGap
    | Logs
    | Cancel
    | Merge
    | Bench
    | Doctor
    | Check
    | Completion
    | Help
    | Version
)


def words(verb: str, asked: Asked, how: How = HOW, *before: str) -> tuple[str, ...]:
    """What could have been typed after ``python -m harness``."""
    chosen = ("preset", "protocol", "seeds", "only", "mixed", "plugin", "store", "data")
    ways = ("on", "jobs", "wait", "threads", "recompute", "retry")
    place = (
        [{"--on": "--place"}.get(word, word) for word in options(how, ways)]
        if verb == "compare"
        else options(how, ways)
    )
    return (verb, *asked.targets, *before, *options(asked, chosen), *place)


def options(request: object, names: tuple[str, ...]) -> Iterator[str]:
    """What to type for those fields of a request that are not as by default."""
    for name in names:
        value = getattr(request, name)
        if value == getattr(type(request), name):
            continue
        option = f"--{name.replace('_', '-')}"
        if name == "seeds":
            yield from (option, ",".join(map(str, value)))
        elif isinstance(value, tuple):
            yield from (word for one in value for word in (option, str(one)))
        elif isinstance(value, bool):
            yield option
        else:
            yield from (option, str(value))


def _joined(words: Iterator[str]) -> str:
    return "".join(f" {shlex.quote(word)}" for word in words)
