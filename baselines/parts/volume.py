"""Convolutions over time as well as over the map: what a network of 3-D convolutions has in the place of a memory."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from baselines.parts.convolution import Conv2d


class VolumeConv2d(Conv2d):
    """y(t) = sum over d of W_d x(t + d), d from -(k // 2) to k // 2, x = 0 before the first step and after the last.

    A k x k x k convolution, as one of the map over the k frames beside each other. Its T is told by whoever builds it.
    """

    timesteps = 1

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, *, bias: bool) -> None:
        super().__init__(kernel * inputs, outputs, kernel, stride, kernel // 2, bias=bias)
        self.reach = kernel // 2

    def forward(self, input: Tensor) -> Tensor:
        if not self.reach:
            return super().forward(input)
        steps = input.unflatten(0, (self.timesteps, -1))
        nothing = torch.zeros_like(steps[:1]).expand(self.reach, *steps.shape[1:])
        padded = torch.cat([nothing, steps, nothing])
        beside = [padded[d : d + self.timesteps] for d in range(2 * self.reach + 1)]
        return super().forward(torch.cat(beside, 2).flatten(0, 1).contiguous(memory_format=torch.channels_last))


@dataclass(frozen=True)
class Volume:
    """As long in time as wide on the map."""

    def convolution(self, inputs: int, outputs: int, kernel: int, stride: int, *, bias: bool) -> VolumeConv2d:
        return VolumeConv2d(inputs, outputs, kernel, stride, bias=bias)

    def linear(self, inputs: int, outputs: int, *, bias: bool) -> nn.Linear:
        return nn.Linear(inputs, outputs, bias=bias)
