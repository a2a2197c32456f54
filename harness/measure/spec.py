"""A bench as data (`tables/benches/*.toml`), and what one leaves behind (`results/bench/*.json`)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, Literal, TypeAlias

import msgspec

from harness.measure.tried import Check, Speed
from harness.spec import Spec
from harness.store.result import Record

CONTROL = "A/A control"
"""The reference once more, from a second network built like it: what its ratio strays from 1 cannot be told here."""
LOOP = "Python loop"
"""What computes a layer of neurons that no kernel serves."""
CIFAR = 32
"""Pixels; a title leaves them out."""


class Setting(Record, frozen=True):
    """What all subjects of one comparison share."""

    architecture: str
    width: float
    timesteps: int
    batch: int
    method: str = ""
    """Where all of them are of one method."""
    size: int = CIFAR
    """Height and width of an image, in pixels."""
    rate: float = 0.0
    """Spikes an element and step that every layer of neurons is set to; 0: as many as noise makes."""

    @property
    def title(self) -> str:
        """``resnet20, width 0.25, T = 4, batch 32``."""
        parts = [
            self.method,
            self.architecture,
            f"{self.size} pixels" if self.size != CIFAR else "",
            f"width {self.width:g}",
            f"T = {self.timesteps}",
            f"batch {self.batch}",
            f"firing rate {self.rate:g}" if self.rate else "",
        ]
        return ", ".join(part for part in parts if part)


class Grid(Spec, frozen=True):
    """Settings: every combination of the lists, each in as many rounds."""

    architecture: tuple[str, ...]
    width: tuple[float, ...]
    timesteps: tuple[int, ...]
    batch: tuple[int, ...]
    method: tuple[str, ...] = ("",)
    size: tuple[int, ...] = (CIFAR,)
    rate: tuple[float, ...] = (0.0,)
    rounds: int | None = None
    """None: as many as the bench says."""
    subject: tuple[str, ...] = ()
    """Of `overhead`: only these of the bench's methods; empty: all."""

    def settings(self) -> Iterator[Setting]:
        names = Setting.__struct_fields__
        for combination in itertools.product(*(getattr(self, name) for name in names)):
            yield Setting(**dict(zip(names, combination, strict=True)))

    @property
    def varied(self) -> list[str]:
        """The sizes of which it has several."""
        return [name for name in Setting.__struct_fields__ if len(getattr(self, name)) > 1]


class Subject(Spec, frozen=True):
    """A network whose inference is timed."""

    method: str
    folded: bool = False
    """Every normalisation folded away, as for inference."""
    signed: bool = False
    """With the scale of every other channel or element negated: the case whose folded comparison turns round."""
    events: bool = False
    """With convolutions that take their input as events where that is faster."""
    within: float | None = None
    """Its ratio is claimed to be 1, up to this much."""

    @property
    def label(self) -> str:
        """``mpbn, signed, folded, events``."""
        form = "folded" if self.folded else "as trained"
        return ", ".join([self.method, *["signed"] * self.signed, form, *["events"] * self.events])


class Latency(Spec, frozen=True, tag_field="kind", tag="latency"):
    """Networks against a reference, at inference."""

    name: str
    title: str
    grid: tuple[Grid, ...]
    reference: Subject
    subject: tuple[Subject, ...]
    rounds: int = 160
    notes: tuple[str, ...] = ()


Implementation = Literal[
    "ours",
    "ours, one pass",
    "ours, bfloat16",
    "ours, recompute",
    "ours, no compiler",
    "released semantics",
    "plain loop",
    "SpikingJelly",
    "bound",
]


class Target(Spec, frozen=True):
    """What a ratio of a bench should come to, in one of its settings: data, so that it is not moved unseen."""

    says: str
    subject: str
    reference: str
    of: Literal["speed", "time", "MiB saved"]
    """`speed`: how many times as fast as the reference; the others: so many times the reference's."""
    method: str
    architecture: str
    width: float
    timesteps: int
    batch: int
    at_least: float | None = None
    at_most: float | None = None
    threads: int | None = None
    """On a CPU: a run with another number says nothing of it; None: any will do."""


class Training(Spec, frozen=True, tag_field="kind", tag="training"):
    """Implementations of one network against several references, one training step each."""

    name: str
    title: str
    grid: tuple[Grid, ...]
    reference: tuple[Implementation, ...]
    subject: tuple[Implementation, ...]
    surrogate: str = "ste"
    rounds: int = 40
    growth: tuple[Grid, ...] = ()
    """Each varies one size alone; timed are those of `grows`."""
    grows: tuple[Implementation, ...] = ("ours",)
    target: tuple[Target, ...] = ()
    notes: tuple[str, ...] = ()


class Overhead(Spec, frozen=True, tag_field="kind", tag="overhead"):
    """Methods against one of them, a training step each, all of our implementation, by the method's procedure."""

    name: str
    title: str
    grid: tuple[Grid, ...]
    reference: str
    subject: tuple[str, ...] = ()
    """Empty in a file: every method of the registry."""
    surrogate: str = "ste"
    rounds: int = 40
    notes: tuple[str, ...] = ()


Bench: TypeAlias = Latency | Training | Overhead


class Timing(Record, frozen=True):
    """One subject in one setting, by one clock, against one reference."""

    setting: Setting
    subject: str
    reference: str
    clock: str
    """`cpu`, `cuda` or `wall`."""
    milliseconds: float
    """Median of the rounds: of this machine at that moment, to be compared within its setting only."""
    ratio: float
    """To the reference, with its interval."""
    low: float
    high: float
    within: float | None = None
    """How far from 1 a ratio that is claimed to be 1 may be."""
    verdict: str = ""
    """Empty for the reference and the control."""
    figures: dict[str, float] = msgspec.field(default_factory=dict)
    """What else was measured of the subject, by name with its unit: ``MiB saved``."""
    rounds: int = 0
    group: str = ""
    """``2 of 8``, where not all subjects of a setting were interleaved with each other: each group has a control."""
    computed: str = ""
    """What computed the subject's layers of neurons: ``19 × fused CPU kernel``."""


class Growth(Record, frozen=True):
    """How one cost grows with one size: a power law through the medians, on logarithms."""

    subject: str
    what: str
    """``milliseconds``, ``MiB saved``."""
    over: str
    """``timesteps``, ``width``, ``batch``."""
    setting: Setting
    """Of the smallest size."""
    sizes: tuple[float, ...]
    values: tuple[float, ...]
    exponent: float
    """1 is linear growth."""
    low: float
    high: float
    r_squared: float


class Met(Record, frozen=True):
    """A target beside what was measured."""

    target: Target
    measured: float
    low: float
    high: float
    verdict: Literal["met", "missed", "cannot tell"]


class Benched(Record, frozen=True):
    """One run of a bench."""

    bench: str
    title: str
    rounds: int
    """Of settings that have no number of their own."""
    timings: tuple[Timing, ...]
    environment: dict[str, Any]
    when: str
    growth: tuple[Growth, ...] = ()
    targets: tuple[Met, ...] = ()
    notes: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    """What was not timed, since it was interrupted: pieces of the bench, in their order."""
    asked: dict[str, Any] | None = None
    """Of one that was interrupted, the bench itself: what is gone on with must be the same."""
    checks: tuple[Check, ...] = ()
    """What was tried beside timings, by `make test-gpu`."""
    speeds: tuple[Speed, ...] = ()
    stand_in: bool = False
    """A processor stood in for a GPU, at tiny sizes: it shows that all of it runs. No time of it means anything."""
