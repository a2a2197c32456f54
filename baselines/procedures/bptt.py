"""Back-propagation through time: all steps forward, all steps back, one step of the optimiser a batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from baselines.procedures.procedure import Learner, Start

if TYPE_CHECKING:
    from baselines.network import Network


@dataclass(frozen=True)
class BPTT:
    trains = True

    def fit_out(self, network: Network) -> None:
        pass

    def begin(self, network: Network, start: Start) -> None:
        pass

    def step(self, network: Network, images: Tensor, labels: Tensor, learner: Learner) -> tuple[Tensor, Tensor]:
        logits = network(images)
        loss = network.loss(logits, labels)
        learner.zero()
        learner.backward(loss, logits)
        learner.update()
        return loss, logits

    def at_once(self, timesteps: int) -> int:
        return timesteps
