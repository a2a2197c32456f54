"""What a trained network shows beyond its result: its loss landscape, its potentials and its folded thresholds.

A probe is computed from the weights that a cell left in the store, and is kept beside them. It says from which weights
and from which samples it comes. Nothing here needs torch.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec

from harness.store.result import Count, Number, Percent, Record, Seconds, Share

PROBE_VERSION = 1

FILES = {"landscape": "landscape.json", "potentials": "potentials.json", "operations": "operations.json"}
"""Probe -> its file in the folder of its cell."""

NEEDED = {
    "landscape": "landscape",
    "potentials": "potentials",
    "thresholds": "potentials",
    "energy": "operations",
    "latency": "operations",
}
"""Kind of a figure -> the probe that it is drawn from; the other kinds need results alone."""

WEIGHTLESS = frozenset({"operations"})
"""Probes that are computed from the result alone."""

Amount = Annotated[float, msgspec.Meta(ge=0, le=1e100)]

Statistics = Literal["running", "re-estimated"]
"""Of the normalisations while the weights move: those of training, or taken anew from the samples at every point."""

NEAR = 0.25
"""The curvature is that of the points at most so far from the trained weights (in filter norms)."""


class Probe(Record, frozen=True, kw_only=True):
    """What all of them say of where they come from."""

    version: int = PROBE_VERSION
    weights: str
    """Fingerprint of ``weights.pt``, see `fingerprint`."""
    data: str
    """Fingerprint of the samples."""
    split: Literal["train", "test"]
    samples: Count
    device: str = "cpu"
    seconds: Seconds = 0.0


# --- the loss landscape -----------------------------------------------------------------------------------------------


class LossCurve(Record, frozen=True):
    """The loss along one direction."""

    direction: int
    """Its seed; the same for every network."""
    statistics: Statistics
    loss: tuple[Number | None, ...]
    """Mean cross-entropy in nats, an entry an alpha; None where it is not finite."""
    accuracy: tuple[Percent, ...]


class Landscape(Probe, frozen=True, kw_only=True):
    """Loss at ``theta + alpha d``: d is random, each of its filters as long as that of the network (Li et al. 2018)."""

    alphas: tuple[Number, ...]
    moved: tuple[str, ...]
    """Names of the parameters that move; biases and those of normalisations stay."""
    curves: tuple[LossCurve, ...]

    def of(self, statistics: Statistics) -> tuple[LossCurve, ...]:
        return tuple(curve for curve in self.curves if curve.statistics == statistics)


def area(landscape: Landscape, statistics: Statistics) -> float:
    """Mean over directions of the mean over alpha of loss(alpha) - loss(0), in nats; smaller is flatter.

    The mean over alpha is an integral by the trapezoidal rule: the points need not be evenly far apart.

    NaN where there is no such curve, or one has a loss that is not finite.
    """
    return _mean([_area(_heights(curve), landscape.alphas) for curve in landscape.of(statistics)])


def curvature(landscape: Landscape, statistics: Statistics) -> float:
    """Mean over directions of c in loss = a + b alpha + c alpha², by least squares over `NEAR`; smaller is flatter.

    In nats per squared filter norm. NaN as for `area`, and where fewer than three points are near.
    """
    near = [place for place, alpha in enumerate(landscape.alphas) if abs(alpha) <= NEAR + 1e-9]
    alphas = [landscape.alphas[place] for place in near]
    curves = [_heights(curve) for curve in landscape.of(statistics)]
    return _mean([quadratic(alphas, [loss[place] for place in near]) for loss in curves])


def quadratic(x: Sequence[float], y: Sequence[float]) -> float:
    """c of the least squares y = a + b x + c x²: the part of x² that 1 and x do not explain, against y."""
    if len(set(x)) < 3:
        return math.nan
    constant = [1.0] * len(x)
    linear = _without(x, constant)
    square = _without(_without([value**2 for value in x], constant), linear)
    return math.fsum(map(_times, square, y)) / math.fsum(map(_times, square, square))


# --- potentials and thresholds ----------------------------------------------------------------------------------------


class Spread(Record, frozen=True):
    """How values of one layer and step are distributed."""

    mean: Number
    std: Number
    above: Share
    """Share above the threshold of the layer."""
    counts: tuple[Count, ...]
    """A bin of `Potentials.low` to `high` each; the first and the last hold what lies outside too."""


class LayerStep(Record, frozen=True):
    """One layer of neurons at one timestep."""

    layer: str
    step: Annotated[int, msgspec.Meta(ge=1, le=2**31)]
    before: Spread
    """u(t), the potential."""
    after: Spread | None
    """z(t), normalised; None without a normalisation on the potential."""


class LayerThresholds(Record, frozen=True):
    """The folded thresholds of one layer: the potential at which each channel or element begins to fire (Eq. 10)."""

    layer: str
    count: Count
    quantiles: tuple[Number, ...]
    """At `QUANTILES`, of those that are finite; empty where none is."""
    negative: Share
    """Share with λ < 0, which fire below their threshold."""
    infinite: Share
    """Share that fires always or never."""


QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


class Potentials(Probe, frozen=True, kw_only=True):
    threshold: Number
    """V, before folding."""
    low: Number
    high: Number
    """Of the histograms."""
    steps: tuple[LayerStep, ...]
    thresholds: tuple[LayerThresholds, ...]
    """Empty where nothing folds into thresholds."""


# --- synaptic operations ----------------------------------------------------------------------------------------------

MAC, AC = 4.6, 0.9
"""Picojoules of a multiply-accumulate and of an accumulate in float32 at 45 nm (M. Horowitz, "Computing's energy
problem (and what we can do about it)", ISSCC 2014, Fig. 1.1.9: 3.7 pJ to multiply, 0.9 pJ to add)."""


class Operations(Record, frozen=True, kw_only=True):
    """Of one inference: one image, all timesteps. Counted in a network without weights, see `measure/operations.py`."""

    version: int = PROBE_VERSION
    macs: Amount
    """Where a synapse sees real numbers, as the first layer's do: multiplied, then added."""
    acs: Amount
    """Where it sees spikes: its weight is added for every one."""
    rates: dict[str, Share] = msgspec.field(default_factory=dict)
    """Those that were counted with: of the cell's result, by the name of the layer."""
    after: tuple[tuple[Amount, Amount], ...] = ()
    """MACs and ACs of the first 1, 2, 4, … T timesteps, where the result tells the rates of those."""
    seconds: Seconds = 0.0

    @property
    def microjoules(self) -> float:
        return (MAC * self.macs + AC * self.acs) / 1e6


@dataclass(frozen=True, kw_only=True)
class Probes:
    """Those of one cell; None: not computed, or damaged."""

    landscape: Landscape | None = None
    potentials: Potentials | None = None
    operations: Operations | None = None


def fingerprint(weights: bytes) -> str:
    """Of the content of ``weights.pt``."""
    return hashlib.sha256(weights).hexdigest()[:16]


def _heights(curve: LossCurve) -> list[float]:
    return [math.nan if value is None else value for value in curve.loss]


def _area(loss: Sequence[float], alphas: Sequence[float]) -> float:
    trained = loss[min(range(len(alphas)), key=lambda place: abs(alphas[place]))]
    steps = zip(alphas, alphas[1:], loss, loss[1:], strict=False)
    integral = math.fsum((after - before) * (one + two) / 2 for before, after, one, two in steps)
    return integral / (alphas[-1] - alphas[0]) - trained


def _without(x: Sequence[float], base: Sequence[float]) -> list[float]:
    """`x` less its projection on `base`."""
    share = math.fsum(map(_times, x, base)) / math.fsum(map(_times, base, base))
    return [value - share * other for value, other in zip(x, base, strict=True)]


def _times(one: float, two: float) -> float:
    return one * two


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else math.nan
