"""What a claim is judged by: pairs of results, fold proofs, ratios of times. Nouns; `collect.py` gathers them."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from harness.measure.spec import Benched, Timing
from harness.plan import Line, Plan
from harness.spec import Cell
from harness.statements.spec import Place
from harness.stats import Outcome, Sample, sample
from harness.store.probes import Landscape


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """All that is known."""

    plans: Mapping[str, Plan] = field(default_factory=dict)
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    """By cell key."""
    landscape: Callable[[Cell], Landscape | None] = lambda cell: None
    benches: Sequence[Benched] = ()

    @property
    def mixed(self) -> bool:
        """Runs that were not computed alike are judged all the same."""
        return any(plan.mixed for plan in self.plans.values())

    @functools.cached_property
    def lines(self) -> Mapping[tuple[str, int], Line]:
        """Table and row number -> its line. A user's added rows are never taken for the paper's."""
        return {(name, line.number): line for name, plan in self.plans.items() for line in plan.lines if not line.added}


@dataclass(frozen=True, kw_only=True)
class Pair:
    seed: int
    left: float
    right: float

    @property
    def difference(self) -> float:
        return self.left - self.right


@dataclass(frozen=True, kw_only=True)
class Paired:
    """Left minus right over the seeds that both have finished."""

    label: str
    what: str
    """What is compared: ``test accuracy, percent``."""
    unit: str
    """Of the difference: ``points``."""
    low: float
    high: float
    """The claim is that the difference lies between them, ends excluded; infinite where there is no bound."""
    pairs: tuple[Pair, ...] = ()
    asked: int = 0
    """Seeds that were asked for."""
    lacking: tuple[str, ...] = ()
    """Why a seed has no pair, or why there are none at all."""
    notes: tuple[str, ...] = ()
    outside: str = ""
    """``not in preset cpu``: the preset leaves it out of what is asked for."""
    places: tuple[Place, Place]
    cells: tuple[tuple[Cell, ...], tuple[Cell, ...]] = ((), ())

    @property
    def other_recipe(self) -> bool:
        """Whether another paper's recipe made a number that the paper prints of the two."""
        return any(place.row.cited for place in self.places)

    @functools.cached_property
    def sample(self) -> Sample:
        return sample([pair.difference for pair in self.pairs])

    @property
    def n(self) -> int:
        return len(self.pairs)

    @property
    def bounds(self) -> tuple[float, ...]:
        return tuple(bound for bound in (self.low, self.high) if math.isfinite(bound))

    @property
    def spread(self) -> bool:
        """Whether there is one to judge by: not where all differences are the same but for floating point."""
        return (self.sample.std or 0.0) > 1e-9

    @property
    def complete(self) -> bool:
        """Every seed asked for has its pair. Judging the survivors, or before all are there, would flatter."""
        return self.n == self.asked > 0


@dataclass(frozen=True, kw_only=True)
class Fold:
    """The fold proofs of one row."""

    label: str
    shares: tuple[float, ...] = ()
    """Of the spikes compared, those that changed; one a seed that has a proof of an exact fold."""
    spikes: int = 0
    failed: int = 0
    """Seeds that failed their proof."""
    outside: str = ""
    """As of `Paired`."""

    @property
    def n(self) -> int:
        return len(self.shares)


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """A cost in units of another, in one setting of one bench on one device."""

    label: str
    device: str
    clock: str
    low: float
    high: float
    """The claimed range of the ratio."""
    timing: Timing
    control: Timing | None
    rounds: int
    outside: str = ""
    """As of `Paired`: a preset has no say here."""

    @property
    def n(self) -> int:
        return self.rounds


Part = Paired | Fold | Ratio
