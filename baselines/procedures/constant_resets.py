"""Back-propagation through time in which no reset of any neuron, a pooling one's included, passes a gradient on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from baselines.parts.neurons import HardReset
from baselines.procedures.bptt import BPTT

if TYPE_CHECKING:
    from baselines.network import Network


@dataclass(frozen=True)
class ConstantResets(BPTT):
    def fit_out(self, network: Network) -> None:
        """Neurons that the architecture brings, and not the method, too."""
        for layer in network.spiking_layers().values():
            if isinstance(layer.reset, HardReset):
                layer.reset = replace(layer.reset, detach=True)
