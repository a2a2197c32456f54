"""A method is a frozen bundle of parts; an architecture is a function that wires them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import torch
from torch import Tensor, nn

from baselines.parts.after import After, Followed
from baselines.parts.moments import Moments
from baselines.parts.neurons import LIF, Neuron, Place
from baselines.parts.normalisations import BatchNorm, Normalisation
from baselines.parts.readout import CrossEntropyOfMean, MeanOverTime, Repeat
from baselines.parts.schedule import Evolving
from baselines.parts.surrogates import Surrogate
from baselines.parts.synapse import Plain, Synapse
from baselines.parts.tempering import Retempered
from baselines.parts.volume import VolumeConv2d
from baselines.parts.wiring import AddThenFire, Wiring
from baselines.procedures.bptt import BPTT
from baselines.procedures.procedure import Procedure

Shape: TypeAlias = tuple[int, int, int]
"""One frame: (C, H, W)."""


@dataclass(frozen=True, kw_only=True)
class Method:
    """How a network normalises, spikes and learns. The defaults are the paper's baseline.

    A variant is ``dataclasses.replace(VANILLA, normalisation=TdBN())``. `surrogate` None takes the recipe's.
    """

    description: str = ""
    encoder: Callable[[Tensor, int], Tensor] = field(default_factory=Repeat)
    synapse: Synapse = field(default_factory=Plain)
    normalisation: Normalisation = field(default_factory=BatchNorm)
    neuron: Neuron = LIF
    surrogate: Surrogate | Evolving | Retempered | None = None
    after: After | None = None
    wiring: Wiring = field(default_factory=AddThenFire)
    readout: Callable[[Tensor], Tensor] = field(default_factory=MeanOverTime)
    objective: Callable[[Tensor, Tensor], Tensor] = field(default_factory=CrossEntropyOfMean)
    penalty: Callable[[Sequence[Moments]], Tensor] | None = None
    """What the potentials of a training step add to the objective, from the moments of every layer of neurons."""
    procedure: Procedure = field(default_factory=BPTT)


class ConvNorm(nn.Module):
    """A convolution and the normalisation after it: what folds into one convolution for inference."""

    leaves_norm = False
    """Whether, in training, the neurons that follow normalise along with charging (`baselines/one_pass.py`)."""

    def __init__(self, conv: nn.Module, norm: nn.Module) -> None:
        super().__init__()
        self.conv, self.norm = conv, norm

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        y = y.float() if y.dtype == torch.bfloat16 else y
        if not (self.leaves_norm and self.training):
            return self.norm(y)
        y.left_to_neurons = self.norm
        return y


@dataclass(frozen=True, kw_only=True)
class Parts:
    """A method's parts, ready to be wired: what an architecture is given to build with."""

    method: Method
    timesteps: int
    surrogate: Surrogate

    def conv_norm(
        self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, *, bias: bool = False, branches: int = 1
    ) -> ConvNorm:
        """Convolution (padding kernel // 2) and normalisation; `branches` paths are summed after it."""
        conv = self.method.synapse.convolution(inputs, outputs, kernel, stride, bias=bias)
        if isinstance(conv, VolumeConv2d):
            conv.timesteps = self.timesteps
        v_th = self.method.neuron.v_th
        return ConvNorm(conv, self.method.normalisation.build(outputs, self.timesteps, v_th, branches))

    def norm(self, channels: int, *, branches: int = 1) -> ConvNorm:
        """A normalisation that no convolution precedes; it folds into a 1x1 convolution a channel."""
        v_th = self.method.neuron.v_th
        return ConvNorm(nn.Identity(), self.method.normalisation.build(channels, self.timesteps, v_th, branches))

    def neuron(self, shape: Shape, place: Place = "map") -> nn.Module:
        """A layer of neurons over frames of `shape`, and what follows it."""
        neuron = self.method.neuron.build(shape, self.timesteps, self.surrogate)
        neuron.place = place
        after = self.method.after.build(shape, self.timesteps, place) if self.method.after else None
        return neuron if after is None else Followed(neuron, after)


Architecture: TypeAlias = Callable[[Parts, Shape, int, float], nn.Module]
"""(parts, input shape, classes, width multiplier) -> a module (T·B, C, H, W) -> (T·B, classes)."""
