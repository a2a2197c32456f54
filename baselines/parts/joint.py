"""Two networks in one body, an ANN and an SNN that share the directions of their weights (Joint A-SNN).

Which of the two computes is said around a call (`as_ann`); without a word it is the SNN, which alone is there for
inference.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.parts.convolution import conv2d
from baselines.parts.neurons import LIF, Neuron, SpikingNeuron
from baselines.parts.normalisations import JointBatchNorm
from baselines.parts.per_step import BatchNormOfEachStep
from baselines.parts.surrogates import Surrogate

_ann: ContextVar[bool] = ContextVar("ann", default=False)


@contextmanager
def as_ann() -> Iterator[None]:
    """The ANN computes within: one step, rectified linear units."""
    token = _ann.set(True)
    try:
        yield
    finally:
        _ann.reset(token)


class SharedConv2d(nn.Module):
    """At each place of the kernel, W = U diag(σ) Vᵀ: U and V are shared, σ is the ANN's or the SNN's.

    They come of a weight ~ N(0, 2 / (k² C_out)), whose numbers the cited code takes in another order; so do we.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, padding: int) -> None:
        super().__init__()
        weight = nn.init.kaiming_normal_(torch.empty(outputs, inputs, kernel, kernel), mode="fan_out")
        self.inputs, self.outputs = inputs, outputs
        self.kernel, self.stride, self.padding = kernel, stride, padding
        self.factorise(weight)

    def factorise(self, weight: Tensor) -> None:
        """(C_out, C_in, k, k), read as (k, k, C_out, C_in)."""
        u, sigma, v = torch.linalg.svd(weight.reshape(self.kernel, self.kernel, *weight.shape[:2]), full_matrices=False)
        self.u, self.v = nn.Parameter(u.contiguous()), nn.Parameter(v.contiguous())
        self.sigma_ann, self.sigma_snn = nn.Parameter(sigma.clone()), nn.Parameter(sigma.clone())

    def weight_of(self, sigma: Tensor) -> Tensor:
        return (self.u * sigma.unsqueeze(-2) @ self.v).permute(2, 3, 0, 1)

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight_of(self.sigma_ann if _ann.get() else self.sigma_snn)
        return conv2d(x, weight, None, ((self.stride,) * 2, (self.padding,) * 2, (1, 1), 1))

    def plain(self) -> nn.Conv2d:
        """The SNN's, as an ordinary convolution."""
        like = self.u
        conv = nn.Conv2d(self.inputs, self.outputs, self.kernel, self.stride, self.padding, bias=False)
        conv.to(device=like.device, dtype=like.dtype).requires_grad_(False)
        conv.weight.copy_(self.weight_of(self.sigma_snn))
        return conv

    def extra_repr(self) -> str:
        return f"{self.inputs}, {self.outputs}, kernel={self.kernel}, stride={self.stride}"


class SharedLinear(nn.Linear):
    """Two weights, one bias."""

    def __init__(self, inputs: int, outputs: int, bias: bool) -> None:
        super().__init__(inputs, outputs, bias)
        self.weight_ann = nn.Parameter(self.weight.detach().clone())

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, self.weight_ann if _ann.get() else self.weight, self.bias)


@dataclass(frozen=True)
class Shared:
    """Convolutions without biases."""

    def convolution(self, inputs: int, outputs: int, kernel: int, stride: int, *, bias: bool) -> SharedConv2d:
        return SharedConv2d(inputs, outputs, kernel, stride, kernel // 2)

    def linear(self, inputs: int, outputs: int, *, bias: bool) -> SharedLinear:
        return SharedLinear(inputs, outputs, bias)


class NormOfEach(nn.Module):
    """One BN for the ANN; one for the SNN, called once a timestep, with running statistics that all steps share."""

    def __init__(self, channels: int, timesteps: int, eps: float, momentum: float) -> None:
        super().__init__()
        self.ann = JointBatchNorm(channels, eps, momentum)
        self.snn = BatchNormOfEachStep(channels, timesteps, eps, momentum)

    def forward(self, x: Tensor) -> Tensor:
        return self.ann(x) if _ann.get() else self.snn(x)


@dataclass(frozen=True)
class Apart:
    """See `NormOfEach`."""

    eps: float = 1e-5
    momentum: float = 0.1

    def build(self, channels: int, timesteps: int, v_th: float, branches: int) -> NormOfEach:
        return NormOfEach(channels, timesteps, self.eps, self.momentum)


class NeuronOfEach(nn.Module):
    """Rectified linear units, or the SNN's neurons."""

    def __init__(self, snn: SpikingNeuron) -> None:
        super().__init__()
        self.snn = snn

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "place":
            self.snn.place = value
        else:
            super().__setattr__(name, value)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x) if _ann.get() else self.snn(x)


@dataclass(frozen=True)
class Each:
    """See `NeuronOfEach`."""

    snn: Neuron = field(default=LIF)

    @property
    def v_th(self) -> float:
        return self.snn.v_th

    def build(self, shape: tuple[int, int, int], timesteps: int, surrogate: Surrogate) -> NeuronOfEach:
        return NeuronOfEach(self.snn.build(shape, timesteps, surrogate))


def begin_alike(module: nn.Module) -> None:
    """Linear layers of both begin with one weight, however it was drawn."""
    for layer in module.modules():
        if isinstance(layer, SharedLinear):
            layer.weight_ann.data.copy_(layer.weight.data)
