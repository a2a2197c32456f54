"""What every architecture needs: scaled widths, halved maps, what follows the last map, the initialisation."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from torch import Tensor, nn

from baselines.method import Parts, Shape
from baselines.parts.dropout import DropoutOverTime

Tail: TypeAlias = Callable[[Parts, Shape, int, float], list[nn.Module]]
"""(parts, shape of the last map, classes, width multiplier) -> the layers that turn it into (T·B, classes)."""


def scaled(channels: int, width: float) -> int:
    """`channels` times the width multiplier, at least 1."""
    return max(1, round(channels * width))


def halved(shape: Shape) -> Shape:
    """The map after a stride of 2 with 'same' padding: sizes are rounded up."""
    return (shape[0], -(-shape[1] // 2), -(-shape[2] // 2))


def entries(shape: Shape) -> int:
    return shape[0] * shape[1] * shape[2]


class Head(nn.Module):
    """Global average pool and one linear layer, (T·B, C, H, W) -> (T·B, classes). No neuron: real-valued logits."""

    def __init__(self, parts: Parts, channels: int, classes: int, std: float) -> None:
        super().__init__()
        self.linear = linear(parts, channels, classes, bias=True, std=std)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x.mean((2, 3)))


class Hidden(nn.Module):
    """A fully connected layer of spiking neurons, without normalisation: (T·B, C, H, W) -> (T·B, outputs, 1, 1)."""

    def __init__(self, parts: Parts, inputs: int, outputs: int, *, bias: bool, std: float | None = None) -> None:
        super().__init__()
        self.linear = linear(parts, inputs, outputs, bias=bias, std=std)
        self.neuron = parts.neuron((outputs, 1, 1), "hidden")

    def forward(self, x: Tensor) -> Tensor:
        return self.neuron(self.linear(x.flatten(1))[:, :, None, None])


class Column(nn.Module):
    """(T·B, C, H, W) -> (T·B, C·H·W, 1, 1), so that a 1x1 convolution connects everything with everything."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1)[:, :, None, None]


class Voting(nn.Module):
    """Neighbouring outputs are averaged in groups, one group a class: (T·B, size · classes, ...) -> (T·B, classes)."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1).unflatten(1, (-1, self.size)).mean(2)


def linear(parts: Parts, inputs: int, outputs: int, *, bias: bool, std: float | None = None) -> nn.Module:
    """A linear layer ~ N(0, std²) with bias 0, or as torch initialises it where `std` is None."""
    layer = parts.method.synapse.linear(inputs, outputs, bias=bias)
    if std is not None:
        assert isinstance(layer.weight, Tensor) and isinstance(layer.bias, Tensor | None)
        nn.init.normal_(layer.weight, 0.0, std)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
    return layer


def classifier(*, bias: bool, std: float | None = None) -> Tail:
    """The whole last map into one linear layer."""

    def build(parts: Parts, shape: Shape, classes: int, width: float) -> list[nn.Module]:
        return [nn.Flatten(), linear(parts, entries(shape), classes, bias=bias, std=std)]

    return build


def hidden_classifier(
    *sizes: int, bias: bool = False, std: float | None = None, dropout: float = 0.0, votes: int = 0
) -> Tail:
    """Hidden layers of `sizes` spiking neurons, then a linear layer, or one of spiking neurons that vote.

    `dropout` follows every hidden layer; of `votes` neurons a class, the outputs are averaged.
    """

    def build(parts: Parts, shape: Shape, classes: int, width: float) -> list[nn.Module]:
        layers: list[nn.Module] = []
        inputs = entries(shape)
        for size in sizes:
            outputs = scaled(size, width)
            layers.append(Hidden(parts, inputs, outputs, bias=bias, std=std))
            if dropout:
                layers.append(DropoutOverTime(dropout, parts.timesteps))
            inputs = outputs
        if votes:
            return [*layers, Hidden(parts, inputs, votes * classes, bias=bias, std=std), Voting(votes)]
        return [*layers, nn.Flatten(), linear(parts, inputs, classes, bias=bias, std=std)]

    return build


def normalised_hidden_classifier(size: int) -> Tail:
    """A hidden layer of `size` spiking neurons behind a normalisation, then a linear layer; no biases."""

    def build(parts: Parts, shape: Shape, classes: int, width: float) -> list[nn.Module]:
        hidden = scaled(size, width)
        layer = [Column(), parts.conv_norm(entries(shape), hidden, kernel=1), parts.neuron((hidden, 1, 1), "hidden")]
        return [*layer, nn.Flatten(), linear(parts, hidden, classes, bias=False)]

    return build


def preceded_by_dropout(p: float, tail: Tail) -> Tail:
    def build(parts: Parts, shape: Shape, classes: int, width: float) -> list[nn.Module]:
        return [DropoutOverTime(p, parts.timesteps), *tail(parts, shape, classes, width)]

    return build


def pooled(tail: Tail) -> Tail:
    """Global average pool, then `tail`."""

    def build(parts: Parts, shape: Shape, classes: int, width: float) -> list[nn.Module]:
        return [nn.AdaptiveAvgPool2d(1), *tail(parts, (shape[0], 1, 1), classes, width)]

    return build


def initialise(network: nn.Module) -> nn.Module:
    """Convolutions ~ N(0, 2 / (k² C_out)), their biases 0; normalisations keep their defaults (scale 1, shift 0).

    The released code replaces every BN by a fresh one, so no residual branch starts at zero.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return network


def untouched(network: nn.Module) -> nn.Module:
    """As torch initialises it."""
    return network


def xavier(network: nn.Module) -> nn.Module:
    """All weights uniform with Glorot's variance times 4 (BNTT)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(module.weight, gain=2)
    return network
