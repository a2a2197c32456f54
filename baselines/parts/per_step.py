"""Normalisations whose statistics are those of one step; most keep them apart, and tie the network to one T."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from baselines.parts import carried, synchronised
from baselines.parts.normalisations import JointBatchNorm


class BatchNormThroughTime(nn.Module):
    """y(t) = λ(t) (x(t) - μ(t)) / sqrt(σ²(t) + ε), statistics over B, H, W, no β: T batch norms in one.

    The steps lie beside the channels, (B, T·C, H, W), so that one call serves all.
    """

    def __init__(self, channels: int, timesteps: int, eps: float, momentum: float) -> None:
        super().__init__()
        self.timesteps = timesteps
        self.norm = JointBatchNorm(timesteps * channels, eps, momentum)
        self.norm.bias = None  # type: ignore[assignment]

    def forward(self, x: Tensor) -> Tensor:
        steps = x.unflatten(0, (self.timesteps, -1)).transpose(0, 1)
        y = self.norm(steps.flatten(1, 2)).view_as(steps).transpose(0, 1)
        return y.flatten(0, 1).contiguous(memory_format=torch.channels_last)


@dataclass(frozen=True)
class BNTT:
    """Batch norm through time (Kim and Panda 2021), with the ε of the cited code."""

    eps: float = 1e-4
    momentum: float = 0.1

    def build(self, channels: int, timesteps: int, v_th: float, branches: int) -> nn.Module:
        return BatchNormThroughTime(channels, timesteps, self.eps, self.momentum)


class BatchNormOfEachStep(JointBatchNorm):
    """BN called once a timestep: statistics of that step alone while training, running ones that all steps share."""

    carries = True

    def __init__(self, channels: int, timesteps: int, eps: float, momentum: float) -> None:
        super().__init__(channels, eps, momentum)
        self.timesteps = timesteps

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        steps = input.unflatten(0, (carried.steps(self.timesteps), -1))
        return torch.cat([super(BatchNormOfEachStep, self).forward(step) for step in steps])


@dataclass(frozen=True)
class OfEachStep:
    """As a network calls BN that is shown one step after another (PLIF)."""

    eps: float = 1e-5
    momentum: float = 0.1

    def build(self, channels: int, timesteps: int, v_th: float, branches: int) -> nn.Module:
        return BatchNormOfEachStep(channels, timesteps, self.eps, self.momentum)


class SecondMomentNorm(nn.Module):
    """y = λ x / sqrt(m + ε), m the mean of x² over B, H, W, of each step (`periods` = T), or of all (`periods` = 1)."""

    running_moment: Tensor

    def __init__(self, channels: int, periods: int, eps: float, momentum: float) -> None:
        super().__init__()
        self.periods, self.eps, self.momentum = periods, eps, momentum
        self.weight = nn.Parameter(torch.ones(channels))
        self.register_buffer("running_moment", torch.ones(periods, channels))

    def forward(self, x: Tensor) -> Tensor:
        steps = x.unflatten(0, (self.periods, -1))
        moment = self.moment(steps) if self.training else self.running_moment
        scale = self.weight / torch.sqrt(moment + self.eps)
        return (steps * scale[:, None, :, None, None]).flatten(0, 1)

    def moment(self, steps: Tensor) -> Tensor:
        """Of the batch, (periods, C); the running moment moves towards it."""
        beside = steps.square().transpose(0, 1).flatten(1, 2)
        moment = synchronised.mean_var(beside)[0].view_as(self.running_moment)
        with torch.no_grad():
            self.running_moment.lerp_(moment.to(self.running_moment.dtype), self.momentum)
        return moment


@dataclass(frozen=True)
class SecondMoment:
    """The postsynaptic potential over the root of its second raw moment, in the style of PSP-BN (Ikegawa et al. 2022).

    The published formula was not to be had: root, λ without β, and moments kept step by step are ours.
    """

    per_step: bool = True
    eps: float = 1e-5
    momentum: float = 0.1

    def build(self, channels: int, timesteps: int, v_th: float, branches: int) -> nn.Module:
        return SecondMomentNorm(channels, timesteps if self.per_step else 1, self.eps, self.momentum)
