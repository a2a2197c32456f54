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
        backward(loss, logits, self.part, self._network, self._group)

    def update(self) -> None:
        self._group.sum_gradients(self._network.parameters())
        self._optimiser.step()


def backward(loss: Tensor, logits: Tensor, part: float, network: Network, group: Group) -> None:
    """Gradients of this process's `part` of the mean loss over the whole batch; `sum_gradients` makes it whole."""
    if group.size > 1:
        loss = loss * part if part else network.nothing(logits)  # the mean over nothing is NaN
    loss.backward()


class Trial:
    """Goes through a procedure's motions, and leaves the network as it was: to time them."""

    def __init__(self, network: Network) -> None:
        self._network = network

    def zero(self) -> None:
        self._network.zero_grad(set_to_none=True)

    def backward(self, loss: Tensor, logits: Tensor) -> None:
        loss.backward()

    def update(self) -> None:
        pass
