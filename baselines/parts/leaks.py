"""Leaks that are learned with the weights: how much of v(t-1) is left when the current of step t arrives."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn


class SigmoidLeak(nn.Module):
    """u(t) = v(t-1) + (x(t) - v(t-1)) σ(w): the current is scaled by 1 - τ = σ(w) too."""

    def __init__(self, tau: float) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor(math.log(1 / tau - 1)))

    def forward(self, v: Tensor, x: Tensor) -> Tensor:
        return v + (x - v) * torch.sigmoid(self.w)


@dataclass(frozen=True)
class Sigmoid:
    """τ = 1 - σ(w), one w a layer, from `tau` (PLIF, whose own τ is 1 / σ(w), that is, 1 / (1 - `tau`))."""

    tau: float = 0.25

    def build(self, shape: tuple[int, int, int]) -> SigmoidLeak:
        return SigmoidLeak(self.tau)


class FreeLeak(nn.Module):
    """u(t) = λ v(t-1) + x(t)."""

    def __init__(self, tau: float) -> None:
        super().__init__()
        self.lam = nn.Parameter(torch.tensor(tau))

    def forward(self, v: Tensor, x: Tensor) -> Tensor:
        return self.lam * v + x


@dataclass(frozen=True)
class Free:
    """λ itself is learned, one a layer, from `tau` (Diet-SNN)."""

    tau: float = 0.25

    def build(self, shape: tuple[int, int, int]) -> FreeLeak:
        return FreeLeak(self.tau)


class SquashedLeak(nn.Module):
    """u(t) = σ(d) v(t-1) + x(t)."""

    def __init__(self, tau: float) -> None:
        super().__init__()
        self.d = nn.Parameter(torch.tensor(math.log(tau / (1 - tau))))

    def forward(self, v: Tensor, x: Tensor) -> Tensor:
        return torch.sigmoid(self.d) * v + x


@dataclass(frozen=True)
class Squashed:
    """τ = σ(d), one d a layer, from `tau`; the current is not scaled (LIAF-Net)."""

    tau: float = 0.25

    def build(self, shape: tuple[int, int, int]) -> SquashedLeak:
        return SquashedLeak(self.tau)
