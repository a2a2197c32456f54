"""Batch norms that the neurons behind them compute along with themselves, in one pass over memory, in training.

Where a convolution's norm goes straight into a layer of neurons (`direct`), and the kernels by hand serve both
(`kernels/normed.py`). Everything else stays as it is: parameters, their names, evaluation, folding.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import nn

from baselines import kernels
from baselines.kernels import compiled, dispatch
from baselines.method import ConvNorm
from baselines.parts import synchronised
from baselines.parts.neurons import SpikingNeuron
from baselines.parts.normalisations import JointBatchNorm, ThresholdDependentBatchNorm

KNOWN = (JointBatchNorm, ThresholdDependentBatchNorm)
"""Norms that `kernels/normed.py` computes; a subclass may be another."""


class Impossible(Exception):
    """A network, or a device, that cannot be computed so: what, and why."""


def join(body: nn.Module, device: torch.device) -> int:
    """Let neurons of `body` take over the norms before them; how many. Raises Impossible where there are none."""
    if device.type != "cpu" or kernels.chosen(device) is not compiled:
        raise Impossible(f"the {compiled.NAME} is needed, here it is the {kernels.state(device)}")
    if any(parameter.dtype != torch.float32 for parameter in body.parameters()):
        raise Impossible("kernels compute in float32")
    if synchronised.needed():
        raise Impossible("several processes train one network together")
    taken = [conv for conv, neuron in direct(body) if type(conv.norm) in KNOWN and dispatch.by_hand(neuron)]
    if not taken:
        raise Impossible("no batch norm stands right before neurons that a kernel by hand computes")
    for conv in taken:
        conv.leaves_norm = True
    return len(taken)


def direct(body: nn.Module) -> Iterator[tuple[ConvNorm, SpikingNeuron]]:
    """Norms whose output goes to one layer of neurons, and nowhere else."""
    for module in body.modules():
        steps = list(module.children()) if type(module).forward is nn.Sequential.forward else []
        named = (tuple(getattr(module, name) for name in pair) for pair in getattr(module, "norms_into_neurons", ()))
        for conv, neuron in (*pairwise(steps), *named):
            if isinstance(conv, ConvNorm) and type(neuron) is SpikingNeuron:
                yield conv, neuron
