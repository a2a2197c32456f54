"""Thresholds that a conversion sets, layer by layer, and spikes that weigh as much as the threshold they passed."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from baselines.parts.neurons import Place
from baselines.parts.thresholds import Scaled, Shifted


@dataclass(frozen=True)
class Balanced:
    """V of each layer, found and not learned. Of a neuron with V₀ = 0, z - V is compared with it: no rounding."""

    def build(self, shape: tuple[int, int, int], v_th: float) -> Shifted:
        found = Shifted(torch.tensor(1.0), torch.positive, v_th, shape[0])
        return found.requires_grad_(False)


@dataclass(frozen=True)
class BalancedRatio:
    """V of each layer, found and not learned; V₀ z / V is compared with V₀, and 1 / V is in its gradient."""

    def build(self, shape: tuple[int, int, int], v_th: float) -> Scaled:
        found = Scaled(torch.tensor(v_th), torch.positive, v_th, shape[0])
        return found.requires_grad_(False)


class Weighing(nn.Module):
    """y = V s."""

    v: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("v", torch.ones(()))

    def forward(self, s: Tensor) -> Tensor:
        return s * self.v


@dataclass(frozen=True)
class Weighed:
    """Every spike weighs V of its layer, as it would if V stood in the weights that receive it.

    So rates times V approach the activations of the ANN everywhere, and a shortcut adds what it should: with spikes of
    weight 1, an identity would have to be divided by the thresholds within its block.
    """

    def build(self, shape: tuple[int, int, int], timesteps: int, place: Place) -> Weighing:
        return Weighing()
