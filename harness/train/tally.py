"""Loss and accuracy of a pass over the data, and the pass that only looks: evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from baselines.network import Network
from harness.train.distributed import ALONE, Group, summed


class Tally:
    """Running loss and accuracy of a pass over the data, kept on the device until asked for."""

    def __init__(self, samples: int = 0, loss: float = 0.0, hits: int = 0) -> None:
        self.samples = samples
        self._loss: Tensor | float = loss
        self._hits: Tensor | int = hits

    def add(self, loss: Tensor, scores: Tensor, labels: Tensor) -> None:
        self.samples += len(labels)
        self._loss = self._loss + loss.double() * len(labels)
        self._hits = self._hits + (scores.argmax(1) == labels).sum()

    @property
    def sums(self) -> tuple[int, float, int]:
        """What another tally can be begun with: samples, summed loss, hits."""
        return self.samples, float(self._loss), int(self._hits)

    @property
    def loss(self) -> float:
        """Mean over the samples, in nats."""
        return float(self._loss) / max(1, self.samples)

    @property
    def accuracy(self) -> float:
        """Top-1, in percent."""
        return 100.0 * int(self._hits) / max(1, self.samples)

    def over(self, group: Group) -> Tally:
        """Of the shares of all processes."""
        if group.size == 1:
            return self
        samples, loss, hits = summed(group, self.sums)
        return Tally(int(samples), loss, int(hits))


@torch.no_grad()
def evaluate(
    network: Network,
    batches: Iterable[tuple[Tensor, Tensor]],
    group: Group = ALONE,
    pause: Callable[[], object] = lambda: None,
) -> Tally:
    """Loss and accuracy in evaluation mode, over the shares of all processes; `pause` is called after each batch."""
    network.eval()
    total = Tally()
    for images, labels in batches:
        if len(labels):
            logits = network(images)
            total.add(network.method.objective(logits, labels), network.method.readout(logits), labels)
        pause()
    return total.over(group)
