"""What every architecture needs: scaled widths, halved maps, the classifier, the initialisation."""

from __future__ import annotations

from torch import Tensor, nn

from baselines.method import Shape


def scaled(channels: int, width: float) -> int:
    """`channels` times the width multiplier, at least 1."""
    return max(1, round(channels * width))


def halved(shape: Shape) -> Shape:
    """The map after a stride of 2 with 'same' padding: sizes are rounded up."""
    return (shape[0], -(-shape[1] // 2), -(-shape[2] // 2))


class Head(nn.Module):
    """Global average pool and one linear layer, (T·B, C, H, W) -> (T·B, classes). No neuron: real-valued logits."""

    def __init__(self, channels: int, classes: int, std: float) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, classes)
        nn.init.normal_(self.linear.weight, 0.0, std)
        nn.init.zeros_(self.linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x.mean((2, 3)))


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
