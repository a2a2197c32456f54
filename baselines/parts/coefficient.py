"""Spikes that weigh what each channel learns: real-valued in training, binary again once folded (Real Spike)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from baselines.parts.neurons import Place


class Coefficient(nn.Module):
    """y = a · s, one a a channel, from 1."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.ones(channels))

    def forward(self, s: Tensor) -> Tensor:
        return s * self.a.view(-1, 1, 1)


@dataclass(frozen=True)
class Coefficients:
    """After every layer of neurons but those on a shortcut."""

    def build(self, shape: tuple[int, int, int], timesteps: int, place: Place) -> Coefficient | None:
        return None if place == "shortcut" else Coefficient(shape[0])
