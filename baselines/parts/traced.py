"""Online training's synapses: a weight learns from the trace of its input, which is all that is left of earlier steps.

The value is that of the input; the gradient of weight and bias is taken at the trace a(t) = λ a(t-1) + x(t), that of
the input at x(t). Outside a walk, and where no gradient is wanted, they are ordinary layers.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.parts import carried
from baselines.parts.convolution import conv2d
from baselines.parts.neurons import Place
from baselines.parts.standardised import StandardisedConv2d


def trace(layer: nn.Module, decay: float | None, x: Tensor) -> Tensor | None:
    """a(t), which `layer` remembers; None where it is not to learn from one.

    `decay` None: what it receives is analog, and it learns from that of the step alone.
    """
    if decay is None or not carried.walking() or not torch.is_grad_enabled():
        return None
    (a,) = carried.recall(layer) or (torch.zeros_like(x),)
    a = torch.add(x.detach(), a, alpha=decay)
    carried.remember(layer, a)
    return a


class TracedConv2d(StandardisedConv2d):
    """With scaled weight standardisation, as OTTT has it in the place of a normalisation."""

    decay: float | None = 0.5

    def forward(self, input: Tensor) -> Tensor:
        a, geometry = trace(self, self.decay, input), (self.stride, self.padding, self.dilation, self.groups)
        return conv2d(input, self.standardised(), self.bias, geometry, a)  # type: ignore[arg-type]


class TracedLinear(nn.Linear):
    decay: float | None = 0.5

    def forward(self, input: Tensor) -> Tensor:
        a = trace(self, self.decay, input)
        return super().forward(input) if a is None else linear(input, a, self.weight, self.bias)


def linear(x: Tensor, a: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Of x (B, …), with the gradients of weight and bias at `a`."""
    return _Linear.apply(x, a, weight, bias)  # type: ignore[return-value]


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, a, weight, bias):  # type: ignore[override]
        ctx.save_for_backward(a, weight)
        return F.linear(x, weight, bias)

    @staticmethod
    def backward(ctx, gy):  # type: ignore[override]
        a, weight = (kept.to(gy.dtype) for kept in ctx.saved_tensors)
        return gy @ weight, None, gy.t() @ a, gy.sum(0) if ctx.needs_input_grad[3] else None


@dataclass(frozen=True)
class Traced:
    """Convolutions with scaled weight standardisation and a bias, linear layers as the architecture has them."""

    def convolution(self, inputs: int, outputs: int, kernel: int, stride: int, *, bias: bool) -> TracedConv2d:
        return TracedConv2d(inputs, outputs, kernel, stride)

    def linear(self, inputs: int, outputs: int, *, bias: bool) -> TracedLinear:
        return TracedLinear(inputs, outputs, bias=bias)


class Gain(nn.Module):
    """y = c s."""

    def __init__(self, gain: float) -> None:
        super().__init__()
        self.gain = gain

    def forward(self, s: Tensor) -> Tensor:
        return s * self.gain


@dataclass(frozen=True)
class Amplified:
    """Spikes weigh `gain`, so that a standardised convolution of them has about unit variance."""

    gain: float = 2.74

    def build(self, shape: tuple[int, int, int], timesteps: int, place: Place) -> Gain:
        return Gain(self.gain)
