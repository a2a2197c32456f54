"""How a residual block is wired: what is added to what, and whether spikes or currents travel between blocks.

A wiring builds the blocks of every residual architecture, and says what ends the stem, begins the tail, and becomes of
a shortcut that changes the shape. In a network without shortcuts it has no part.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from torch import Tensor, nn

from baselines.parts.dropout import DropoutOverTime
from baselines.parts.normalisations import Normalisation, TdBN

if TYPE_CHECKING:
    from baselines.method import Parts, Shape


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A block of two convolutions from maps of shape `source` to maps of `shape`, as an architecture wants it."""

    source: Shape
    shape: Shape
    strides: tuple[int, int] = (1, 1)
    bias: bool = False
    dropout: tuple[float, float] = (0.0, 0.0)
    """After its first layer of neurons and after its second."""

    @property
    def middle(self) -> Shape:
        """Of the maps between the convolutions."""
        return self.shape if self.strides[1] == 1 else (self.shape[0], *self.source[1:])

    def convolution(self, parts: Parts, number: int, branches: int = 1) -> nn.Module:
        inputs, outputs = (self.source[0], self.shape[0])[number], self.shape[0]
        return parts.conv_norm(inputs, outputs, stride=self.strides[number], bias=self.bias, branches=branches)

    def dropouts(self, parts: Parts) -> tuple[nn.Module, nn.Module]:
        first, second = (DropoutOverTime(p, parts.timesteps) if p else nn.Identity() for p in self.dropout)
        return first, second


class Wiring(Protocol):
    """Whoever inherits from it has the paper's stem and shortcuts, and changes what differs."""

    branches: int
    """Paths that are summed where a block ends, before a neuron."""

    def block(self, parts: Parts, plan: Plan, shortcut: nn.Module) -> nn.Module: ...

    def within(self, parts: Parts) -> Parts:
        """What blocks and their shortcuts are built of, in a network of `parts`."""
        return parts

    def shortcut(self, parts: Parts, shape: Shape, path: nn.Module) -> nn.Module:
        """What becomes of a `path` of convolution and norm, or norm alone, that ends in currents of `shape`."""
        return path

    def ends_stem(self, parts: Parts, shape: Shape) -> list[nn.Module]:
        """What follows the last norm of a stem."""
        return [parts.neuron(shape)]

    def begins_tail(self, parts: Parts, shape: Shape) -> list[nn.Module]:
        """What follows the last block."""
        return []


# --- conv, norm, add, fire --------------------------------------------------------------------------------------------


class BasicBlock(nn.Module):
    """Two convolutions and a shortcut, summed before the second neuron: spikes in, spikes out."""

    norms_into_neurons = (("conv1", "neuron1"),)
    """Norms that go straight into neurons."""

    def __init__(self, parts: Parts, plan: Plan, shortcut: nn.Module, branches: int = 2) -> None:
        super().__init__()
        self.conv1 = plan.convolution(parts, 0)
        self.neuron1 = parts.neuron(plan.middle, "inside")
        self.conv2 = plan.convolution(parts, 1, branches=branches)
        self.shortcut = shortcut
        self.neuron2 = parts.neuron(plan.shape)
        self.dropout1, self.dropout2 = plan.dropouts(parts)

    def forward(self, x: Tensor) -> Tensor:
        s = self.dropout1(self.neuron1(self.conv1(x)))
        return self.dropout2(self.neuron2(self.conv2(s) + self.shortcut(x)))


@dataclass(frozen=True)
class AddThenFire(Wiring):
    """The paper's: currents are added, and fire together."""

    branches: int = 2

    def block(self, parts: Parts, plan: Plan, shortcut: nn.Module) -> nn.Module:
        return BasicBlock(parts, plan, shortcut)


@dataclass(frozen=True)
class NormalisedBlocks(AddThenFire):
    """Of a normalisation of their own, while the stem keeps the method's (InfLoR-SNN: tdBN).

    Where a block adds the bare input, that does not count as a branch.
    """

    normalisation: Normalisation = field(default_factory=TdBN)

    def within(self, parts: Parts) -> Parts:
        return replace(parts, method=replace(parts.method, normalisation=self.normalisation))

    def block(self, parts: Parts, plan: Plan, shortcut: nn.Module) -> nn.Module:
        learns = any(True for _ in shortcut.parameters())
        return BasicBlock(parts, plan, shortcut, branches=2 if learns else 1)


# --- conv, norm, fire, add (SEW) --------------------------------------------------------------------------------------


class AddAfterBlock(nn.Module):
    """The shortcut is added to the spikes of the second neuron. Small whole numbers in and out."""

    norms_into_neurons = (("conv1", "neuron1"), ("conv2", "neuron2"))

    def __init__(self, parts: Parts, plan: Plan, shortcut: nn.Module) -> None:
        super().__init__()
        self.conv1 = plan.convolution(parts, 0)
        self.neuron1 = parts.neuron(plan.middle, "inside")
        self.conv2 = plan.convolution(parts, 1)
        self.neuron2 = parts.neuron(plan.shape)
        self.shortcut = shortcut
        self.dropout1, self.dropout2 = plan.dropouts(parts)

    def forward(self, x: Tensor) -> Tensor:
        s = self.dropout1(self.neuron1(self.conv1(x)))
        return self.dropout2(self.neuron2(self.conv2(s))) + self.shortcut(x)


@dataclass(frozen=True)
class AddAfter(Wiring):
    """Spikes are added after they were fired; a shortcut that computes something has neurons of its own."""

    branches: int = 1

    def block(self, parts: Parts, plan: Plan, shortcut: nn.Module) -> nn.Module:
        return AddAfterBlock(parts, plan, shortcut)

    def shortcut(self, parts: Parts, shape: Shape, path: nn.Module) -> nn.Module:
        return nn.Sequential(path, parts.neuron(shape, "shortcut"))


# --- fire, conv, norm, add (MS-ResNet) --------------------------------------------------------------------------------


class PreActivationBlock(nn.Module):
    """Neuron, convolution, norm, twice; what is added, and travels on, are currents, not spikes."""

    norms_into_neurons = (("conv1", "neuron2"),)

    def __init__(self, parts: Parts, plan: Plan, shortcut: nn.Module) -> None:
        super().__init__()
        self.neuron1 = parts.neuron(plan.source)
        self.conv1 = plan.convolution(parts, 0)
        self.neuron2 = parts.neuron(plan.middle, "inside")
        self.conv2 = plan.convolution(parts, 1, branches=2)
        self.shortcut = shortcut
        self.dropout1, self.dropout2 = plan.dropouts(parts)

    def forward(self, x: Tensor) -> Tensor:
        s = self.dropout1(self.neuron1(x))
        return self.conv2(self.dropout2(self.neuron2(self.conv1(s)))) + self.shortcut(x)


@dataclass(frozen=True)
class PreActivation(Wiring):
    """Currents are added and travel on; the neurons stand before the convolutions, the stem's behind the last block."""

    branches: int = 2

    def block(self, parts: Parts, plan: Plan, shortcut: nn.Module) -> nn.Module:
        return PreActivationBlock(parts, plan, shortcut)

    def ends_stem(self, parts: Parts, shape: Shape) -> list[nn.Module]:
        return []

    def begins_tail(self, parts: Parts, shape: Shape) -> list[nn.Module]:
        return [parts.neuron(shape)]
