"""Where a recipe has weights begin elsewhere than the architecture does."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from baselines.network import Network
from baselines.parts.dropout import DropoutOverTime
from harness.spec import Recipe


@torch.no_grad()
def begun(network: Network, recipe: Recipe) -> Network:
    """`network` with the weights and the dropout with which `recipe` begins; what it leaves open stays."""
    if recipe.initialisation is not None:
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                WAYS[recipe.initialisation](module)
    if recipe.norm_scale is not None:
        for module in network.modules():
            _scaled(module, recipe.norm_scale)
    if recipe.residual_scale is not None:
        for module in network.modules():
            last = getattr(module, "conv2", None)  # of a block
            for norm in last.modules() if isinstance(last, nn.Module) else ():
                _scaled(norm, recipe.residual_scale)
    if recipe.dropout is not None:
        _dropping(network, *recipe.dropout)
    return network


def _dropping(network: Network, before: float, behind: float) -> None:
    p = before
    for module in network.body.modules():
        if getattr(module, "place", "") == "hidden":  # neurons, of an ANN too
            p = behind
        elif isinstance(module, DropoutOverTime):
            module.p = p


def _scaled(module: nn.Module, scale: float) -> None:
    if isinstance(module, nn.BatchNorm2d) and module.affine:
        nn.init.constant_(module.weight, scale)


def _as_torch(layer: nn.Conv2d | nn.Linear) -> None:
    layer.reset_parameters()


def _fan_out(layer: nn.Conv2d | nn.Linear) -> None:
    """Convolutions ~ N(0, 2 / (k² C_out)); linear layers stay."""
    if isinstance(layer, nn.Conv2d):
        nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")


def _tiny(layer: nn.Conv2d | nn.Linear) -> None:
    """Convolutions ~ N(0, 1e-4 / (k² C_out)), linear layers with a deviation of 1e-4 / inputs, their bias 0."""
    if isinstance(layer, nn.Conv2d):
        count = layer.kernel_size[0] * layer.kernel_size[1] * layer.out_channels
        nn.init.normal_(layer.weight, 0.0, (1e-4 / count) ** 0.5)
    else:
        nn.init.normal_(layer.weight, 0.0, 1e-4 / layer.in_features)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


WAYS: dict[str, Callable[[nn.Conv2d | nn.Linear], None]] = {"torch": _as_torch, "fan-out": _fan_out, "tiny": _tiny}
