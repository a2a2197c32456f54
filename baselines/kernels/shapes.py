"""The back end of torch's meta device: shapes without numbers, to count what a training step keeps."""

from __future__ import annotations

import torch
from torch import Tensor

from baselines.kernels.recurrence import Recurrence, Rule

NAME = "shapes without numbers"


def forward(
    recurrence: Recurrence, x: Tensor, lam: Tensor | None, beta: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """What the fused kernels return, C and Triton alike."""
    u, s, b = torch.empty_like(x), torch.empty_like(x), torch.empty_like(x, dtype=torch.uint8)
    mean, var = x.new_empty(2, len(x), 0 if lam is None else x.shape[2]).unbind()
    return s, u, b, mean, var


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
    glam, gbeta = (None, None) if lam is None else (torch.empty_like(lam), torch.empty_like(lam))
    return torch.empty_like(u), glam, gbeta


def infer(recurrence: Recurrence, x: Tensor, rule: Rule) -> Tensor:
    return torch.empty_like(x)
