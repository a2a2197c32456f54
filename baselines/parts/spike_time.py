"""Neurons of Hybrid-Train: a spike leaves one step late, and its gradient fades with the time since the last one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from baselines.parts import carried
from baselines.parts.elementary import exponential
from baselines.parts.neurons import Place
from baselines.parts.thresholds import Learned


class _Weighted(torch.autograd.Function):
    """The identity; its gradient is multiplied by `weight`."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor) -> Tensor:  # type: ignore[override]
        ctx.save_for_backward(weight)
        return x.view_as(x)

    @staticmethod
    def backward(ctx, grad):  # type: ignore[override]
        (weight,) = ctx.saved_tensors
        return grad * weight, None


def weighted(x: Tensor, weight: Tensor) -> Tensor:
    """x, whose gradient is multiplied by `weight`."""
    return _Weighted.apply(x, weight)  # type: ignore[return-value]


ABNORMAL, UNDERFLOWS = 88, 104
"""The first whole numbers of which exp(-Δt) is a few of the smallest floats, 2^-149, and none, in float32."""


class SpikeTimed(Learned):
    """z' = V₀ z / V; the spike's gradient is α exp(-Δt)^β / V, Δt steps after the neuron's last spike.

    As in the cited code exp(-Δt) is taken first and underflows in float32: from Δt = 104 on, and for a neuron that has
    not fired yet, the gradient is 0 and not α exp(-β Δt). The memory a(t) is Δt, 0 before the first spike.
    """

    def __init__(self, alpha: float, beta: float, v_th: float, channels: int) -> None:
        super().__init__(torch.tensor(v_th), torch.positive, v_th, channels)
        self.alpha, self.beta = alpha, beta
        self.requires_grad_(False)

    def forward(self, z: Tensor, a: Tensor) -> Tensor:
        return weighted(self.v_th * z / self.value(), self._faded(a).to(z.dtype))

    @torch.no_grad()
    def _faded(self, a: Tensor) -> Tensor:
        if a.dtype != torch.float32:
            return torch.exp(-a.float()).pow(self.beta) * self.alpha * (a > 0)
        smallest = exponential(149 * math.log(2) - a.clamp(ABNORMAL, UNDERFLOWS - 1))  # how many of them exp(-Δt) is
        off = torch.round(smallest) / smallest - 1
        log = off * (1 - off * (1 / 2 - off * (1 / 3 - off * (1 / 4))))  # of 1 + off
        return exponential((log - a) * self.beta) * self.alpha * ((a > 0) & (a < UNDERFLOWS))

    @torch.no_grad()
    def remember(self, a: Tensor, s: Tensor) -> Tensor:
        return torch.where(s > 0, torch.ones_like(a), (a + 1) * (a > 0))


@dataclass(frozen=True)
class SpikeTime:
    """V of each layer, found and not learned; see `SpikeTimed`."""

    alpha: float = 0.3
    beta: float = 0.01

    def build(self, shape: tuple[int, int, int], v_th: float) -> SpikeTimed:
        return SpikeTimed(self.alpha, self.beta, v_th, shape[0])


@dataclass(frozen=True)
class Through:
    """ds/dz = 1 everywhere: what fades the gradient stands in the threshold."""

    def derivative(self, z: Tensor, v_th: float) -> Tensor:
        return torch.ones_like(z)


@dataclass(frozen=True)
class LeakThenSubtract:
    """v(t) = λ u(t) - V s(t), with a charge that leaks nothing; the spike in it is a constant."""

    leak: float = 1.0
    v: Any = None

    def build(self, threshold: nn.Module | float) -> LeakThenSubtract:
        return LeakThenSubtract(self.leak, threshold)

    def __call__(self, u: Tensor, s: Tensor) -> Tensor:
        v = self.v.value() if isinstance(self.v, Learned) else self.v
        return self.leak * u - v * s.detach()


class Delay(nn.Module):
    """y(t) = s(t - 1), y(1) = 0."""

    carries = True

    def __init__(self, timesteps: int) -> None:
        super().__init__()
        self.timesteps = timesteps

    def forward(self, s: Tensor) -> Tensor:
        steps = s.unflatten(0, (carried.steps(self.timesteps), -1)).unbind()
        (before,) = carried.recall(self) or (torch.zeros_like(steps[0]),)
        carried.remember(self, steps[-1])
        return torch.cat([before, *steps[:-1]])


@dataclass(frozen=True)
class Delayed:
    """After every layer of neurons."""

    def build(self, shape: tuple[int, int, int], timesteps: int, place: Place) -> Delay:
        return Delay(timesteps)
