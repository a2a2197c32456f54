"""Conversion: the weights of an ANN, thresholds that are balanced to it, and no training."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from baselines.network import Network
from baselines.procedures.balancing import Balance
from baselines.procedures.procedure import Learner, Start
from baselines.procedures.transplant import transplant


@dataclass(frozen=True, kw_only=True)
class Conversion:
    balance: Balance = field(default_factory=Balance)
    trains = False

    def fit_out(self, network: Network) -> None:
        pass

    def begin(self, network: Network, start: Start) -> None:
        transplant(network, start.weights)
        self.balance(network, start)

    def step(self, network: Network, images: Tensor, labels: Tensor, learner: Learner) -> tuple[Tensor, Tensor]:
        raise TypeError("a conversion is not trained")

    def at_once(self, timesteps: int) -> int:
        return 1
