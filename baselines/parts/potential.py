"""Membrane potential batch normalisation: a batch norm on u(t), just before the firing function (Sec. 4, Eq. 7)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from baselines.parts import synchronised


class PotentialNorm(Protocol):
    def build(self, shape: tuple[int, int, int]) -> nn.Module:
        """A module u(t) -> z(t), both (B, C, H, W), for frames of `shape` (C, H, W)."""
        ...


@dataclass(frozen=True)
class NoNorm:
    """z(t) = u(t)."""

    def build(self, shape: tuple[int, int, int]) -> nn.Module:
        return nn.Identity()


class MPBN(nn.Module):
    """z = λ (u - μ) / sqrt(σ² + ε) + β, called once a step.

    Training normalises step t with the batch statistics of step t alone; one set of λ, β and running statistics
    serves all steps and is updated T times a forward pass, so later steps weigh more in it. Channel-wise, `shape`
    is (C, 1, 1) and the statistics run over B, H, W; element-wise (Eq. 13) it is (C, H, W) and they run over B.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, shape: tuple[int, int, int], eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.shape, self.eps, self.momentum = shape, eps, momentum
        features = shape[0] * shape[1] * shape[2]
        self.weight = nn.Parameter(torch.ones(features))  # λ
        self.bias = nn.Parameter(torch.zeros(features))  # β
        self.register_buffer("running_mean", torch.zeros(features))  # μ
        self.register_buffer("running_var", torch.ones(features))  # σ²

    def forward(self, u: Tensor) -> Tensor:
        if not self.training:
            return self.evaluate(u)
        flat = u if self.weight.numel() == u.shape[1] else u.flatten(1)
        z = synchronised.batch_norm(
            flat, self.running_mean, self.running_var, self.weight, self.bias, self.momentum, self.eps
        )
        return z.view_as(u)

    def evaluate(self, u: Tensor) -> Tensor:
        """z(u) with the running statistics.

        Three separate roundings, each monotone in u: that is what lets folding find the very float at which the
        neuron begins to fire. A fused kernel could round differently from one position of a tensor to the next.
        """
        mean, slope, shift = (p.view(self.shape) for p in (self.running_mean, self.slope(), self.bias))
        return (u - mean) * slope + shift

    def slope(self) -> Tensor:
        """λ / sqrt(σ² + ε), of the running statistics."""
        return self.weight / torch.sqrt(self.running_var + self.eps)

    def extra_repr(self) -> str:
        return f"{self.shape}, eps={self.eps}, momentum={self.momentum}"


@dataclass(frozen=True)
class ChannelMPBN:
    """MPBN with one λ, β, μ, σ² a channel (Sec. 4.1)."""

    eps: float = 1e-5
    momentum: float = 0.1

    def build(self, shape: tuple[int, int, int]) -> MPBN:
        return MPBN((shape[0], 1, 1), self.eps, self.momentum)


@dataclass(frozen=True)
class ElementMPBN:
    """MPBN with one λ, β, μ, σ² an element (Sec. 5.2, Eq. 13); ties the network to one input size."""

    eps: float = 1e-5
    momentum: float = 0.1

    def build(self, shape: tuple[int, int, int]) -> MPBN:
        return MPBN(shape, self.eps, self.momentum)
