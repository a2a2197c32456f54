"""Normalisations whose statistics are those of one step; most keep them apart, and tie the network to one T."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from baselines.parts import carried, synchronised
from baselines.parts.normalisations import JointBatchNorm


def batch_norm_of_steps(
    x: Tensor,
    running: Sequence[tuple[Tensor, Tensor]],
    weight: Tensor,
    bias: Tensor | None,
    momentum: float,
    eps: float,
) -> Tensor:
    """BN of each step of `x` (T·B, C, H, W) by itself, with the statistics of the batch.

    λ and β, which may be None, are (T, C), or (C,) of all steps. Running mean and variance of each step are moved in
    place, in their order. Raises as `synchronised.batch_norm`.
    """
    steps = len(running)
    if x.device.type == "cpu" and x.numel() > steps * x.shape[1] and not synchronised.needed():
        return _BatchNormOfSteps.apply(x, running, weight, bias, momentum, eps)  # type: ignore[return-value]
    each = zip(_cut(x, steps), running, _each(weight, steps), _each(bias, steps), strict=True)
    return torch.cat([synchronised.batch_norm(one, *kept, w, b, momentum, eps) for one, kept, w, b in each])


class _BatchNormOfSteps(torch.autograd.Function):
    """torch's own, to the bit, on the steps where they lie: nothing is cut out and put together again."""

    @staticmethod
    def forward(ctx, x, running, weight, bias, momentum, eps):  # type: ignore[override]
        steps, y = len(running), torch.empty_like(x)
        mean, invstd = x.new_empty(2, steps, x.shape[1], dtype=weight.dtype)
        learned = zip(_each(weight, steps), _each(bias, steps), running, strict=True)
        places = zip(_cut(x, steps), _cut(y, steps), mean, invstd, strict=True)
        for (w, b, kept), (one, into, m, s) in zip(learned, places, strict=True):
            made = {"out": into, "save_mean": m, "save_invstd": s}
            torch.ops.aten.native_batch_norm.out(one, w, b, *kept, True, momentum, eps, **made)
        ctx.save_for_backward(x, weight, mean, invstd)
        ctx.eps, ctx.asked = eps, [True, True, bias is not None]
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx, gy):  # type: ignore[override]
        x, weight, mean, invstd = ctx.saved_tensors
        steps, gx, found = len(mean), torch.empty_like(x), []
        places = zip(*(_cut(p, steps) for p in (x, gy, gx)), _each(weight, steps), mean, invstd, strict=True)
        for one, g, into, w, m, s in places:
            back = torch.ops.aten.native_batch_norm_backward
            part, *rest = back(g, one, w, None, None, m, s, True, ctx.eps, ctx.asked)
            into.copy_(part)
            found.append(rest)
        gweight, gbias = (_together(parts, weight) for parts in zip(*found, strict=True))
        return gx, None, gweight, gbias, None, None


def _each(learned: Tensor | None, steps: int) -> list[Any]:
    """Of each step."""
    return list(learned) if learned is not None and learned.dim() == 2 else [learned] * steps


def _together(parts: Sequence[Tensor | None], like: Tensor) -> Tensor | None:
    """Gradients of the steps: beside each other, or added up as the last step's comes first, the way autograd does."""
    given = [part for part in parts if part is not None]
    if not given:
        return None
    return torch.stack(given) if like.dim() == 2 else functools.reduce(torch.add, reversed(given))


def _cut(x: Tensor, steps: int) -> Tensor:
    return x.unflatten(0, (steps, -1))


class BatchNormThroughTime(nn.Module):
    """y(t) = λ(t) (x(t) - μ(t)) / sqrt(σ²(t) + ε), statistics over B, H, W, no β: T batch norms in one.

    Where several processes train together the steps lie beside the channels, (B, T·C, H, W): one call serves all.
    """

    def __init__(self, channels: int, timesteps: int, eps: float, momentum: float) -> None:
        super().__init__()
        self.timesteps = timesteps
        self.norm = JointBatchNorm(timesteps * channels, eps, momentum)
        self.norm.bias = None  # type: ignore[assignment]

    def forward(self, x: Tensor) -> Tensor:
        if self.training and not synchronised.needed():
            return self._alone(x)
        steps = _cut(x, self.timesteps).transpose(0, 1)
        y = self.norm(steps.flatten(1, 2)).view_as(steps).transpose(0, 1)
        return y.flatten(0, 1).contiguous(memory_format=torch.channels_last)

    def _alone(self, x: Tensor) -> Tensor:
        norm = self.norm
        assert norm.running_mean is not None and norm.running_var is not None and norm.num_batches_tracked is not None
        norm.num_batches_tracked.add_(1)
        mean, var, weight = (_cut(p, self.timesteps) for p in (norm.running_mean, norm.running_var, norm.weight))
        running = list(zip(mean, var, strict=True))
        return batch_norm_of_steps(x, running, weight, None, norm.momentum or 0.0, norm.eps)


