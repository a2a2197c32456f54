"""Residual networks of spiking BasicBlocks (conv-norm-add-neuron), as the released code wires them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from baselines.architectures._layers import Head, halved, initialise, scaled
from baselines.method import Parts, Shape

Stage = tuple[int, int, int]
"""(channels before the width multiplier, blocks, stride of the first block)."""


class BasicBlock(nn.Module):
    """Two convolutions and a shortcut, summed before the second neuron: spikes in, spikes out."""

    def __init__(self, parts: Parts, shape: Shape, inputs: int, stride: int, shortcut: nn.Module) -> None:
        super().__init__()
        channels = shape[0]
        self.conv1 = parts.conv_norm(inputs, channels, stride=stride)
        self.neuron1 = parts.neuron(shape)
        self.conv2 = parts.conv_norm(channels, channels, branches=2)
        self.shortcut = shortcut
        self.neuron2 = parts.neuron(shape)

    def forward(self, x: Tensor) -> Tensor:
        s = self.neuron1(self.conv1(x))
        return self.neuron2(self.conv2(s) + self.shortcut(x))


def strided_shortcut(parts: Parts, inputs: int, outputs: int, stride: int) -> nn.Module:
    """1x1 convolution with the stride, then normalisation."""
    return parts.conv_norm(inputs, outputs, kernel=1, stride=stride, branches=2)


def averaged_shortcut(parts: Parts, inputs: int, outputs: int, stride: int) -> nn.Module:
    """AvgDown: average pooling takes the stride, then a 1x1 convolution and normalisation."""
    pool = nn.AvgPool2d(stride, stride, ceil_mode=True, count_include_pad=False)
    return nn.Sequential(pool, parts.conv_norm(inputs, outputs, kernel=1, branches=2))


def resnet(
    parts: Parts,
    shape: Shape,
    classes: int,
    width: float,
    *,
    stem: Callable[[Parts, Shape, int], tuple[list[nn.Module], Shape]],
    stem_channels: int,
    stages: Sequence[Stage],
    shortcut: Callable[[Parts, int, int, int], nn.Module],
) -> nn.Module:
    """Stem, stages of BasicBlocks, global average pool, one linear layer. A shortcut of equal shape stays bare."""
    layers, shape = stem(parts, shape, scaled(stem_channels, width))
    for channels, blocks, first_stride in stages:
        for stride in [first_stride] + [1] * (blocks - 1):
            inputs, outputs = shape[0], scaled(channels, width)
            bare = stride == 1 and inputs == outputs
            shape = (outputs, *shape[1:])
            shape = halved(shape) if stride == 2 else shape
            path = nn.Identity() if bare else shortcut(parts, inputs, outputs, stride)
            layers.append(BasicBlock(parts, shape, inputs, stride, path))
    head = Head(shape[0], classes, std=1 / shape[0])
    return initialise(nn.Sequential(*layers, head))


def same_size_stem(convolutions: int, pool: bool) -> Callable[[Parts, Shape, int], tuple[list[nn.Module], Shape]]:
    """CIFAR stem: 3x3 convolutions at full resolution, each with norm and neuron, then an average pool or not."""

    def build(parts: Parts, shape: Shape, channels: int) -> tuple[list[nn.Module], Shape]:
        layers: list[nn.Module] = []
        for _ in range(convolutions):
            layers.append(parts.conv_norm(shape[0], channels))
            shape = (channels, *shape[1:])
            layers.append(parts.neuron(shape))
        if pool:
            layers.append(nn.AvgPool2d(2))
            shape = (channels, shape[1] // 2, shape[2] // 2)
        return layers, shape

    return build


def imagenet_stem(parts: Parts, shape: Shape, channels: int) -> tuple[list[nn.Module], Shape]:
    """7x7 convolution of stride 2, norm, neuron, 3x3 average pool of stride 2 (torchvision pools by maximum)."""
    convolution = parts.conv_norm(shape[0], channels, kernel=7, stride=2)
    shape = halved((channels, *shape[1:]))
    return [convolution, parts.neuron(shape), nn.AvgPool2d(3, 2, 1)], halved(shape)
