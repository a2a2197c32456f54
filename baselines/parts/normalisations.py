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

from baselines.parts import synchronised


class Normalisation(Protocol):
    def build(self, channels: int, timesteps: int, v_th: float, branches: int) -> nn.Module:
        """A module (T·B, C, H, W) -> the same shape."""
        ...


@dataclass(frozen=True)
class Unnormalised:
    """y = x: the convolution's output is the current."""

    def build(self, channels: int, timesteps: int, v_th: float, branches: int) -> nn.Module:
        return nn.Identity()


class JointBatchNorm(nn.BatchNorm2d):
    """torch's BN, and where several processes train together, over the samples of all."""

    counts = True
    """Whether it counts its batches, as torch's does."""

    def forward(self, input: Tensor) -> Tensor:
        if not (self.training and synchronised.needed()):
            return super().forward(input)
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        return self.with_batch_statistics(input, self.weight)

    def scaled_weight(self) -> Tensor:
        """What the standardised input is multiplied by, (C,)."""
        return self.weight

    @torch.no_grad()
    def keep(self, mean: Tensor, var: Tensor, count: int) -> None:
        """Running statistics move on by those of a batch, (C,), the variance biased, of `count` values each."""
        assert self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None
        self.num_batches_tracked.add_(int(self.counts))
        self.running_mean.lerp_(mean, self.momentum or 0.0)
        self.running_var.lerp_(var * (count / (count - 1)), self.momentum or 0.0)

    def with_batch_statistics(self, x: Tensor, weight: Tensor) -> Tensor:
        mean, var = self.running_mean, self.running_var
        assert mean is not None and var is not None
        return synchronised.batch_norm(x, mean, var, weight, self.bias, self.momentum or 0.0, self.eps)


@dataclass(frozen=True)
class BatchNorm:
    """y = λ (x - μ) / sqrt(σ² + ε) + β over T, B, H, W (Eq. 4): an ordinary BN, since time lies in the batch."""

    eps: float = 1e-5
    momentum: float = 0.1

    def build(self, channels: int, timesteps: int, v_th: float, branches: int) -> nn.Module:
        return JointBatchNorm(channels, self.eps, self.momentum)


class ThresholdDependentBatchNorm(JointBatchNorm):
    """y = λ · αV · (x - μ) / sqrt(σ² + ε) + β, with λ starting at 1 (Zheng et al. 2021, tdBN).

    The factor αV is kept apart from λ: an initial scale of αV would be decayed and trained differently.
    """

    counts = False

    def __init__(self, channels: int, scale: float, eps: float, momentum: float) -> None:
        super().__init__(channels, eps, momentum)
        self.scale = scale

    def scaled_weight(self) -> Tensor:
        return self.weight * self.scale

    def forward(self, input: Tensor) -> Tensor:
        weight = self.scaled_weight()
        if self.training:
            return self.with_batch_statistics(input, weight)
        return F.batch_norm(input, self.running_mean, self.running_var, weight, self.bias, eps=self.eps)


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
        self.norm = JointBatchNorm(channels, eps, momentum)
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
