"""Online training through time: every step is back-propagated by itself, and forgotten (OTTT)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from baselines.parts.traced import TracedConv2d
from baselines.procedures.procedure import Learner, Start

if TYPE_CHECKING:
    from baselines.network import Network


@dataclass(frozen=True)
class Online:
    """Memory of one step, whatever T; the loss of each step weighs 1 / T."""

    each: bool = False
    """Whether weights move at every step (OTTT_O), or once a batch, by the sum of the gradients (OTTT_A)."""
    trains = True

    def fit_out(self, network: Network) -> None:
        """The first convolution sees the image: analog, and the same at every step."""
        first = next((module for module in network.modules() if isinstance(module, TracedConv2d)), None)
        if first is not None:
            first.decay = None

    def begin(self, network: Network, start: Start) -> None:
        pass

    def step(self, network: Network, images: Tensor, labels: Tensor, learner: Learner) -> tuple[Tensor, Tensor]:
        losses, logits = [], []
        for y in network.walk(images, detach=True):
            if self.each or not losses:
                learner.zero()
            loss = network.loss(y, labels) / network.timesteps
            learner.backward(loss, y)
            if self.each:
                learner.update()
            losses.append(loss.detach())
            logits.append(y.detach())
        if not self.each:
            learner.update()
        return torch.stack(losses).sum(), torch.cat(logits)

    def at_once(self, timesteps: int) -> int:
        return 1
