"""Residual networks: stems, blocks, shortcuts, and how they are strung together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from torch import Tensor, nn

from baselines.architectures._layers import DropoutOverTime, Head, Tail, halved, initialise, scaled
from baselines.method import ConvNorm, Parts, Shape
from baselines.parts.convolution import AvgPool2d

Stage: TypeAlias = tuple[int, int, int]
"""(channels before the width multiplier, blocks, stride of the first block)."""

Stem: TypeAlias = Callable[[Parts, Shape, int], tuple[list[nn.Module], Shape]]
"""(parts, input shape, channels) -> (layers, the shape of their output)."""

Shortcut: TypeAlias = Callable[[Parts, Shape, int, int], nn.Module]
"""(parts, shape of the block's output, channels of its input, stride) -> the path beside the block."""


class Block(Protocol):
    def __call__(self, parts: Parts, source: Shape, shape: Shape, stride: int, shortcut: nn.Module) -> nn.Module:
        """A block from maps of shape `source` to maps of `shape`, with the shortcut it is given."""
        ...


class BasicBlock(nn.Module):
    """Two convolutions and a shortcut, summed before the second neuron: spikes in, spikes out."""

    def __init__(
        self,
        parts: Parts,
        source: Shape,
        shape: Shape,
        stride: int,
        shortcut: nn.Module,
        *,
        bias: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        channels = shape[0]
        self.conv1 = parts.conv_norm(source[0], channels, stride=stride, bias=bias)
        self.neuron1 = parts.neuron(shape)
        self.conv2 = parts.conv_norm(channels, channels, bias=bias, branches=2)
        self.shortcut = shortcut
        self.neuron2 = parts.neuron(shape)
        self.dropout = DropoutOverTime(dropout, parts.timesteps) if dropout else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        s = self.dropout(self.neuron1(self.conv1(x)))
        return self.neuron2(self.conv2(s) + self.shortcut(x))


class AddAfterBlock(nn.Module):
    """SEW: the shortcut is added to the spikes of the second neuron. Small whole numbers in and out."""

    def __init__(self, parts: Parts, source: Shape, shape: Shape, stride: int, shortcut: nn.Module) -> None:
        super().__init__()
        channels = shape[0]
        self.conv1 = parts.conv_norm(source[0], channels, stride=stride)
        self.neuron1 = parts.neuron(shape)
        self.conv2 = parts.conv_norm(channels, channels)
        self.neuron2 = parts.neuron(shape)
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        return self.neuron2(self.conv2(self.neuron1(self.conv1(x)))) + self.shortcut(x)


class PreActivationBlock(nn.Module):
    """MS-ResNet: neuron, convolution, norm, twice; what is added, and travels on, are currents, not spikes."""

    def __init__(self, parts: Parts, source: Shape, shape: Shape, stride: int, shortcut: nn.Module) -> None:
        super().__init__()
        channels = shape[0]
        self.neuron1 = parts.neuron(source)
        self.conv1 = parts.conv_norm(source[0], channels, stride=stride)
        self.neuron2 = parts.neuron(shape)
        self.conv2 = parts.conv_norm(channels, channels, branches=2)
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(self.neuron2(self.conv1(self.neuron1(x)))) + self.shortcut(x)


def strided_shortcut(parts: Parts, shape: Shape, inputs: int, stride: int, *, bias: bool = False) -> nn.Module:
    """1x1 convolution with the stride, then normalisation."""
    return parts.conv_norm(inputs, shape[0], kernel=1, stride=stride, bias=bias, branches=2)


def averaged_shortcut(parts: Parts, shape: Shape, inputs: int, stride: int) -> nn.Module:
    """AvgDown: average pooling takes the stride, then a 1x1 convolution and normalisation."""
    pool = AvgPool2d(stride, stride, ceil_mode=True, count_include_pad=False)
    return nn.Sequential(pool, parts.conv_norm(inputs, shape[0], kernel=1, branches=2))


def spiking_shortcut(parts: Parts, shape: Shape, inputs: int, stride: int) -> nn.Module:
    """1x1 convolution with the stride, normalisation, and neurons of its own."""
    return nn.Sequential(parts.conv_norm(inputs, shape[0], kernel=1, stride=stride), parts.neuron(shape))


def bare(parts: Parts, shape: Shape, inputs: int, stride: int) -> nn.Module:
    """The input itself."""
    return nn.Identity()


def normalised(parts: Parts, shape: Shape, inputs: int, stride: int) -> nn.Module:
    """The input, normalised."""
    return parts.norm(shape[0], branches=2)


def linear_head(parts: Parts, shape: Shape, classes: int, width: float) -> list[nn.Module]:
    """Global average pool and one linear layer ~ N(0, 1 / C²)."""
    return [Head(shape[0], classes, std=1 / shape[0])]


def resnet(
    parts: Parts,
    shape: Shape,
    classes: int,
    width: float,
    *,
    stem: Stem,
    stem_channels: int,
    stages: Sequence[Stage],
    shortcut: Shortcut,
    identity: Shortcut = bare,
    block: Block = BasicBlock,
    tail: Tail = linear_head,
    initialise: Callable[[nn.Module], nn.Module] = initialise,
) -> nn.Module:
    """Stem, stages of blocks, tail. `shortcut` goes where a block changes the shape, `identity` where it does not."""
    layers, shape = stem(parts, shape, scaled(stem_channels, width))
    for channels, blocks, first_stride in stages:
        for stride in [first_stride] + [1] * (blocks - 1):
            source, shape = shape, (scaled(channels, width), *shape[1:])
            shape = halved(shape) if stride == 2 else shape
            unchanged = stride == 1 and source[0] == shape[0]
            path = (identity if unchanged else shortcut)(parts, shape, source[0], stride)
            layers.append(block(parts, source, shape, stride, path))
    return initialise(nn.Sequential(*layers, *tail(parts, shape, classes, width)))


def same_size_stem(
    convolutions: int, pool: bool, bias: bool = False, dropout: float = 0.0
) -> Callable[[Parts, Shape, int], tuple[list[nn.Module], Shape]]:
    """CIFAR stem: 3x3 convolutions at full resolution, each with norm and neuron, then an average pool or not.

    `dropout` lies between two convolutions.
    """

    def build(parts: Parts, shape: Shape, channels: int) -> tuple[list[nn.Module], Shape]:
        layers: list[nn.Module] = []
        for i in range(convolutions):
            if dropout and i:
                layers.append(DropoutOverTime(dropout, parts.timesteps))
            layers.append(parts.conv_norm(shape[0], channels, bias=bias))
            shape = (channels, *shape[1:])
            layers.append(parts.neuron(shape))
        if pool:
            layers.append(AvgPool2d(2))
            shape = (channels, shape[1] // 2, shape[2] // 2)
        return layers, shape

    return build


def imagenet_convolution(parts: Parts, shape: Shape, channels: int) -> tuple[ConvNorm, Shape]:
    """7x7 convolution of stride 2, and norm."""
    return parts.conv_norm(shape[0], channels, kernel=7, stride=2), halved((channels, *shape[1:]))


def imagenet_stem(parts: Parts, shape: Shape, channels: int) -> tuple[list[nn.Module], Shape]:
    """7x7 convolution of stride 2, norm, neuron, 3x3 average pool of stride 2 (torchvision pools by maximum)."""
    convolution, shape = imagenet_convolution(parts, shape, channels)
    return [convolution, parts.neuron(shape), AvgPool2d(3, 2, 1)], halved(shape)


def maximum_stem(parts: Parts, shape: Shape, channels: int) -> tuple[list[nn.Module], Shape]:
    """The same with a 3x3 maximum pool."""
    convolution, shape = imagenet_convolution(parts, shape, channels)
    return [convolution, parts.neuron(shape), nn.MaxPool2d(3, 2, 1)], halved(shape)


def current_stem(parts: Parts, shape: Shape, channels: int) -> tuple[list[nn.Module], Shape]:
    """7x7 convolution of stride 2 and norm: currents for pre-activation blocks, not pooled."""
    convolution, shape = imagenet_convolution(parts, shape, channels)
    return [convolution], shape
