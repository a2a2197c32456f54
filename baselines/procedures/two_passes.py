"""Back-propagation through time of a batch that the last layer sees twice, each time without other units (LTMD)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from baselines.parts.moderate import SeenTwice
from baselines.procedures.bptt import BPTT
from baselines.procedures.procedure import Learner

if TYPE_CHECKING:
    from baselines.network import Network


@dataclass(frozen=True)
class TwoPasses(BPTT):
    """What comes before the dropout is the same in both passes, and computed once."""

    def fit_out(self, network: Network) -> None:
        _last(network).timesteps = network.timesteps

    def step(self, network: Network, images: Tensor, labels: Tensor, learner: Learner) -> tuple[Tensor, Tensor]:
        last = _last(network)
        last.showings = getattr(images, "showings", None)
        try:
            loss, logits = super().step(network, images, labels, learner)
        finally:
            last.showings = None
        return loss, logits[:, : len(labels)]


def _last(network: Network) -> SeenTwice:
    return [layer for layer in network.body.modules() if isinstance(layer, SeenTwice)][-1]
