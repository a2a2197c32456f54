"""What a procedure trains with: gradients of a batch that several processes share, and the optimiser's steps."""

from __future__ import annotations

import torch
from torch import Tensor

from baselines.network import Network
from harness.train.distributed import Group


class Learner:
    """See `baselines.procedures.procedure.Learner`."""

    def __init__(self, network: Network, optimiser: torch.optim.Optimizer, group: Group) -> None:
        self._network, self._optimiser, self._group = network, optimiser, group
        self.part = 1.0
        """Of the batch, that this process holds: 0 to 1, maybe nothing."""

    def zero(self) -> None:
        self._optimiser.zero_grad(set_to_none=True)

    def backward(self, loss: Tensor, logits: Tensor) -> None:
        """Gradients of this process's part of the mean loss over the whole batch; `update` makes it whole."""
        if self._group.size > 1:
            loss = loss * self.part if self.part else self._network.nothing(logits)  # the mean over nothing is NaN
        loss.backward()

    def update(self) -> None:
        self._group.sum_gradients(self._network.parameters())
        self._optimiser.step()
