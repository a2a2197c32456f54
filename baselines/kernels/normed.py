"""A batch norm and the neurons behind it in one pass, training on a CPU: `norm.c`, with MPBN `neuron.c`.

What is computed is what the two compute apart; sums are taken in another order, so last bits differ, and a spike now
and then. Of x, mean and variance over T, B, H, W; then y = λ (x - μ) / sqrt(σ² + ε) + β, charged and fired where it is
made; the way back adds up the two sums of the norm's gradient as it goes. The norm's output is never in memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from baselines.kernels import compiled, dispatch, norm
from baselines.kernels.recurrence import Recurrence, rows
from baselines.parts import carried, synchronised
from baselines.parts.potential import MPBN

if TYPE_CHECKING:
    from baselines.parts.neurons import SpikingNeuron
    from baselines.parts.normalisations import JointBatchNorm


def run(layer: SpikingNeuron, before: JointBatchNorm, x: Tensor) -> Tensor:
    """Spikes (T·B, C, H, W) of `layer` behind a norm; apart where somebody looks at what passes between them."""
    return train(layer, before, x) if _serves(layer, before, x) else layer(before(x.view_as(x)))


def _serves(layer: SpikingNeuron, before: JointBatchNorm, x: Tensor) -> bool:
    """Whether a kernel by hand computes these neurons, of all samples of the batch, and nobody looks in between."""
    listened = before._forward_hooks or before._forward_pre_hooks
    if listened or synchronised.needed() or carried.walking() or not layer.training:
        return False
    channels_last = x.is_contiguous(memory_format=torch.channels_last)
    return channels_last and x.device.type == "cpu" and dispatch.backend_for(layer, x) is compiled


def train(layer: SpikingNeuron, before: JointBatchNorm, x: Tensor) -> Tensor:
    """Spikes (T·B, C, H, W). Updates the running statistics of both. Raises ValueError for a batch of one value."""
    potential = layer.normalise if isinstance(layer.normalise, MPBN) else None
    count = x.numel() // x.shape[1]
    if count <= 1:
        raise ValueError("batch norm needs more than one value to take statistics of: train with a larger batch")
    given = (x, before.scaled_weight(), before.bias, *dispatch.affine(potential, x, layer.timesteps))
    s, b, mean, var, mean_of_x, var_of_x = Normed.apply(*given, dispatch.recurrence_of(layer), before.eps)  # type: ignore[misc]
    before.keep(mean_of_x, var_of_x, count)
    dispatch.keep(potential, mean, var, x)
    return dispatch.with_bytes(s, b)


class Normed(torch.autograd.Function):
    """(x, weight, bias of the norm, λ, β of MPBN or None) -> spikes, the same as bytes, MPBN's mean and variance (T, W)
    of u(t), those of x (C,)."""

    @staticmethod
    def forward(ctx, x, weight, bias, lam, beta, recurrence: Recurrence, eps):  # type: ignore[override]
        channels = x.shape[1]
        steps = rows(x, recurrence.timesteps, channels)
        mean, var = norm.moments(recurrence, steps)
        invstd = torch.rsqrt(var + eps)
        slope = weight * invstd
        shift = bias - mean * slope
        wide = rows(x, recurrence.timesteps, channels if lam is None else len(lam))
        wide_slope, wide_shift = (_repeated(column, wide) for column in (slope, shift))
        s, u, b, *of_u = norm.forward(recurrence, wide, wide_slope, wide_shift, lam, beta)
        ctx.recurrence, ctx.shape, ctx.stride = recurrence, x.shape, x.stride()
        ctx.save_for_backward(x, u, b, lam, beta, *of_u, mean, invstd, slope, shift)
        s, b = (part.as_strided(x.shape, x.stride()) for part in (s, b))
        ctx.mark_non_differentiable(b, *of_u, mean, var)
        ctx.set_materialize_grads(False)
        return s, b, *of_u, mean, var

    @staticmethod
    def backward(ctx, gs, *_):  # type: ignore[override]
        if gs is None:
            return (None,) * 7
        x, u, b, lam, beta, mean_of_u, var_of_u, mean, invstd, slope, shift = ctx.saved_tensors
        steps, channels = ctx.recurrence.timesteps, ctx.shape[1]
        wide = rows(x, steps, channels if lam is None else len(lam))
        gs = rows(gs.contiguous(memory_format=torch.channels_last), steps, wide.shape[2])
        wide_slope, wide_shift, centre = (_repeated(column, wide) for column in (slope, shift, mean))
        gy, added, slanted, glam, gbeta = norm.backward(
            ctx.recurrence, gs, wide, wide_slope, wide_shift, centre, u, b, lam, beta, mean_of_u, var_of_u
        )
        added, slanted = (column.view(-1, channels).sum(0) for column in (added, slanted))
        gweight = slanted * invstd
        count = x.numel() // channels
        tilt = -slope * invstd * gweight / count
        flat = -slope * added / count - tilt * mean
        norm.through(ctx.recurrence, rows(x, steps, channels), slope, tilt, flat, gy)
        return gy.as_strided(ctx.shape, ctx.stride), gweight, added, glam, gbeta, None, None


def _repeated(column: Tensor, wide: Tensor) -> Tensor:
    """(C,) -> (W,): columns of elements are places, and channels within."""
    return column.repeat(wide.shape[2] // len(column))
