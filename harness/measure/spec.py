"""A bench as data (`tables/benches/*.toml`), and what one leaves behind (`results/bench/*.json`)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, Literal, TypeAlias

import msgspec

from harness.result import Record
from harness.spec import Spec


class Setting(Record, frozen=True):
    """What all subjects of one comparison share."""

    architecture: str
    width: float
    timesteps: int
    batch: int
    method: str = ""
    """Where all of them are of one method."""

    @property
    def title(self) -> str:
        """``resnet20, width 0.25, T = 4, batch 32``."""
        parts = [
            self.method,
            self.architecture,
            f"width {self.width:g}",
            f"T = {self.timesteps}",
            f"batch {self.batch}",
        ]
        return ", ".join(part for part in parts if part)


class Grid(Spec, frozen=True):
    """Settings: every combination of the lists."""

    architecture: tuple[str, ...]
    width: tuple[float, ...]
    timesteps: tuple[int, ...]
    batch: tuple[int, ...]
    method: tuple[str, ...] = ("",)

    def settings(self) -> Iterator[Setting]:
        for combination in itertools.product(*(getattr(self, name) for name in self.__struct_fields__)):
            yield Setting(**dict(zip(self.__struct_fields__, combination, strict=True)))


class Subject(Spec, frozen=True):
    """A network whose inference is timed."""

    method: str
    folded: bool = False
    """Every normalisation folded away, as for inference."""
    signed: bool = False
    """With the scale of every other channel or element negated: the case whose folded comparison turns round."""
    within: float | None = None
    """Its ratio is claimed to be 1, up to this much."""

    @property
    def label(self) -> str:
        """``mpbn, signed, folded``."""
        return ", ".join([self.method, *["signed"] * self.signed, "folded" if self.folded else "as trained"])


class Latency(Spec, frozen=True, tag_field="kind", tag="latency"):
    """Networks against a reference, at inference."""

    name: str
    title: str
    grid: tuple[Grid, ...]
    reference: Subject
    subject: tuple[Subject, ...]
    rounds: int = 160


Implementation = Literal["ours", "ours, recompute", "ours, no compiler", "plain loop", "SpikingJelly", "bound"]


class Training(Spec, frozen=True, tag_field="kind", tag="training"):
    """Implementations of one network against several references, one training step each."""

    name: str
    title: str
    grid: tuple[Grid, ...]
    reference: tuple[Implementation, ...]
    subject: tuple[Implementation, ...]
    rounds: int = 40


Bench: TypeAlias = Latency | Training


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
    """What else was measured of the subject, by name with its unit: ``saved MiB``."""


class Benched(Record, frozen=True):
    """One run of a bench."""

    bench: str
    title: str
    rounds: int
    timings: tuple[Timing, ...]
    environment: dict[str, Any]
    when: str
    growth: dict[str, float] = msgspec.field(default_factory=dict)
    """``milliseconds over T, ours``: the exponent of a power law, where a grid varies one size alone."""
