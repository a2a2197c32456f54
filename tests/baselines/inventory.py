"""What `tables/inventory.toml` says of every built-in method, computed: `make inventory` writes it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import smallest
import torch

from baselines import METHODS, build
from baselines.folding import ConvPerStep
from baselines.network import Network
from baselines.remains import cost_of, folded

HEAD = "# What every method folds into, and its parameters over the baseline's; `make inventory` writes it.\n"


def text() -> str:
    baseline = parameters("vanilla")
    return HEAD + "".join(
        f'\n[method.{method}]\nfolds = "{folds(method)}"\nparameters = {parameters(method) - baseline}\n'
        for method in METHODS
        if METHODS.builtin(method)
    )


def parameters(method: str) -> int:
    with torch.device("meta"):
        network = build(method, "resnet20", shape=(3, 32, 32), classes=10, timesteps=4)
    return sum(parameter.numel() for parameter in network.parameters())


def folds(method: str) -> str:
    network, _ = smallest.alive(method)
    after = folded(network)
    if kinds(after) == kinds(network):
        return "nothing to fold"
    return "; ".join(dict.fromkeys(left(after))) or "whole"


def left(after: Network) -> Iterator[str]:
    """Of parts that cost something at inference: what they are, without the amount."""
    for part in after.body.modules():
        if isinstance(part, ConvPerStep):
            yield "into T weight sets"
        elif cost := cost_of(part):
            yield f"all but {cost.partition(':')[0].partition(',')[0]}"


def kinds(network: Network) -> list[type]:
    return [type(module) for module in network.modules()]


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(text())
