"""Coefficients of spikes, folded into whatever receives them, so that spikes are binary again for inference.

A coefficient a channel goes into the weights of every convolution and linear layer that its map reaches, through pools
and flattening. On a bare path to a sum (a shortcut, or behind SEW's second neuron) it becomes one weight a channel: to
add a weighted spike is still one accumulation. Equal up to rounding. Before a maximum pool, where it is negative, and
before votes nothing can take it, and it stays.
"""

from __future__ import annotations

import copy
import operator
from collections.abc import Iterator

import torch
from torch import Tensor, fx, nn

from baselines.folding.norms import ConvPerStep
from baselines.method import ConvNorm
from baselines.network import Network
from baselines.parts.coefficient import Coefficient
from baselines.parts.dropout import DropoutOverTime
from baselines.parts.neurons import SpikingNeuron

WEIGHTED = (nn.Conv2d, nn.Linear, ConvPerStep, ConvNorm)
POOLS = (nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.Flatten)
NOTHING = (nn.Identity, DropoutOverTime)
"""What changes nothing in inference: where a bare path to a sum can take a weight."""
REARRANGED = ("mean", "flatten", operator.getitem)


class CannotAbsorb(Exception):
    """A map meets something that is not linear, or a sum, before it meets weights."""


class _Tracer(fx.Tracer):
    """Down to single layers."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        known = isinstance(m, (SpikingNeuron, Coefficient, *WEIGHTED, *POOLS, *NOTHING))
        return known or super().is_leaf_module(m, module_qualified_name)


@torch.no_grad()
def fold_coefficients(network: Network) -> Network:
    """A copy whose coefficients have gone into the layers that receive them. Its normalisations must be folded."""
    copied = copy.deepcopy(network).eval().requires_grad_(False)
    for node, coefficient in coefficients(copied.body):
        try:
            receivers = list(_receivers(copied.body, node, coefficient.a))
        except CannotAbsorb:
            continue
        for name in receivers:
            copied.body.set_submodule(name, absorbed(copied.body.get_submodule(name), coefficient.a))
        copied.body.set_submodule(str(node.target), nn.Identity())
    return copied


def coefficients(body: nn.Module) -> list[tuple[fx.Node, Coefficient]]:
    """Each with its place in the graph of `body`; none, without tracing, where there are none."""
    if not any(isinstance(module, Coefficient) for module in body.modules()):
        return []
    nodes = [node for node in _Tracer().trace(body).nodes if node.op == "call_module"]
    found = [(node, body.get_submodule(str(node.target))) for node in nodes]
    return [(node, module) for node, module in found if isinstance(module, Coefficient)]


def _receivers(body: nn.Module, node: fx.Node, a: Tensor) -> Iterator[str]:
    """Names of the modules that must take what multiplies the output of `node`. Raises CannotAbsorb."""
    for user in node.users:
        if user.op != "call_module":
            if user.target not in REARRANGED:
                raise CannotAbsorb
            yield from _receivers(body, user, a)
            continue
        name = str(user.target)
        module = body.get_submodule(name)
        if isinstance(module, WEIGHTED):
            yield name
        elif isinstance(module, NOTHING):
            try:
                yield from list(_receivers(body, user, a))
            except CannotAbsorb:  # a bare path to a sum
                yield name
        elif isinstance(module, POOLS) or (isinstance(module, nn.MaxPool2d) and bool((a >= 0).all())):
            yield from _receivers(body, user, a)
        else:
            raise CannotAbsorb


def absorbed(module: nn.Module, a: Tensor) -> nn.Module:
    """`module` behind y = a · x, as one; computed in float64, rounded once. Raises TypeError for a norm not folded."""
    if isinstance(module, ConvNorm):
        if not isinstance(module.norm, nn.Identity):
            raise TypeError(f"{type(module.norm).__name__} must be folded before the coefficients are")
        return ConvNorm(absorbed(module.conv, a), module.norm)
    if isinstance(module, ConvPerStep):
        return ConvPerStep([absorbed(conv, a) for conv in module.convs])  # type: ignore[misc]
    if isinstance(module, NOTHING):
        module = nn.utils.skip_init(
            nn.Conv2d, len(a), len(a), 1, groups=len(a), bias=False, device=a.device, dtype=a.dtype
        )
        nn.init.ones_(module.weight)  # type: ignore[arg-type]
    module = copy.deepcopy(module).requires_grad_(False)
    assert isinstance(module, nn.Conv2d | nn.Linear)
    module.weight.copy_((module.weight.double() * _along(a.double(), module)).to(a))
    return module


def _along(a: Tensor, module: nn.Conv2d | nn.Linear) -> Tensor:
    """(C,) -> broadcastable over the weights of `module`, whose input has C channels, or their flattened map."""
    if isinstance(module, nn.Conv2d) and module.groups > 1:
        return a.view(-1, 1, 1, 1)
    inputs = module.in_features if isinstance(module, nn.Linear) else module.in_channels
    a = a.repeat_interleave(inputs // len(a))
    return a if isinstance(module, nn.Linear) else a.view(-1, 1, 1)
