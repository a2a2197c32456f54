"""VGG of the released code: 3x3 convolutions with bias, norm and neuron; average pools; one linear layer."""

from __future__ import annotations

from torch import nn

from baselines.architectures._layers import Head, initialise, scaled
from baselines.method import Parts, Shape

POOL = 0


def vgg(parts: Parts, shape: Shape, classes: int, width: float, *, layers: tuple[int, ...]) -> nn.Module:
    """`layers` lists channel counts, with POOL where a 2x2 average pool halves the map.

    Raises ValueError where the input is too small for the pools (five of them: 32 pixels).
    """
    modules: list[nn.Module] = []
    for channels in layers:
        if channels == POOL:
            if min(shape[1:]) < 2:
                raise ValueError(f"the input is too small for {layers.count(POOL)} pools: use 32 pixels or more")
            modules.append(nn.AvgPool2d(2))
            shape = (shape[0], shape[1] // 2, shape[2] // 2)
            continue
        outputs = scaled(channels, width)
        modules.append(parts.conv_norm(shape[0], outputs, bias=True))
        shape = (outputs, *shape[1:])
        modules.append(parts.neuron(shape))
    return initialise(nn.Sequential(*modules, Head(shape[0], classes, std=0.01)))
