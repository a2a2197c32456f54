"""Surrogate gradients: what back-propagation uses for the derivative of the spike s = H(z - V).

A surrogate is a frozen value with `derivative(z, v_th)`; the forward pass is the same strict step for all of them.
The windows of the paper are written for V = 0.5, where [V - 1/2, V + 1/2] is its [0, 1].
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


class Surrogate(Protocol):
    def derivative(self, z: Tensor, v_th: float) -> Tensor:
        """ds/dz, of the shape of `z`."""
        ...


@dataclass(frozen=True)
class STE:
    """Straight-through: ds/dz = 1 for 0 <= z <= 1, else 0 (Eq. 12)."""

    def derivative(self, z: Tensor, v_th: float) -> Tensor:
        return window(z, v_th).to(z.dtype)


@dataclass(frozen=True)
class Tanh:
    """The released code's surrogate, Dspike at a fixed temperature k.

    s ≈ [tanh(k (z - V)) + tanh(k/2)] / [2 tanh(k/2)] on [0, 1], so ds/dz = k (1 - tanh²(k (z - V))) / (2 tanh(k/2)).
    """

    k: float = 3.0

    def derivative(self, z: Tensor, v_th: float) -> Tensor:
        slope = 1 - torch.tanh(self.k * (z - v_th)).square()
        return slope * window(z, v_th) * (self.k / (2 * math.tanh(self.k / 2)))


def window(z: Tensor, v_th: float) -> Tensor:
    """True where V - 1/2 <= z <= V + 1/2, end points included."""
    return (z >= v_th - 0.5) & (z <= v_th + 0.5)


class _Spike(torch.autograd.Function):
    """s = H(z - V), strict (Eq. 8), with the surrogate's derivative backward."""

    @staticmethod
    def forward(ctx, z: Tensor, v_th: float, surrogate: Surrogate) -> Tensor:  # type: ignore[override]
        ctx.save_for_backward(z)
        ctx.v_th, ctx.surrogate = v_th, surrogate
        return (z > v_th).to(z.dtype)

    @staticmethod
    def backward(ctx, grad):  # type: ignore[override]
        (z,) = ctx.saved_tensors
        return grad * ctx.surrogate.derivative(z, ctx.v_th), None, None


def spike(z: Tensor, v_th: float, surrogate: Surrogate) -> Tensor:
    """Spikes in {0, 1} of the shape of `z`: 1 where z > v_th."""
    return _Spike.apply(z, v_th, surrogate)  # type: ignore[return-value]


SURROGATES: dict[str, Surrogate] = {"ste": STE(), "tanh": Tanh(k=3.0)}
"""What a recipe may name."""
