"""Layers of every method, and what computes them, for the tests of recorded kernels."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from baselines import METHODS
from baselines.kernels import VARIABLE, dispatch
from baselines.kernels.traced import layers
from baselines.kernels.traced.lowered import Call
from baselines.method import Parts
from baselines.parts import surrogates
from baselines.parts.neurons import SpikingNeuron

HAND, RECORDED, NONE = "by hand", "recorded", "no recurrence"


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv(VARIABLE, raising=False)
    layers.forget()
    with layers.at_once():
        yield
    layers.forget()


def layer_of(method: str, shape: tuple[int, int, int], timesteps: int = 4) -> nn.Module:
    """As a network has it, with what follows."""
    found = METHODS.get(method)
    surrogate = found.surrogate if hasattr(found.surrogate, "derivative") else surrogates.STE()
    layer = Parts(method=found, timesteps=timesteps, surrogate=surrogate).neuron(shape)  # type: ignore[arg-type]
    return getattr(layer, "snn", layer)


def currents(shape: tuple[int, int, int], timesteps: int = 4, batch: int = 3) -> Tensor:
    x = torch.randn(timesteps * batch, *shape).contiguous(memory_format=torch.channels_last)
    return x.requires_grad_()


def served(layer: nn.Module, x: Tensor) -> str:
    neuron = getattr(layer, "neuron", layer)
    if not isinstance(neuron, SpikingNeuron):
        return NONE
    if dispatch.backend_for(neuron, x) is not None:
        return HAND
    found = layers.serve(layer, x)  # type: ignore[arg-type]
    assert found is not None and found.ready, found
    return RECORDED


def left_to_torch(layer: nn.Module, x: Tensor) -> list[str]:
    """Operations between kernels."""
    found = layers.serve(layer, x)  # type: ignore[arg-type]
    assert found is not None and found.program is not None
    return [str(each.node.operation) for phase in found.program.phases for each in phase if isinstance(each, Call)]
