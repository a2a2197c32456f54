"""Batch statistics over the samples of all processes that train one network together.

Every normalisation takes its statistics through `batch_norm`. Alone it is torch's, to the bit. In a process group of
torch.distributed it computes what one process would compute from the whole batch, its gradients included; the
processes may hold unequal numbers of samples, even none. A hook that averages gradients must leave these alone:
those of λ and β are the process's own part, to be summed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F


class ProcessLost(ConnectionError):
    """Another process of the group is gone, or cannot be reached any more."""


def needed() -> bool:
    """Whether there are other processes whose samples belong to the same batch."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def collect(collective: Callable[..., dist.Work | None], tensors: Tensor | list[Tensor], *arguments: Any) -> None:
    """Do one of torch.distributed's collective operations. Raises ProcessLost."""
    first = tensors[0] if isinstance(tensors, list) else tensors
    try:
        work = collective(tensors, *arguments, async_op=True)
        assert work is not None, "this process belongs to the group"
        if first.is_cuda or not _waits:  # a GPU's queue waits, not we
            work.wait()
        else:
            _waits[-1](work)
    except RuntimeError as error:
        raise ProcessLost(str(error).partition("\n")[0]) from error


def wait_by(wait: Callable[[dist.Work], None]) -> None:
    """From now on `wait` waits for the others, and may give up: torch's own way ends with them, or at its timeout."""
    _waits.append(wait)


_waits: list[Callable[[dist.Work], None]] = []


def batch_norm(
    x: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    momentum: float,
    eps: float,
) -> Tensor:
    """λ (x - μ) / sqrt(σ² + ε) + β with the statistics of the batch, features along dimension 1 of `x`.

    Updates the running statistics, in place; σ² enters them unbiased. Raises ProcessLost; ValueError for a batch of
    one value a feature, though not in a group, where asking a GPU would make it wait: there σ² becomes NaN.
    """
    if not needed():
        return F.batch_norm(x, running_mean, running_var, weight, bias, True, momentum, eps)
    bias = torch.zeros_like(weight) if bias is None else bias
    y, mean, unbiased = _SynchronisedBatchNorm.apply(x, weight, bias, eps)  # type: ignore[misc]
    with torch.no_grad():
        running_mean.lerp_(mean.to(running_mean.dtype), momentum)
        running_var.lerp_(unbiased.to(running_var.dtype), momentum)
    return y


def mean_var(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and biased variance of the batch, features along dimension 1 of `x`. Raises ProcessLost."""
    if not needed():
        var, mean = torch.var_mean(x, _others(x), correction=0)
        return mean, var
    return _SynchronisedMoments.apply(x)  # type: ignore[return-value]


def largest(x: Tensor) -> Tensor:
    """Of the whole batch, a scalar; its gradient is shared among all that are as large. Raises ProcessLost."""
    return _SynchronisedLargest.apply(x) if needed() else x.max()  # type: ignore[return-value]


class _SynchronisedLargest(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):  # type: ignore[override]
        found = x.max() if x.numel() else x.new_full((), -torch.inf)
        collect(dist.all_reduce, found, dist.ReduceOp.MAX)
        ctx.save_for_backward(x == found)
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx, g):  # type: ignore[override]
        (reached,) = ctx.saved_tensors
        everyones = torch.stack([g.double(), reached.sum().double()])
        collect(dist.all_reduce, everyones)
        return reached * (everyones[0] / everyones[1]).to(g.dtype)


class _SynchronisedMoments(torch.autograd.Function):
    """x -> mean and variance over all processes; what flows back is the sum of what each makes of them."""

    @staticmethod
    def forward(ctx, x):  # type: ignore[override]
        count, mean, var = _over_all(*_moments(x))
        ctx.save_for_backward(x, mean, count)
        return mean.to(x.dtype), var.to(x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx, gmean, gvar):  # type: ignore[override]
        x, mean, count = ctx.saved_tensors
        everyones = torch.stack([gmean, gvar]).to(torch.float64, copy=True)
        collect(dist.all_reduce, everyones)
        gmean, gvar = (everyones / count).to(x.dtype)
        return _along(gmean, x) + 2 * _along(gvar, x) * (x - _along(mean.to(x.dtype), x))


class _SynchronisedBatchNorm(torch.autograd.Function):
    """(x, λ, β) -> y, and the mean and unbiased variance over all processes, in float64."""

    @staticmethod
    def forward(ctx, x, weight, bias, eps):  # type: ignore[override]
        wide = x.to(weight.dtype)  # activations may be bfloat16; sums never are
        count, mean, var = _over_all(*_moments(wide))
        centre, scale = mean.to(weight.dtype), torch.rsqrt(var + eps).to(weight.dtype)
        ctx.save_for_backward(x, weight, centre, scale, count)
        unbiased = var * (count / (count - 1))
        ctx.mark_non_differentiable(mean, unbiased)
        y = (wide - _along(centre, x)) * _along(scale * weight, x) + _along(bias, x)
        return y.to(x.dtype), mean, unbiased

    @staticmethod
    @once_differentiable
    def backward(ctx, gy, *_):  # type: ignore[override]
        x, weight, centre, scale, count = ctx.saved_tensors
        dims, gy = _others(x), gy.to(weight.dtype)
        normalised = (x.to(weight.dtype) - _along(centre, x)) * _along(scale, x)
        own = torch.stack([gy.sum(dims), (gy * normalised).sum(dims)])
        everyones = own.to(torch.float64, copy=True)
        collect(dist.all_reduce, everyones)
        straight, slanted = (everyones / count).to(weight.dtype)
        gx = (gy - _along(straight, x) - normalised * _along(slanted, x)) * _along(scale * weight, x)
        gbias, gweight = own.to(weight.dtype)
        return gx.to(x.dtype), gweight, gbias, None


def _moments(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of this process: values a feature (), their mean and their summed squares about it (features,), in float64."""
    values = x.numel() // x.shape[1]
    if values == 0:
        zero = x.new_zeros(x.shape[1], dtype=torch.float64)
        return zero.new_zeros(()), zero, zero
    var, mean = torch.var_mean(x, _others(x), correction=0)
    return mean.new_full((), values, dtype=torch.float64), mean.double(), var.double() * values


def _over_all(count: Tensor, mean: Tensor, squares: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Values a feature, mean and biased variance over all processes.

    The sums of squares are about each process's own mean and then moved to the common one (Chan et al. 1979), so
    nothing large is subtracted. All processes add in the same order and get the same bits.
    """
    own = torch.cat([count.view(1), mean, squares])
    everyones = [torch.empty_like(own) for _ in range(dist.get_world_size())]
    collect(dist.all_gather, everyones, own)
    table = torch.stack(everyones)
    counts = table[:, :1]
    means, sums = table[:, 1:].chunk(2, dim=1)
    total = counts.sum()
    common = (counts * means).sum(0) / total
    return total, common, (sums + counts * (means - common).square()).sum(0) / total


def _others(x: Tensor) -> list[int]:
    return [dim for dim in range(x.dim()) if dim != 1]


def _along(features: Tensor, x: Tensor) -> Tensor:
    """(features,) -> broadcastable along dimension 1 of `x`."""
    return features.view(-1, *[1] * (x.dim() - 2))
