"""Stacks of 3x3 convolutions with norm and neuron, and pools, before a tail."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from baselines.architectures._layers import Head, Tail, initialise, scaled
from baselines.method import Parts, Shape
from baselines.parts.dropout import DropoutOverTime

POOL = 0


def average_head(parts: Parts, shape: Shape, classes: int, width: float) -> list[nn.Module]:
    """Global average pool and one linear layer ~ N(0, 0.01²)."""
    return [Head(parts, shape[0], classes, std=0.01)]


def vgg(
    parts: Parts,
    shape: Shape,
    classes: int,
    width: float,
    *,
    layers: tuple[int, ...],
    bias: bool = True,
    pool: Callable[[int], nn.Module] = nn.AvgPool2d,
    dropout: float = 0.0,
    tail: Tail = average_head,
    initialise: Callable[[nn.Module], nn.Module] = initialise,
) -> nn.Module:
    """`layers` lists channel counts, with POOL where a 2x2 pool halves the map.

    `dropout` follows every neuron that no pool follows. Raises ValueError where the input is too small for the pools.
    """
    modules: list[nn.Module] = []
    smallest = 2 ** layers.count(POOL)
    if min(shape[1:]) < smallest:
        raise ValueError(f"the input is too small for {layers.count(POOL)} pools: use {smallest} pixels or more")
    for channels, following in zip(layers, (*layers[1:], None), strict=True):
        if channels == POOL:
            modules.append(pool(2))
            shape = (shape[0], shape[1] // 2, shape[2] // 2)
            continue
        outputs = scaled(channels, width)
        modules.append(parts.conv_norm(shape[0], outputs, bias=bias))
        shape = (outputs, *shape[1:])
        modules.append(parts.neuron(shape))
        if dropout and following != POOL:
            modules.append(DropoutOverTime(dropout, parts.timesteps))
    return initialise(nn.Sequential(*modules, *tail(parts, shape, classes, width)))
