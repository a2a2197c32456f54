"""Online training's synapses: a weight learns from the trace of its input, which is all that is left of earlier steps.

The value is that of the input; the gradient of weight and bias is taken at the trace a(t) = λ a(t-1) + x(t), that of
the input at x(t). Outside a walk, and where no gradient is wanted, they are ordinary layers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.parts import carried
from baselines.parts.convolution import conv2d
from baselines.parts.neurons import Place
from baselines.parts.standardised import StandardisedConv2d

Operation = Callable[[Tensor, Tensor, Tensor | None], Tensor]
"""Input, weight, bias -> output."""


def traced(
    layer: nn.Module, decay: float | None, x: Tensor, weight: Tensor, bias: Tensor | None, apply: Operation
) -> Tensor:
    """apply(x, weight, bias), with the gradients said above; `layer` remembers the trace.

    `decay` None: what it receives is analog, and it learns from that of the step alone.
    """
    if decay is None or not carried.walking() or not torch.is_grad_enabled():
        return apply(x, weight, bias)
    (a,) = carried.recall(layer) or (torch.zeros_like(x),)
    a = decay * a + x.detach()
    carried.remember(layer, a)
    of_trace = apply(a, weight, bias)
    constant = None if bias is None else bias.detach()
    return apply(x, weight.detach(), constant) + (of_trace - of_trace.detach())


class TracedConv2d(StandardisedConv2d):
    """With scaled weight standardisation, as OTTT has it in the place of a normalisation."""

    decay: float | None = 0.5

    def forward(self, input: Tensor) -> Tensor:
        def apply(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
            return conv2d(x, weight, bias, (self.stride, self.padding, self.dilation, self.groups))  # type: ignore[arg-type]

        return traced(self, self.decay, input, self.standardised(), self.bias, apply)


class TracedLinear(nn.Linear):
    decay: float | None = 0.5

    def forward(self, input: Tensor) -> Tensor:
        return traced(self, self.decay, input, self.weight, self.bias, F.linear)


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
