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


@dataclass(frozen=True)
class Rectangle:
    """ds/dz = 1 / a where |z - V| < a / 2, else 0: end points excluded (tdBN, GLIF, LTMD)."""

    width: float = 1.0

    def derivative(self, z: Tensor, v_th: float) -> Tensor:
        return ((z - v_th).abs() < self.width / 2).to(z.dtype) / self.width


@dataclass(frozen=True)
class Triangle:
    """ds/dz = h max(0, 1 - |z - V| / w): h = w = 1 in TET and TEBN, h = 0.3 in Diet-SNN, BNTT and LSNN."""

    height: float = 1.0
    width: float = 1.0

    def derivative(self, z: Tensor, v_th: float) -> Tensor:
        return (1 - (z - v_th).abs() / self.width).clamp(min=0) * self.height


@dataclass(frozen=True)
class ArcTan:
    """ds/dz = α/2 / (1 + (π/2 · α (z - V))²) (PLIF, SEW-ResNet)."""

    alpha: float = 2.0

    def derivative(self, z: Tensor, v_th: float) -> Tensor:
        return (self.alpha / 2) / (1 + (math.pi / 2 * self.alpha * (z - v_th)).square())


@dataclass(frozen=True)
class Sigmoid:
    """ds/dz = α σ (1 - σ), σ the logistic function of α (z - V) (OTTT)."""

    alpha: float = 4.0

    def derivative(self, z: Tensor, v_th: float) -> Tensor:
        sigma = torch.sigmoid(self.alpha * (z - v_th))
        return self.alpha * sigma * (1 - sigma)


@dataclass(frozen=True)
class SoftStep:
    """s ≈ [tanh(K (z - V)) + 1] / 2 everywhere, so ds/dz = K/2 (1 - tanh²(K (z - V))) (IM-Loss)."""

    k: float = 1.0

    def derivative(self, z: Tensor, v_th: float) -> Tensor:
        return (1 - torch.tanh(self.k * (z - v_th)).square()) * (self.k / 2)


@dataclass(frozen=True)
class Sharpening:
    """IM-Loss's evolving surrogate: a `SoftStep` whose K grows from k_min at epoch 0 to k_max at epoch N.

    K(i) = [(10^(i/N) - 1) k_max + (10 - 10^(i/N)) k_min] / 9.
    """

    k_min: float = 1.0
    k_max: float = 10.0

    def at(self, epoch: int, epochs: int) -> SoftStep:
        """Of epoch i = `epoch`, counted from 0, of N = `epochs`."""
        p = 10 ** (epoch / epochs)
        return SoftStep(((p - 1) * self.k_max + (10 - p) * self.k_min) / 9)


def window(z: Tensor, v_th: float) -> Tensor:
    """True where V - 1/2 <= z <= V + 1/2, end points included."""
    return (z >= v_th - 0.5) & (z <= v_th + 0.5)


class _Spike(torch.autograd.Function):
    """s = H(z - V), with the surrogate's derivative backward."""

    @staticmethod
    def forward(ctx, z: Tensor, v_th: float, surrogate: Surrogate, strict: bool) -> Tensor:  # type: ignore[override]
        ctx.save_for_backward(z)
        ctx.v_th, ctx.surrogate = v_th, surrogate
        return (z > v_th if strict else z >= v_th).to(z.dtype)

    @staticmethod
    def backward(ctx, grad):  # type: ignore[override]
        (z,) = ctx.saved_tensors
        return grad * ctx.surrogate.derivative(z, ctx.v_th), None, None, None


def spike(z: Tensor, v_th: float, surrogate: Surrogate, strict: bool = True) -> Tensor:
    """Spikes in {0, 1} of the shape of `z`: 1 where z > v_th (Eq. 8), or, not `strict`, where z >= v_th."""
    return _Spike.apply(z, v_th, surrogate, strict)  # type: ignore[return-value]


SURROGATES: dict[str, Surrogate] = {"ste": STE(), "tanh": Tanh(k=3.0)}
"""What a recipe may name."""
