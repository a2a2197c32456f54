"""Thresholds that are no constant: learned with the weights, or risen by the neuron's own spikes.

Each puts the potential z(t) where it lies in relation to its own V as it would to the constant V₀ of the neuron: firing
and surrogate then read V₀ as ever, and a surrogate's window follows the threshold. Some compare z - V with 0, others
z / V with 1, each as its paper does: so the surrogate's gradient reaches V in another proportion.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from baselines.parts.spread import once, spread


class Threshold(Protocol):
    def build(self, shape: tuple[int, int, int], v_th: float) -> nn.Module | None:
        """A module (z(t), a(t)) -> what is compared with V₀ = `v_th` in the place of z, all (B, C, H, W).

        a(t) is its memory of past spikes, 0 at first; its `remember` makes a(t+1) of a(t) and s(t). It begins at V₀.
        None where V stays there.
        """
        ...


@dataclass(frozen=True)
class Constant:
    """V = V₀."""

    def build(self, shape: tuple[int, int, int], v_th: float) -> None:
        return None


class Learned(nn.Module):
    """V = f(w) of one learned w a layer, or one a channel. Remembers nothing."""

    def __init__(self, w: Tensor, f: Callable[[Tensor], Tensor], v_th: float, channels: int) -> None:
        super().__init__()
        self.w = nn.Parameter(w)
        self.f, self.v_th, self.channels = f, v_th, channels

    def value(self) -> Tensor:
        """V, broadcastable to (B, C, H, W)."""
        return self.f(self.w)

    def remember(self, a: Tensor, s: Tensor) -> Tensor:
        return a


class Shifted(Learned):
    """z' = z - (V - V₀)."""

    def forward(self, z: Tensor, a: Tensor) -> Tensor:
        if self.w.dim():
            return z - once(self, lambda: spread(self.value() - self.v_th, z))
        return z - (self.value() - self.v_th)


class Scaled(Learned):
    """z' = V₀ z / V."""

    def forward(self, z: Tensor, a: Tensor) -> Tensor:
        return self.v_th * z / self.value()


@dataclass(frozen=True)
class Tanh:
    """V = tanh(w), one w a layer; z - V is compared with 0 (LTMD)."""

    def build(self, shape: tuple[int, int, int], v_th: float) -> Shifted:
        return Shifted(torch.tensor(math.atanh(v_th)), torch.tanh, v_th, shape[0])


@dataclass(frozen=True)
class Free:
    """V itself is learned, one a layer; z / V is compared with 1 (Diet-SNN)."""

    def build(self, shape: tuple[int, int, int], v_th: float) -> Scaled:
        return Scaled(torch.tensor(v_th), torch.positive, v_th, shape[0])


class AdaptiveThreshold(nn.Module):
    """z' = V₀ z / V, V(t) = V₀ + β a(t), a(t) = ρ a(t-1) + (1 - ρ) s(t-1). Nothing is learned."""

    def __init__(self, v_th: float, beta: float, rho: float) -> None:
        super().__init__()
        self.v_th, self.beta, self.rho = v_th, beta, rho

    def forward(self, z: Tensor, a: Tensor) -> Tensor:
        return self.v_th * z / (self.v_th + self.beta * a)

    def remember(self, a: Tensor, s: Tensor) -> Tensor:
        return self.rho * a + (1 - self.rho) * s

    def extra_repr(self) -> str:
        return f"beta={self.beta}, rho={self.rho}"


@dataclass(frozen=True)
class Adaptive:
    """Every spike makes the next less likely for about `tau` steps (LSNN): ρ = exp(-1 / τ_a), β = `gain` · V₀."""

    tau: float = 200.0
    gain: float = 1.6 / 0.03

    def build(self, shape: tuple[int, int, int], v_th: float) -> AdaptiveThreshold:
        return AdaptiveThreshold(v_th, self.gain * v_th, math.exp(-1 / self.tau))
