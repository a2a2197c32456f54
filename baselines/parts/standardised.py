"""Scaled weight standardisation: a convolution that needs no normalisation after it (Brock et al. 2021; OTTT)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from baselines.parts import carried
from baselines.parts.convolution import conv2d


def standardise(weight: Tensor, gain: Tensor) -> Tensor:
    var, mean = torch.var_mean(weight, dim=(1, 2, 3), keepdim=True)
    return gain * (weight - mean) / torch.sqrt(var * weight[0].numel() + 1e-4)


class _Again(torch.autograd.Function):
    """(weight, gain, (what was made of their like, that like)) -> the same again, with its gradients."""

    @staticmethod
    def forward(ctx, weight, gain, apart):  # type: ignore[override]
        ctx.made, *ctx.given = apart  # no inputs of this: their graph is another
        return ctx.made.detach()

    @staticmethod
    def backward(ctx, g):  # type: ignore[override]
        return *torch.autograd.grad(ctx.made, ctx.given, g, retain_graph=True), None


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
        if not (carried.walking() and torch.is_grad_enabled() and self.weight.requires_grad):
            return standardise(self.weight, self.gain)
        state = (self.weight._version, self.gain._version)
        return _Again.apply(self.weight, self.gain, carried.noted(self, state, self._apart))  # type: ignore[return-value]

    def _apart(self) -> tuple[Tensor, ...]:
        """What is standardised, and of what, in a graph of its own."""
        given = (self.weight.detach().requires_grad_(), self.gain.detach().requires_grad_())
        return (standardise(*given), *given)

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
