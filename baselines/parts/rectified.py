"""The membrane potential rectificator of InfLoR-SNN: potentials are drawn towards 0 and 1 before firing."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from baselines.parts.elementary import inverse_cube_root, short_tanh

EDGE = math.tanh(1.5)
EDGES = {torch.float32: float(short_tanh(torch.tensor(1.5)))}
"""tanh(3/2) as it is computed, so that φ(0) and φ(1) are 0 and 1 themselves; of other precisions as it is."""


class Rectificator(nn.Module):
    """z = φ(u): u^(1/3) for u > 1, 1 - (1 - u)^(1/3) for u < 0, 1/2 tanh(3 (u - 1/2)) / tanh(3/2) + 1/2 between.

    φ rises everywhere and φ(1/2) = 1/2: with V = 1/2 it changes gradients, and no spike.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, u: Tensor) -> Tensor:
        return _Rectified.apply(u)  # type: ignore[return-value]


class _Rectified(torch.autograd.Function):
    @staticmethod
    def forward(ctx, u: Tensor) -> Tensor:  # type: ignore[override]
        ctx.save_for_backward(u)
        x, r = _beyond(u)
        root = x * r * r if u.dtype == torch.float32 else x ** (1 / 3)
        between = _between(u) / (2 * EDGES.get(u.dtype, EDGE)) + 0.5
        return torch.where(u > 1, root, torch.where(u < 0, 1 - root, between))

    @staticmethod
    def backward(ctx, g):  # type: ignore[override]
        (u,) = ctx.saved_tensors
        _, r = _beyond(u)
        inside = (1 - _between(u).square()) * (3 / (2 * EDGE))
        return g * torch.where((u < 0) | (u > 1), r * r * (1 / 3), inside)


def _beyond(u: Tensor) -> tuple[Tensor, Tensor]:
    """What the root is taken of, at least 1, and 1 / root."""
    x = torch.where(u < 0, 1 - u, u).clamp(min=1)
    return x, inverse_cube_root(x)


def _between(u: Tensor) -> Tensor:
    """tanh(3 (u - 1/2)) of u in [0, 1]."""
    return short_tanh(3 * (u.clamp(0, 1) - 0.5))


@dataclass(frozen=True)
class Rectified:
    """Before firing only: the raw potential is carried."""

    def build(self, shape: tuple[int, int, int]) -> Rectificator:
        return Rectificator(shape[0])
