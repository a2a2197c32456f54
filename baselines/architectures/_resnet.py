"""Residual networks: stems, blocks, shortcuts, and how they are strung together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from torch import nn

from baselines.architectures._layers import Head, Tail, halved, initialise, scaled
from baselines.method import Parts, Shape
from baselines.parts.convolution import AvgPool2d
from baselines.parts.dropout import DropoutOverTime
from baselines.parts.wiring import Plan

Stage: TypeAlias = tuple[int, int, int]
"""(channels before the width multiplier, blocks, stride of the first block)."""

Stem: TypeAlias = Callable[[Parts, Shape, int], tuple[list[nn.Module], Shape]]
"""(parts, input shape, channels) -> (layers, the shape of their output)."""

Shortcut: TypeAlias = Callable[[Parts, Shape, int, int], nn.Module]
"""(parts, shape of the block's output, channels of its input, stride) -> the path beside the block."""


def strided_shortcut(parts: Parts, shape: Shape, inputs: int, stride: int, *, bias: bool = False) -> nn.Module:
    """1x1 convolution with the stride, then normalisation."""
    wiring = parts.method.wiring
    path = parts.conv_norm(inputs, shape[0], kernel=1, stride=stride, bias=bias, branches=wiring.branches)
    return wiring.shortcut(parts, shape, path)


def averaged_shortcut(parts: Parts, shape: Shape, inputs: int, stride: int) -> nn.Module:
    """AvgDown: average pooling takes the stride, then a 1x1 convolution and normalisation."""
    wiring = parts.method.wiring
    pool = AvgPool2d(stride, stride, ceil_mode=True, count_include_pad=False)
    path = nn.Sequential(pool, parts.conv_norm(inputs, shape[0], kernel=1, branches=wiring.branches))
    return wiring.shortcut(parts, shape, path)


def bare(parts: Parts, shape: Shape, inputs: int, stride: int) -> nn.Module:
    """The input itself."""
    return nn.Identity()


def normalised(parts: Parts, shape: Shape, inputs: int, stride: int) -> nn.Module:
    """The input, normalised."""
    wiring = parts.method.wiring
    return wiring.shortcut(parts, shape, parts.norm(shape[0], branches=wiring.branches))


def linear_head(parts: Parts, shape: Shape, classes: int, width: float) -> list[nn.Module]:
    """Global average pool and one linear layer ~ N(0, 1 / C²)."""
    return [Head(parts, shape[0], classes, std=1 / shape[0])]


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
    bias: bool = False,
    dropout: float = 0.0,
    tail: Tail = linear_head,
    initialise: Callable[[nn.Module], nn.Module] = initialise,
) -> nn.Module:
    """Stem, stages of blocks, tail. `shortcut` goes where a block changes the shape, `identity` where it does not.

    The method wires the blocks; their convolutions have a `bias` or not, `dropout` lies between them.
    """
    wiring = parts.method.wiring
    within = wiring.within(parts)
    layers, shape = stem(parts, shape, scaled(stem_channels, width))
    for channels, blocks, first_stride in stages:
        for stride in [first_stride] + [1] * (blocks - 1):
            source, shape = shape, (scaled(channels, width), *shape[1:])
            shape = halved(shape) if stride == 2 else shape
            unchanged = stride == 1 and source[0] == shape[0]
            path = (identity if unchanged else shortcut)(within, shape, source[0], stride)
            plan = Plan(source=source, shape=shape, strides=(stride, 1), bias=bias, dropout=(dropout, 0.0))
            layers.append(wiring.block(within, plan, path))
    layers += wiring.begins_tail(parts, shape)
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
            last = i == convolutions - 1
            layers += parts.method.wiring.ends_stem(parts, shape) if last else [parts.neuron(shape)]
        if pool:
            layers.append(AvgPool2d(2))
            shape = (channels, shape[1] // 2, shape[2] // 2)
        return layers, shape

    return build


def unpooled_stem(parts: Parts, shape: Shape, channels: int) -> tuple[list[nn.Module], Shape]:
    """7x7 convolution of stride 2, norm, neuron."""
    convolution = parts.conv_norm(shape[0], channels, kernel=7, stride=2)
    shape = halved((channels, *shape[1:]))
    return [convolution, *parts.method.wiring.ends_stem(parts, shape)], shape


def imagenet_stem(parts: Parts, shape: Shape, channels: int) -> tuple[list[nn.Module], Shape]:
    """The same with a 3x3 average pool of stride 2 (torchvision pools by maximum)."""
    layers, shape = unpooled_stem(parts, shape, channels)
    return [*layers, AvgPool2d(3, 2, 1)], halved(shape)


def maximum_stem(parts: Parts, shape: Shape, channels: int) -> tuple[list[nn.Module], Shape]:
    """The same with a 3x3 maximum pool."""
    layers, shape = unpooled_stem(parts, shape, channels)
    return [*layers, nn.MaxPool2d(3, 2, 1)], halved(shape)
