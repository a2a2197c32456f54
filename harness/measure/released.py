"""The released code's way of training step, in our words (yfguo91/MPBN at 149379d: `models/spike_layer.py`).

Convolutions and pools run once over T·B, channels first. A batch norm is three-dimensional, over a (B, C, T, H, W) view
that is copied back into time-major order. Neurons go step by step under autograd: an ordinary BN a step on the
potential, a straight-through sum of the step function and a clamped tanh, steps stacked at the end. What is left out is
the classifier's call a step instead of one over T·B, of no weight beside the rest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from baselines.method import Method, Shape
from baselines.parts.neurons import HardReset, Leak, Neuron
from baselines.parts.normalisations import BatchNorm
from baselines.parts.potential import ChannelMPBN, NoNorm
from baselines.parts.surrogates import STE, Surrogate, Tanh
from baselines.parts.thresholds import Constant


def released(method: Method) -> Method:
    """`method` with the parts below. Raises TypeError for one that the released code cannot build."""
    neuron = leaky(method)
    if type(method.normalisation) is not BatchNorm or not isinstance(neuron.normalise, NoNorm | ChannelMPBN):
        raise TypeError("the released code has a plain BN after convolutions, and MPBN a channel or none")
    normalised = isinstance(neuron.normalise, ChannelMPBN)
    steps = StepByStep(neuron.charge.tau, neuron.v_th, normalised)  # type: ignore[union-attr]
    return replace(method, normalisation=NormOverTime(), neuron=steps)  # type: ignore[arg-type]


def leaky(method: Method) -> Neuron:
    """Its neuron. Raises TypeError for one with parts that a released or a foreign neuron does not have."""
    neuron = method.neuron
    plain = isinstance(neuron, Neuron) and type(neuron.charge) is Leak and type(neuron.reset) is HardReset
    if not plain or type(neuron.threshold) is not Constant:  # type: ignore[union-attr]
        raise TypeError("it knows leaky neurons with a hard reset and a constant threshold alone")
    return neuron  # type: ignore[return-value]


@dataclass(frozen=True)
class NormOverTime:
    """What takes the place of `BatchNorm`."""

    def build(self, channels: int, timesteps: int, v_th: float, branches: int) -> nn.Module:
        return NormOverTime3d(channels, timesteps)


class NormOverTime3d(nn.BatchNorm3d):
    """Statistics over T, B, H, W by a view of the five axes."""

    def __init__(self, channels: int, timesteps: int) -> None:
        super().__init__(channels)
        self.timesteps = timesteps

    def forward(self, input: Tensor) -> Tensor:
        channels_second = input.unflatten(0, (self.timesteps, -1)).permute(1, 2, 0, 3, 4)
        return super().forward(channels_second).permute(2, 0, 1, 3, 4).contiguous().flatten(0, 1)


@dataclass(frozen=True)
class StepByStep:
    """What takes the place of the neuron."""

    tau: float
    v_th: float
    normalised: bool

    def build(self, shape: Shape, timesteps: int, surrogate: Surrogate) -> nn.Module:
        norm = nn.BatchNorm2d(shape[0]) if self.normalised else nn.Identity()
        return NeuronStepByStep(timesteps, self.tau, self.v_th, norm, surrogate)


class NeuronStepByStep(nn.Module):
    def __init__(self, timesteps: int, tau: float, v_th: float, normalise: nn.Module, surrogate: Surrogate) -> None:
        super().__init__()
        self.timesteps, self.tau, self.v_th = timesteps, tau, v_th
        self.normalise, self.surrogate = normalise, surrogate

    def forward(self, x: Tensor) -> Tensor:
        currents = x.unflatten(0, (self.timesteps, -1))
        v, spikes = torch.zeros_like(currents[0]), []
        for t in range(self.timesteps):
            u = v * self.tau + currents[t]
            s = straight_through(self.normalise(u) / (2 * self.v_th), self.surrogate)
            v = u * (1 - s)
            spikes.append(s)
        return torch.stack(spikes).flatten(0, 1)


def straight_through(z: Tensor, surrogate: Surrogate) -> Tensor:
    """Forward H(z - 1/2), backward the derivative of a soft step on [0, 1]. Raises TypeError for another surrogate."""
    if not isinstance(surrogate, STE | Tanh):
        raise TypeError(f"the released code has no surrogate {surrogate}")
    soft = z.clamp(0, 1)
    if isinstance(surrogate, Tanh):
        edge = math.tanh(surrogate.k / 2)
        soft = (torch.tanh(surrogate.k * (soft - 0.5)) + edge) / (2 * edge)
    return ((z > 0.5).to(z.dtype) - soft).detach() + soft
