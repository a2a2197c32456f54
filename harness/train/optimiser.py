"""The recipe's optimiser, who of the parameters decays and learns how fast, and the rate of each epoch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import nn

from harness.errors import UserError
from harness.spec import Recipe

ADAM = {"adam": torch.optim.Adam, "amsgrad": partial(torch.optim.Adam, amsgrad=True)}


def make_optimiser(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The recipe's optimiser; with `decayed = "weights"`, only convolution and linear weights decay.

    Raises UserError for a group of parameters that the network does not have.
    """
    groups = [*_common(network, recipe), *_apart(network, recipe)]
    if recipe.optimiser in ADAM:
        return ADAM[recipe.optimiser](groups, lr=recipe.lr)
    return torch.optim.SGD(groups, lr=recipe.lr, momentum=recipe.momentum)


def _common(network: nn.Module, recipe: Recipe) -> Iterator[dict[str, Any]]:
    """Those that decay, and those that do not."""
    apart = {name for group in recipe.groups for name in group.of}
    common = [p for name, p in network.named_parameters() if _last(name) not in apart]
    kernels = [m.weight for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    chosen = {id(p) for p in (kernels if recipe.decayed == "weights" else common)}
    yield {"params": [p for p in common if id(p) in chosen], "weight_decay": recipe.weight_decay}
    yield {"params": [p for p in common if id(p) not in chosen], "weight_decay": 0.0}


def _apart(network: nn.Module, recipe: Recipe) -> Iterator[dict[str, Any]]:
    named = dict(network.named_parameters())
    known = {_last(name) for name in named}
    for group in recipe.groups:
        if lost := [name for name in group.of if name not in known]:
            raise UserError(f"no parameter of this network is called `{lost[0]}`", "groups", "name one that it has")
        params = [p for name, p in named.items() if _last(name) in group.of]
        yield {"params": params, "weight_decay": group.decay, "rate": group.rate}


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def learning_rate(optimiser: torch.optim.Optimizer, recipe: Recipe) -> Callable[[int], float]:
    """Sets and returns the learning rate of an epoch counted from 0; needs no state, so nothing to resume."""

    def schedule(epoch: int) -> float:
        rate = rate_of(recipe, epoch)
        for group in optimiser.param_groups:
            group["lr"] = rate * group.get("rate", 1.0)
        return optimiser.param_groups[0]["lr"]

    return schedule


def rate_of(recipe: Recipe, epoch: int) -> float:
    """Of an epoch counted from 0."""
    epoch += recipe.ahead
    if recipe.schedule == "cosine":
        return 0.5 * recipe.lr * (1 + math.cos(math.pi * epoch / (recipe.period or recipe.epochs)))
    if recipe.schedule == "exponential":
        return recipe.lr * recipe.factor**epoch
    if recipe.schedule == "steps":
        passed = sum(epoch >= round(share * recipe.epochs) for share in recipe.milestones)
        return recipe.lr * recipe.factor**passed
    return recipe.lr
