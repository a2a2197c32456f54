"""Synaptic operations of an inference, from firing rates: what the energy estimates of the field are made of.

A layer that sees spikes adds a weight for every spike that reaches it (accumulate, AC); one that sees real numbers, as
the first does, multiplies too (MAC). At 45 nm in float32 a MAC takes 4.6 pJ and an AC 0.9 pJ (M. Horowitz, "Computing's
energy problem (and what we can do about it)", ISSCC 2014, Fig. 1.1.9: 3.7 pJ to multiply, 0.9 pJ to add).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from baselines.network import Network
from harness.result import Result

MAC, AC = 4.6, 0.9
"""Picojoules."""


@dataclass(frozen=True, kw_only=True)
class Operations:
    """Of one inference: one image, all timesteps."""

    macs: float
    acs: float

    @property
    def microjoules(self) -> float:
        return (MAC * self.macs + AC * self.acs) / 1e6


@torch.no_grad()
def operations(
    network: Network, shape: tuple[int, int, int], rates: Mapping[str, float], *, still: bool = True
) -> Operations:
    """Operations of `network` on frames of `shape`, where its layers of neurons fire at `rates` (spikes an element and
    step, by the layer's name).

    Every layer of neurons puts out its rate, every convolution and linear layer NaN: so the input of a layer is NaN
    where currents or pixels reach it, else the mean number of spikes an element, through pools and sums. Borders count
    as the inside does. A `still` image is the same at every step, so its first layer is counted once. Biases,
    normalisations and the neurons' own arithmetic are not counted, as is usual. Raises KeyError for a layer without
    a rate.
    """
    counted = _Counter(network.timesteps, once=still)
    kinds = (nn.Conv2d, nn.Linear)
    hooks = [m.register_forward_hook(counted.synapse) for m in network.body.modules() if isinstance(m, kinds)]
    hooks += [layer.register_forward_hook(_constant(rates[name])) for name, layer in network.spiking_layers().items()]
    training = network.training
    try:
        network.eval()
        parameter = next(network.parameters())
        frames = torch.full((network.timesteps, *shape), math.nan, dtype=parameter.dtype, device=parameter.device)
        network.body(frames)
    finally:
        network.train(training)
        for hook in hooks:
            hook.remove()
    return Operations(macs=counted.macs, acs=counted.acs)


class _Counter:
    def __init__(self, timesteps: int, once: bool) -> None:
        self.timesteps, self.once = timesteps, once
        self.macs = self.acs = 0.0

    def synapse(self, layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        (x,) = inputs
        assert isinstance(layer.weight, Tensor)
        frames = len(x) if x.dim() > 1 else 1
        each = output[0].numel() * layer.weight[0].numel()
        if torch.isnan(x).any():
            first = self.macs == 0
            self.macs += each * (frames / self.timesteps if first and self.once else frames)
        else:
            self.acs += each * frames * float(x.double().mean())
        return torch.full_like(output, math.nan)


def _constant(rate: float) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor]:
    return lambda layer, inputs, output: torch.full_like(output, rate)


def firing_rates(result: Result) -> dict[str, float]:
    """Of every layer of neurons, on the test samples of the cell's fold proof; empty without one."""
    proofs = sorted(result.proofs, key=lambda proof: proof.precision != "float32")
    return {layer.name: layer.rate for layer in proofs[0].layers} if proofs else {}
