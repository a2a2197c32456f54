"""Dropout whose mask does not change over time."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.parts import carried


class DropoutOverTime(nn.Module):
    """Dropout whose mask is drawn once a sample and kept for all timesteps; for (T·B, ...)."""

    carries = True

    def __init__(self, p: float, timesteps: int) -> None:
        super().__init__()
        self.p, self.timesteps = p, timesteps

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        steps = x.unflatten(0, (carried.steps(self.timesteps), -1))
        (mask,) = carried.recall(self) or (F.dropout(torch.ones_like(steps[0]), self.p),)
        carried.remember(self, mask)
        return (steps * mask).flatten(0, 1)

    def extra_repr(self) -> str:
        return f"p={self.p}"
