"""Everything folded, and what is still there for inference beside convolutions and plain neurons: what it costs."""

from __future__ import annotations

from collections import Counter
from functools import singledispatch

from torch import nn

from baselines.folding import ConvPerStep, FoldedLeak, fold_coefficients, fold_leaks, fold_norms, fold_thresholds
from baselines.network import Network
from baselines.parts.analog import Analog
from baselines.parts.coefficient import Coefficient
from baselines.parts.gated import Gated
from baselines.parts.neunorm import NeuNormalisation
from baselines.parts.thresholds import AdaptiveThreshold


def folded(network: Network) -> Network:
    """A copy in which everything is folded that can be, in the order that they need."""
    return fold_coefficients(fold_norms(fold_leaks(fold_thresholds(network))))


def remains(network: Network) -> tuple[str, ...]:
    """A line a kind of part of a folded `network` that costs something at inference; none of the baseline."""
    counts = Counter(cost for module in network.body.modules() if (cost := cost_of(module)))
    return tuple(f"{count} × {cost}" for cost, count in counts.items())


@singledispatch
def cost_of(part: nn.Module) -> str:
    """What a layer of this type costs, beyond its like in the baseline. Empty: nothing."""
    return ""


@cost_of.register
def _(part: ConvPerStep) -> str:
    return f"convolution with {len(part.convs)} weight sets, one a step"


@cost_of.register
def _(part: FoldedLeak) -> str:
    return "leak and offset a channel or element, in the place of a constant: an addition a neuron and step"


@cost_of.register
def _(part: Gated) -> str:
    return "gates as constants a channel: 4 multiplications and 2 additions a neuron and step"


@cost_of.register
def _(part: AdaptiveThreshold) -> str:
    return "threshold that follows the spikes: 3 multiplications and 2 additions a neuron and step"


@cost_of.register
def _(part: NeuNormalisation) -> str:
    return (
        "NeuNorm: 1 multiplication and 2 additions a neuron and step; the next layer receives real values, not spikes"
    )


@cost_of.register
def _(part: Analog) -> str:
    return "analog output: 1 multiplication a neuron and step; the next layer receives real values, not spikes"


@cost_of.register
def _(part: Coefficient) -> str:
    return "coefficient a channel that no weight can take: 1 multiplication a spike"
