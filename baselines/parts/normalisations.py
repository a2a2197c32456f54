"""Normalisation after the convolution: what stands between a convolution and its neuron.

Each is a frozen spec with `build(channels, timesteps, v_th, branches)`, where `branches` counts the paths that are
summed before the neuron (2 at the end of a residual block). All statistics run over T, B, H, W jointly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Normalisation(Protocol):
    def build(self, channels: int, timesteps: int, v_th: float, branches: int) -> nn.Module:
        """A module (T·B, C, H, W) -> the same shape."""
        ...


@dataclass(frozen=True)
class BatchNorm:
    """y = λ (x - μ) / sqrt(σ² + ε) + β over T, B, H, W (Eq. 4): an ordinary BN, since time lies in the batch."""

    eps: float = 1e-5
    momentum: float = 0.1

    def build(self, channels: int, timesteps: int, v_th: float, branches: int) -> nn.Module:
        return nn.BatchNorm2d(channels, self.eps, self.momentum)


class ThresholdDependentBatchNorm(nn.BatchNorm2d):
    """y = λ · αV · (x - μ) / sqrt(σ² + ε) + β, with λ starting at 1 (Zheng et al. 2021, tdBN).

    The factor αV is kept apart from λ: an initial scale of αV would be decayed and trained differently.
    """

    def __init__(self, channels: int, scale: float, eps: float, momentum: float) -> None:
        super().__init__(channels, eps, momentum)
        self.scale = scale

    def forward(self, input: Tensor) -> Tensor:
        weight, mean, var = self.weight * self.scale, self.running_mean, self.running_var
        return F.batch_norm(input, mean, var, weight, self.bias, self.training, self.momentum or 0.0, self.eps)


@dataclass(frozen=True)
class TdBN:
    """Threshold-dependent BN: α = 1 in series, 1/sqrt(n) where n branches are summed before the neuron."""

    eps: float = 1e-5
    momentum: float = 0.1

    def build(self, channels: int, timesteps: int, v_th: float, branches: int) -> nn.Module:
        return ThresholdDependentBatchNorm(channels, v_th / branches**0.5, self.eps, self.momentum)


class TemporalEffectiveBatchNorm(nn.Module):
    """y(t) = p(t) · [λ (x(t) - μ) / sqrt(σ² + ε) + β], p one learnable number a step, from 1 (Duan et al. 2022)."""

    def __init__(self, channels: int, timesteps: int, eps: float, momentum: float) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, eps, momentum)
        self.p = nn.Parameter(torch.ones(timesteps))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(x).unflatten(0, (len(self.p), -1))
        return (y * self.p.view(-1, 1, 1, 1, 1)).flatten(0, 1)


@dataclass(frozen=True)
class TEBN:
    """TEBN in its common form; p(t) multiplies β too, and ties the network to one T."""

    eps: float = 1e-5
    momentum: float = 0.1

    def build(self, channels: int, timesteps: int, v_th: float, branches: int) -> nn.Module:
        return TemporalEffectiveBatchNorm(channels, timesteps, self.eps, self.momentum)
