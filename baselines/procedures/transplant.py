"""Weights of another network, put where they belong in this one."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from baselines.network import Network


@torch.no_grad()
def transplant(network: Network, weights: Mapping[str, Tensor] | None) -> None:
    """By name; what only `network` has, thresholds or leaks, stays. Raises ValueError for a weight without a place."""
    if weights is None:
        raise ValueError("this method begins from the weights of another cell, and was given none")
    own = network.state_dict()
    for name, tensor in weights.items():
        if name not in own or own[name].shape != tensor.shape:
            raise ValueError(f"{name} {tuple(tensor.shape)} of the origin has no place in this network")
        own[name].copy_(tensor)
