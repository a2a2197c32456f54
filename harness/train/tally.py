"""Loss and accuracy of a pass over the data, and the pass that only looks: evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

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
    tell: Callable[[int, int], object] = lambda tested, t: None,
) -> Tally:
    """Loss and accuracy in evaluation mode, over the shares of all processes.

    `pause` is called after each batch, and `tell` within a long one: how many images were before it, timesteps of it.
    """
    network.eval()
    tallies = [Tally() for _ in doubled(network.timesteps)]
    for images, labels in batches:
        if len(labels):
            within = partial(tell, tallies[0].samples)
            each = list(network.so_far(images, doubled(network.timesteps), within))
            loss = network.method.objective(each[-1], labels)
            for tally, logits in zip(tallies, each, strict=True):
                tally.add(loss, network.method.readout(logits), labels)
        pause()
    whole = [tally.over(group) for tally in tallies]
    whole[-1].after = tuple(tally.accuracy for tally in whole)
    return whole[-1]


def doubled(timesteps: int) -> list[int]:
    """1, 2, 4, … and `timesteps`: after which accuracy is told."""
    return [2**i for i in range(timesteps.bit_length()) if 2**i < timesteps] + [timesteps]
