"""What every back end computes: the recurrence of one layer as numbers, and the autograd function above them.

A back end is a module with three functions, on arrays (T, R, W): W columns that have one threshold or one λ, β, μ, σ²
each (channels; elements for element-wise MPBN), R rows that share them (batch and places). That is the memory of a
channels-last activation as it lies there, so nothing is copied.

    forward(recurrence, x, lam, beta) -> s, u, b, mean, var     training; lam and beta are None without MPBN
    backward(recurrence, gs, u, b, lam, beta, mean, var) -> gradients of x, lam, beta
    infer(recurrence, x, rule) -> s                              evaluation, unfolded and folded alike

Only the potential u, the statistics (T, W) and the spikes as bytes (b, or None) are kept for the way back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor


@dataclass(frozen=True)
class Recurrence:
    """u(t) = x(t) + τ v(t-1), z(t) = MPBN(u(t)) or u(t), s(t) = z(t) > V, v(t) = (u(t) or z(t)) (1 - s(t))."""

    timesteps: int
    tau: float
    v_th: float
    k: float = 0.0
    """Surrogate: 0 is straight-through, else the temperature of the tanh."""
    eps: float = 0.0
    detach: bool = False
    normalised: bool = False
    """z is carried in the place of u."""


class Rule(NamedTuple):
    """When a neuron fires in evaluation: z > threshold, z = (u - mean) · slope + shift, each of the three rounded.

    Without `mean`, z = slope · u, or u itself without `slope` too. Each (W,); `threshold` may be one number.
    """

    threshold: Tensor | float
    slope: Tensor | None = None
    mean: Tensor | None = None
    shift: Tensor | None = None


class Backend(Protocol):
    """The type of such a module."""

    NAME: str

    def forward(
        self, recurrence: Recurrence, x: Tensor, lam: Tensor | None, beta: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor | None, Tensor, Tensor]: ...

    def backward(
        self,
        recurrence: Recurrence,
        gs: Tensor,
        u: Tensor,
        b: Tensor | None,
        lam: Tensor | None,
        beta: Tensor | None,
        mean: Tensor,
        var: Tensor,
    ) -> tuple[Tensor, Tensor | None, Tensor | None]: ...

    def infer(self, recurrence: Recurrence, x: Tensor, rule: Rule) -> Tensor: ...


class Neurons(torch.autograd.Function):
    """(x, λ, β) -> spikes and the same as bytes, both like x; mean and variance (T, W) of u(t)."""

    @staticmethod
    def forward(ctx, x, lam, beta, recurrence, width, backend):  # type: ignore[override]
        x = x.contiguous(memory_format=torch.channels_last)
        s, u, b, mean, var = backend.forward(recurrence, rows(x, recurrence.timesteps, width), lam, beta)
        ctx.recurrence, ctx.width, ctx.backend = recurrence, width, backend
        ctx.shape, ctx.stride = x.shape, x.stride()
        ctx.save_for_backward(u, b, lam, beta, mean, var)
        b = None if b is None else b.as_strided(x.shape, x.stride())
        ctx.mark_non_differentiable(*(tensor for tensor in (b, mean, var) if tensor is not None))
        ctx.set_materialize_grads(False)
        return s.as_strided(x.shape, x.stride()), b, mean, var

    @staticmethod
    def backward(ctx, gs, *_):  # type: ignore[override]
        if gs is None:
            return None, None, None, None, None, None
        gs = rows(gs.contiguous(memory_format=torch.channels_last), ctx.recurrence.timesteps, ctx.width)
        gx, glam, gbeta = ctx.backend.backward(ctx.recurrence, gs, *ctx.saved_tensors)
        return gx.as_strided(ctx.shape, ctx.stride), glam, gbeta, None, None, None


def rows(x: Tensor, timesteps: int, width: int) -> Tensor:
    """(T·B, C, H, W), channels-last -> (T, R, width): a view.

    The way back is `as_strided`: of a map of one place, the strides are not determined by its being channels-last,
    and convolutions take another way, with another last bit, for other strides.
    """
    return x.permute(0, 2, 3, 1).reshape(timesteps, -1, width)


def columns(parameter: Tensor, shape: tuple[int, ...]) -> Tensor:
    """(C·H·W,) or (C, H, W), as a module keeps it -> (H·W·C,), the order of the columns."""
    return parameter.view(shape).permute(1, 2, 0).reshape(-1)


def features(column: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The inverse of `columns`."""
    channels, height, width = shape
    return column.view(height, width, channels).permute(2, 0, 1).reshape(-1)
