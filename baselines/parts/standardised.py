"""Scaled weight standardisation: a convolution that needs no normalisation after it (Brock et al. 2021; OTTT)."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from baselines.parts import carried
from baselines.parts.convolution import conv2d


class Made(NamedTuple):
    """Standardised weights, and what their way back needs."""

    w: Tensor
    """g c r."""
    c: Tensor
    """The weights less their mean, a filter each."""
    r: Tensor
    """1 / sqrt(var · fan-in + 1e-4), a filter each."""


def standardise(weight: Tensor, gain: Tensor) -> Made:
    """Three passes over the weights; `torch.var_mean` takes channels-last ones a number at a time."""
    n = weight[0].numel()
    c = weight - weight.mean((1, 2, 3), keepdim=True)
    squares = torch.linalg.vector_norm(c, dim=(1, 2, 3), keepdim=True).square()
    r = torch.rsqrt(squares * (n / (n - 1)) + 1e-4)
    return Made(c * (gain * r), c, r)


class _Standardised(torch.autograd.Function):
    """(weight, gain, what was made of them) -> w, with ∂w/∂weight = g r (1 - mean - c cᵀ r² n/(n-1))."""

    @staticmethod
    def forward(ctx, weight, gain, made):  # type: ignore[override]
        ctx.save_for_backward(gain, made.c, made.r)
        return made.w.detach()

    @staticmethod
    @once_differentiable
    def backward(ctx, g):  # type: ignore[override]
        gain, c, r = ctx.saved_tensors
        n, along = c[0].numel(), (g * c).sum((1, 2, 3), keepdim=True)
        back = g - g.mean((1, 2, 3), keepdim=True)
        back.addcmul_(c, along * r.square() * (n / (n - 1)), value=-1)
        return back.mul_(gain * r), along * r, None


class StandardisedConv2d(nn.Conv2d):
    """Convolves with w = g (w - mean) / sqrt(var · fan-in + 1e-4), mean and var of each filter, g one gain a filter.

    Raises ValueError for filters of one weight, which have no variance.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        if inputs * kernel**2 == 1:
            raise ValueError("filters of a single weight cannot be standardised: use a larger width")
        super().__init__(inputs, outputs, kernel, stride, kernel // 2)
        self.gain = nn.Parameter(torch.ones(outputs, 1, 1, 1))

    def standardised(self) -> Tensor:
        """Within a walk computed once, as long as the weights stay; the way back goes through it at every step."""
        if carried.walking() and torch.is_grad_enabled():
            state = (self.weight._version, self.gain._version)
            made = carried.noted(self, state, self._made)
        else:
            made = self._made()
        return _Standardised.apply(self.weight, self.gain, made)  # type: ignore[return-value]

    @torch.no_grad()
    def _made(self) -> Made:
        return standardise(self.weight, self.gain)

    def forward(self, input: Tensor) -> Tensor:
        geometry: Any = (self.stride, self.padding, self.dilation, self.groups)
        return conv2d(input, self.standardised(), self.bias, geometry)

    def plain(self) -> nn.Conv2d:
        """An ordinary convolution with the standardised weights: what inference uses."""
        conv = nn.utils.skip_init(
            nn.Conv2d,
            self.in_channels,
            self.out_channels,
            self.kernel_size,
            self.stride,
            self.padding,
            device=self.weight.device,
            dtype=self.weight.dtype,
        )
        assert isinstance(conv, nn.Conv2d) and conv.bias is not None and self.bias is not None
        conv.requires_grad_(False)
        conv.weight.copy_(self.standardised())
        conv.bias.copy_(self.bias)
        return conv
