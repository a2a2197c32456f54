"""The membrane potential rectificator of InfLoR-SNN: potentials are drawn towards 0 and 1 before firing."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn


class Rectificator(nn.Module):
    """z = φ(u): u^(1/3) for u > 1, 1 - (1 - u)^(1/3) for u < 0, 1/2 tanh(3 (u - 1/2)) / tanh(3/2) + 1/2 between.

    φ rises everywhere and φ(1/2) = 1/2: with V = 1/2 it changes gradients, and no spike.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, u: Tensor) -> Tensor:
        above = u.clamp(min=1) ** (1 / 3)  # clamped, since where() would spread the NaN of a root of less than 0
        below = 1 - (1 - u.clamp(max=0)) ** (1 / 3)
        between = torch.tanh(3 * (u - 0.5)) / (2 * math.tanh(1.5)) + 0.5
        return torch.where(u > 1, above, torch.where(u < 0, below, between))


@dataclass(frozen=True)
class Rectified:
    """Before firing only: the raw potential is carried."""

    def build(self, shape: tuple[int, int, int]) -> Rectificator:
        return Rectificator(shape[0])
