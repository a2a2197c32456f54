"""A method and an architecture put together: images in, logits of every timestep out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import baselines
from baselines.method import Method, Parts, Shape
from baselines.parts.neurons import SpikingNeuron
from baselines.parts.surrogates import SURROGATES
from baselines.registry import UnknownName


class Network(nn.Module):
    """(B, C, H, W) still images, or (T, B, C, H, W) event frames -> logits (T, B, classes)."""

    def __init__(self, method: Method, body: nn.Module, timesteps: int) -> None:
        super().__init__()
        self.method, self.body, self.timesteps = method, body, timesteps

    def forward(self, images: Tensor) -> Tensor:
        currents = self.method.encoder(images.to(next(self.parameters()).dtype), self.timesteps)
        currents = currents.contiguous(memory_format=torch.channels_last)
        return self.body(currents).unflatten(0, (self.timesteps, -1))

    def predict(self, images: Tensor) -> Tensor:
        """Class scores (B, classes)."""
        return self.method.readout(self(images))

    def spiking_layers(self) -> dict[str, SpikingNeuron]:
        """Name -> layer of neurons, in the order of the network."""
        return {name: module for name, module in self.body.named_modules() if isinstance(module, SpikingNeuron)}


def build_network(
    method: str | Method, architecture: str, shape: Shape, classes: int, timesteps: int, surrogate: str, width: float
) -> Network:
    """See `baselines.build`."""
    if isinstance(method, str):
        method = baselines.METHODS.get(method)
    if surrogate not in SURROGATES:
        raise UnknownName("surrogate", surrogate, sorted(SURROGATES))
    parts = Parts(method=method, timesteps=timesteps, surrogate=method.surrogate or SURROGATES[surrogate])
    body = baselines.ARCHITECTURES.get(architecture)(parts, shape, classes, width)
    return Network(method, body, timesteps).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
