"""Rectified linear units for neurons, and layers without biases: the networks that conversions begin from."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from baselines.parts.convolution import Conv2d
from baselines.parts.neurons import Place
from baselines.parts.surrogates import Surrogate


class Rectified(nn.ReLU):
    """Of all timesteps at once: it has no memory."""

    place: Place = "map"


@dataclass(frozen=True)
class Rectifier:
    """y(t) = max(0, x(t))."""

    v_th: float = 1.0
    """What a threshold-dependent normalisation is scaled to."""

    def build(self, shape: tuple[int, int, int], timesteps: int, surrogate: Surrogate) -> Rectified:
        return Rectified()


@dataclass(frozen=True)
class Unbiased:
    """No layer has a bias, whatever its architecture says: then an activation scales as the input does."""

    def convolution(self, inputs: int, outputs: int, kernel: int, stride: int, *, bias: bool) -> nn.Conv2d:
        return Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)

    def linear(self, inputs: int, outputs: int, *, bias: bool) -> nn.Linear:
        return nn.Linear(inputs, outputs, bias=False)
