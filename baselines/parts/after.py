"""What follows a layer of neurons, before the next layer receives it: nothing, as a rule."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor, nn

from baselines.kernels import dispatch
from baselines.kernels.traced import layers
from baselines.parts import carried
from baselines.parts.neurons import Place, SpikingNeuron


class After(Protocol):
    def build(self, shape: tuple[int, int, int], timesteps: int, place: Place) -> nn.Module | None:
        """A module from spikes (T·B, C, H, W) to what the next layer receives, for frames of `shape` (C, H, W).

        None where nothing follows a layer in this `place`. A module whose `reads_potential` is true finds z(t), of the
        shape of the spikes, as their attribute `potential`.
        """
        ...


class Followed(nn.Module):
    """A layer of neurons and what follows it."""

    def __init__(self, neuron: SpikingNeuron, after: nn.Module) -> None:
        super().__init__()
        self.neuron, self.after = neuron, after
        neuron.shows_potential = getattr(after, "reads_potential", False)

    def forward(self, x: Tensor) -> Tensor:
        neurons = isinstance(self.neuron, SpikingNeuron) and isinstance(x, Tensor)  # a trace's stand-in is no tensor
        if not neurons or (not carried.walking() and dispatch.backend_for(self.neuron, x) is not None):
            return self._apart(x)
        return layers.run(self, x, self._apart)

    def _apart(self, x: Tensor) -> Tensor:
        return self.after(self.neuron(x))

    def loop(self, x: Tensor) -> Tensor:
        """The reference, of both."""
        return getattr(self.after, "loop", self.after)(self.neuron.loop(x))
