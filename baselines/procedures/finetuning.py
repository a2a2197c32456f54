"""Back-propagation through time that begins from the weights of another cell: of an ANN, or of a shorter T."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from baselines.procedures.bptt import BPTT
from baselines.procedures.procedure import Start

if TYPE_CHECKING:
    from baselines.network import Network
    from baselines.procedures.balancing import Balance


@dataclass(frozen=True)
class FineTuning(BPTT):
    balance: Balance | None = None
    """What finds the thresholds of a network that was an ANN."""

    def begin(self, network: Network, start: Start) -> None:
        from baselines.procedures.transplant import transplant  # late: it knows networks, which know procedures

        transplant(network, start.weights)
        if self.balance is not None:
            self.balance(network, start)
