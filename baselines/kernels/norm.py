"""A batch norm and neurons in C: `norm.c`, with MPBN `neuron.c`. Arrays (T, R, W), as in `recurrence.py`; float32."""

from __future__ import annotations

import torch
from torch import Tensor

from baselines.kernels import compiled
from baselines.kernels.recurrence import Recurrence


def moments(recurrence: Recurrence, x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and biased variance of each column of x (T, R, W), over steps and rows."""
    mean, var = x.new_empty(2, x.shape[2]).unbind()
    compiled.call("norm_moments", compiled.layer_of(recurrence, x, None), x, mean, var)
    return mean, var


def forward(
    recurrence: Recurrence, x: Tensor, slope: Tensor, shift: Tensor, lam: Tensor | None, beta: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """What `forward` gives for the currents slope · x + shift, each (W,). Without MPBN u is empty: it is not kept."""
    s, b = torch.empty_like(x), torch.empty_like(x, dtype=torch.uint8)
    layer, mean, var = (
        compiled.layer_of(recurrence, x, lam),
        *x.new_empty(2, len(x), 0 if lam is None else x.shape[2]).unbind(),
    )
    if lam is None:
        compiled.call("norm_forward", layer, x, slope, shift, s, b)
        return s, x.new_empty(0), b, mean, var
    u = torch.empty_like(x)
    compiled.call("normed_forward", layer, x, slope, shift, lam, beta, u, s, mean, var, b)
    return s, u, b, mean, var


def backward(
    recurrence: Recurrence,
    gs: Tensor,
    x: Tensor,
    slope: Tensor,
    shift: Tensor,
    centre: Tensor,
    u: Tensor,
    b: Tensor,
    lam: Tensor | None,
    beta: Tensor | None,
    mean: Tensor,
    var: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor | None]:
    """Gradient of the currents; its sums, plain and times x - centre (W,); those of λ and β."""
    gx, (added, slanted) = torch.empty_like(x), x.new_empty(2, x.shape[2]).unbind()
    layer = compiled.layer_of(recurrence, x, lam)
    if lam is None:
        compiled.call("norm_backward", layer, gs, x, slope, shift, centre, gx, added, slanted)
        return gx, added, slanted, None, None
    glam, gbeta = torch.empty_like(lam), torch.empty_like(lam)
    gradients = (gx, glam, gbeta, x, centre, added, slanted)
    compiled.call("normed_backward", layer, gs, u, b, lam, beta, mean, var, *gradients)
    return gx, added, slanted, glam, gbeta


def through(recurrence: Recurrence, x: Tensor, a: Tensor, b: Tensor, c: Tensor, gx: Tensor) -> None:
    """gx becomes a · gx + b · x + c, one a, b, c a column of x (T, R, W)."""
    compiled.call("norm_through", compiled.layer_of(recurrence, x, None), x, a, b, c, gx)
