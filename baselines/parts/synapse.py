"""The synapses: what a convolution or a linear layer of a network is built as."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import nn

from baselines.parts.convolution import Conv2d


class Synapse(Protocol):
    def convolution(self, inputs: int, outputs: int, kernel: int, stride: int, *, bias: bool) -> nn.Module:
        """(T·B, inputs, H, W) -> (T·B, outputs, H / stride, W / stride), padded by kernel // 2."""
        ...

    def linear(self, inputs: int, outputs: int, *, bias: bool) -> nn.Module:
        """(T·B, inputs) -> (T·B, outputs)."""
        ...


@dataclass(frozen=True)
class Plain:
    """One free weight each."""

    def convolution(self, inputs: int, outputs: int, kernel: int, stride: int, *, bias: bool) -> nn.Conv2d:
        return Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=bias)

    def linear(self, inputs: int, outputs: int, *, bias: bool) -> nn.Linear:
        return nn.Linear(inputs, outputs, bias=bias)
