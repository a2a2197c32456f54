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
        self.after: tuple[float, ...] = ()
        """Of an evaluation: accuracy after 1, 2, 4, … T timesteps, in percent."""

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
    total, hits = Tally(), [0] * len(doubled(network.timesteps))
    for images, labels in batches:
        if len(labels):
            *early, logits = network.so_far(images, doubled(network.timesteps))
            scores = network.method.readout(logits)
            total.add(network.method.objective(logits, labels), scores, labels)
            each = [*map(network.method.readout, early), scores]
            hits = [h + (y.argmax(1) == labels).sum() for h, y in zip(hits, each, strict=True)]
        pause()
    whole = total.over(group)
    sums = summed(group, [int(h) for h in hits]) if group.size > 1 else map(int, hits)
    whole.after = tuple(100.0 * h / max(1, whole.samples) for h in sums)
    return whole


def doubled(timesteps: int) -> list[int]:
    """1, 2, 4, … and `timesteps`: after which accuracy is told."""
    return [2**i for i in range(timesteps.bit_length()) if 2**i < timesteps] + [timesteps]
