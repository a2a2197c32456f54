"""The copy of a network that a fold changes."""

from __future__ import annotations

import copy
from collections.abc import Callable

from torch import nn

from baselines.network import Network


def copied(network: Network, fold: Callable[[nn.Module], None]) -> Network:
    copied = copy.deepcopy(network).eval().requires_grad_(False)
    for module in list(copied.modules()):
        fold(module)
    return copied
