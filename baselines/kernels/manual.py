"""The recurrence and its adjoint in torch's own operations: any device, float32 or float64, no compiler."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from baselines.kernels.recurrence import Recurrence, Rule

NAME = "hand-written backward in torch operations"


def forward(
    recurrence: Recurrence, x: Tensor, lam: Tensor | None, beta: Tensor | None
) -> tuple[Tensor, Tensor, None, Tensor, Tensor]:
    """Spikes are not kept: `backward` compares again. Bytes would cost more than all the rest of a step."""
    u, s = torch.empty_like(x), torch.empty_like(x)
    mean, var = x.new_empty(2, len(x), 0 if lam is None else x.shape[2]).unbind()
    carried = None
    for t in range(len(x)):
        u[t].copy_(x[t]) if carried is None else torch.add(x[t], carried, alpha=recurrence.tau, out=u[t])
        if lam is not None:
            mean[t] = u[t].mean(0)
            var[t] = (u[t] - mean[t]).square_().mean(0)
        z, _ = _normalised(u[t], mean[t], var[t], lam, beta, recurrence)
        torch.gt(z, recurrence.v_th, out=s[t])
        carried = _silent(z if recurrence.normalised else u[t], s[t])
    return s, u, None, mean, var


def backward(
    recurrence: Recurrence,
    gs: Tensor,
    u: Tensor,
    b: Tensor | None,
    lam: Tensor | None,
    beta: Tensor | None,
    mean: Tensor,
    var: Tensor,
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    gx = torch.empty_like(u)
    glam, gbeta = (None, None) if lam is None else (torch.zeros_like(lam), torch.zeros_like(lam))
    for t in reversed(range(len(u))):
        z, h = _normalised(u[t], mean[t], var[t], lam, beta, recurrence)
        gz, kept = gs[t], None
        if t < len(u) - 1:
            gv = gx[t + 1]  # times τ: dL/dv(t)
            if not recurrence.detach:
                gz = torch.addcmul(gz, gv, z if recurrence.normalised else u[t], value=-recurrence.tau)
            kept = _silent(gv, torch.gt(z, recurrence.v_th, out=torch.empty_like(z)))
        gz = _through_the_surrogate(gz, z, recurrence)
        if kept is not None and recurrence.normalised:
            gz = gz.add_(kept, alpha=recurrence.tau)
            kept = None
        if lam is None or glam is None or gbeta is None:
            gu = gz
        else:
            gbeta += (straight := gz.sum(0))
            glam += (slanted := (gz * h).sum(0))
            slope, rows = lam * torch.rsqrt(var[t] + recurrence.eps), len(gz)
            gu = torch.addcmul(straight / -rows, h, slanted / -rows).add_(gz).mul_(slope)
        gx[t].copy_(gu) if kept is None else torch.add(gu, kept, alpha=recurrence.tau, out=gx[t])
    return gx, glam, gbeta


def _normalised(
    u: Tensor, mean: Tensor, var: Tensor, lam: Tensor | None, beta: Tensor | None, recurrence: Recurrence
) -> tuple[Tensor, Tensor]:
    """z and the standardised u; forward and backward must round alike, since both compare z with V."""
    if lam is None or beta is None:
        return u, u
    invstd = torch.rsqrt(var + recurrence.eps)
    h = torch.addcmul(-mean * invstd, u, invstd)
    return torch.addcmul(beta, h, lam), h


def _silent(carried: Tensor, s: Tensor) -> Tensor:
    """carried · (1 - s), exactly, in one operation."""
    return torch.addcmul(carried, carried, s, value=-1)


def _through_the_surrogate(g: Tensor, z: Tensor, recurrence: Recurrence) -> Tensor:
    """g · ds/dz, a new tensor. The window's edges belong to it; torch's operation leaves them out."""
    low, high = (
        math.nextafter(edge, direction) if z.dtype == torch.float64 else _next_float32(edge, direction)
        for edge, direction in ((recurrence.v_th - 0.5, -math.inf), (recurrence.v_th + 0.5, math.inf))
    )
    inside = torch.ops.aten.hardtanh_backward(g, z, low, high)
    if recurrence.k == 0:
        return inside
    slope = torch.tanh(recurrence.k * (z - recurrence.v_th)).square_().neg_().add_(1)
    return inside.mul_(slope).mul_(recurrence.k / (2 * math.tanh(recurrence.k / 2)))


def _next_float32(edge: float, direction: float) -> float:
    return torch.nextafter(torch.tensor(edge), torch.tensor(direction)).item()


def infer(recurrence: Recurrence, x: Tensor, rule: Rule) -> Tensor:
    s, v = torch.empty_like(x), None
    for t in range(len(x)):
        u = x[t] if v is None else torch.add(x[t], v, alpha=recurrence.tau)
        z = u if rule.slope is None else u * rule.slope if rule.mean is None else (u - rule.mean) * rule.slope
        if rule.shift is not None:
            z = z + rule.shift
        fired = z > rule.threshold
        s[t].copy_(fired)
        if t < len(x) - 1:
            v = (z if recurrence.normalised else u) * (1 - s[t])
    return s
