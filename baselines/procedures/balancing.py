"""Threshold balancing: V of each layer by what it receives while all layers before it spike with theirs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from baselines.network import CHUNK, Network
from baselines.parts.balanced import Weighing
from baselines.parts.neurons import SpikingNeuron
from baselines.parts.thresholds import Learned
from baselines.procedures.procedure import Start


@dataclass(frozen=True)
class Largest:
    """The largest current of a step (SpikeNorm, RMP, Hybrid-Train)."""

    def __call__(self, currents: Tensor) -> Tensor:
        return currents.max()


@dataclass(frozen=True)
class Percentile:
    """The current of rank 1 + round(share · (n - 1)) among the n of a step (Diet-SNN)."""

    share: float = 0.997

    def __call__(self, currents: Tensor) -> Tensor:
        flat = currents.flatten()
        return flat.kthvalue(1 + round(self.share * (len(flat) - 1))).values


@dataclass(frozen=True, kw_only=True)
class Balance:
    """V = scale · the maximum over timesteps of a statistic of the weighted input, potentials having no part in it.

    Layers are searched one after another in the order in which they compute, all of them; those before one already
    spike with what was found for them, which is scaled only in the end (as the code of Hybrid-Train and Diet-SNN does).
    """

    statistic: Callable[[Tensor], Tensor] = field(default_factory=Largest)
    steps: int | None = None
    """Timesteps that are looked at; None: as many as the network has."""
    samples: int = 1
    """Training images, as the first epoch shows them; a whole number of its batches, one at least."""
    scale: float = 1.0
    layers: int | None = None
    """How many of the first layers are searched; None: all."""
    otherwise: float = 1.0
    """V of those that are not."""

    @torch.no_grad()
    def __call__(self, network: Network, start: Start) -> None:
        network.eval()
        images = gathered(start.images(), self.samples)
        order = in_order(network, images[:1])
        if not all(isinstance(layer.threshold, Learned) for layer in order):
            raise ValueError("the network has neurons of its own, whose threshold no conversion can set: use another")
        searched = order[: self.layers]
        for layer in order[len(searched) :]:
            set_threshold(network, layer, torch.tensor(self.otherwise))
        steps = min(self.steps or network.timesteps, start.steps or sys.maxsize)
        for number, layer in enumerate(searched, start=1):
            start.tell(f"threshold of layer {number} of {len(searched)}")
            received = network.walk(images, CHUNK, until=layer, timesteps=steps)
            found = max(self.statistic(currents) for chunk in received for currents in chunk)
            set_threshold(network, layer, found)
        for layer in searched:
            assert isinstance(layer.threshold, Learned)
            set_threshold(network, layer, layer.threshold.value() * self.scale)


def gathered(batches: Iterable[Tensor], samples: int) -> Tensor:
    """Of still images: the first batch, and those behind it as long as they are no more than `samples` together."""
    found, held = [], 0
    for images in batches:
        if found and held + len(images) > samples:
            break
        found.append(images)
        held += len(images)
    return torch.cat(found)


def in_order(network: Network, images: Tensor) -> list[SpikingNeuron]:
    """The layers of neurons in the order in which they compute."""
    order: list[SpikingNeuron] = []
    layers = network.spiking_layers().values()
    hooks = [layer.register_forward_hook(lambda *_, layer=layer: order.append(layer)) for layer in layers]
    try:
        next(network.walk(images))
    finally:
        for hook in hooks:
            hook.remove()
    return order


def set_threshold(network: nn.Module, layer: SpikingNeuron, v: Tensor) -> None:
    """Of `layer`, and what its spikes weigh where they weigh V. Raises ValueError for one that never fires."""
    if not v > 0:
        raise ValueError(f"a layer receives no positive current (at most {float(v):g}): its threshold would be that")
    assert isinstance(layer.threshold, Learned)
    layer.threshold.w.fill_(v)
    after = getattr(_owner(network, layer), "after", None)
    if isinstance(after, Weighing):
        after.v.fill_(v)


def _owner(network: nn.Module, layer: nn.Module) -> nn.Module | None:
    return next((module for module in network.modules() if layer in module.children()), None)