@dataclass(frozen=True)
class BNTT:
    """Batch norm through time (Kim and Panda 2021), with the ε of the cited code."""

    eps: float = 1e-4
    momentum: float = 0.1

    def build(self, channels: int, timesteps: int, v_th: float, branches: int) -> nn.Module:
        return BatchNormThroughTime(channels, timesteps, self.eps, self.momentum)


class BatchNormOfEachStep(JointBatchNorm):
    """BN called once a timestep: statistics of that step alone while training, running ones that all steps share."""

    carries = True

    def __init__(self, channels: int, timesteps: int, eps: float, momentum: float) -> None:
        super().__init__(channels, eps, momentum)
        self.timesteps = timesteps

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        steps = carried.steps(self.timesteps)
        assert self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None
        self.num_batches_tracked.add_(steps)
        running = [(self.running_mean, self.running_var)] * steps
        return batch_norm_of_steps(input, running, self.weight, self.bias, self.momentum or 0.0, self.eps)


@dataclass(frozen=True)
class OfEachStep:
    """As a network calls BN that is shown one step after another (PLIF)."""

    eps: float = 1e-5
    momentum: float = 0.1

    def build(self, channels: int, timesteps: int, v_th: float, branches: int) -> nn.Module:
        return BatchNormOfEachStep(channels, timesteps, self.eps, self.momentum)


class _OverRoot(torch.autograd.Function):
    """(x (P·n, C, H, W), λ (C,)) -> λ x / sqrt(m + ε), and m (P, C), the mean of x² of each period."""

    @staticmethod
    def forward(ctx, x, weight, periods, eps):  # type: ignore[override]
        steps = _cut(x, periods)
        moment = torch.linalg.vector_norm(steps, dim=(1, 3, 4)).square() / (steps[0].numel() // x.shape[1])
        r = torch.rsqrt(moment + eps)
        ctx.save_for_backward(x, weight, r)
        ctx.mark_non_differentiable(moment)
        return (steps * _spread(weight * r)).flatten(0, 1), moment

    @staticmethod
    @once_differentiable
    def backward(ctx, gy, _):  # type: ignore[override]
        x, weight, r = ctx.saved_tensors
        steps, g = _cut(x, len(r)), _cut(gy, len(r))
        along, values = (g * steps).sum((1, 3, 4)), steps[0].numel() // x.shape[1]
        gx = steps * _spread(-along * weight * r**3 / values)  # by way of the moment
        return gx.addcmul_(g, _spread(weight * r)).flatten(0, 1), (along * r).sum(0), None, None


def _spread(features: Tensor) -> Tensor:
    """(P, C) -> along steps (P, n, C, H, W)."""
    return features[:, None, :, None, None]


class SecondMomentNorm(nn.Module):
    """y = λ x / sqrt(m + ε), m the mean of x² over B, H, W, of each step (`periods` = T), or of all (`periods` = 1)."""

    running_moment: Tensor

    def __init__(self, channels: int, periods: int, eps: float, momentum: float) -> None:
        super().__init__()
        self.periods, self.eps, self.momentum = periods, eps, momentum
        self.weight = nn.Parameter(torch.ones(channels))
        self.register_buffer("running_moment", torch.ones(periods, channels))

    def forward(self, x: Tensor) -> Tensor:
        if self.training and not synchronised.needed():
            y, moment = _OverRoot.apply(x, self.weight, self.periods, self.eps)  # type: ignore[misc]
            self._keep(moment)
            return y
        steps = _cut(x, self.periods)
        moment = self.moment(steps) if self.training else self.running_moment
        scale = self.weight / torch.sqrt(moment + self.eps)
        return (steps * _spread(scale)).flatten(0, 1)

    def moment(self, steps: Tensor) -> Tensor:
        """Of the batch, (periods, C), over all processes; the running moment moves towards it."""
        beside = steps.square().transpose(0, 1).flatten(1, 2)
        moment = synchronised.mean_var(beside)[0].view_as(self.running_moment)
        self._keep(moment)
        return moment

    @torch.no_grad()
    def _keep(self, moment: Tensor) -> None:
        self.running_moment.lerp_(moment.to(self.running_moment.dtype), self.momentum)


@dataclass(frozen=True)
class SecondMoment:
    """The postsynaptic potential over the root of its second raw moment, in the style of PSP-BN (Ikegawa et al. 2022).

    The published formula was not to be had: root, λ without β, and moments kept step by step are ours.
    """

    per_step: bool = True
    eps: float = 1e-5
    momentum: float = 0.1

    def build(self, channels: int, timesteps: int, v_th: float, branches: int) -> nn.Module:
        return SecondMomentNorm(channels, timesteps if self.per_step else 1, self.eps, self.momentum)
