"""An epoch under way: how far it is, and the places between two batches where it may be saved, stopped, given up."""

from __future__ import annotations

import math
import time

import torch
from torch import Tensor

from baselines.network import Network
from harness.interrupts import Stop, Stopped
from harness.train.checkpoint import Checkpoint, State, Underway
from harness.train.distributed import Group, random_state, seed, set_random_state
from harness.train.tally import Tally

HEARTBEAT = 5.0
"""Seconds between two reports."""
SAVE_EVERY = 600.0
"""Seconds of an epoch after which it is saved though it has not ended: the most that a kill can cost."""


class Diverged(Exception):
    """The loss, a weight or a statistic is no longer finite."""

    def __init__(self, what: str, value: float, epoch: int) -> None:
        super().__init__(f"{what} became {value} in epoch {epoch}")
        self.epoch = epoch


def check_finite(what: str, value: float, epoch: int) -> None:
    """Raises Diverged; `epoch` counts from 0."""
    if not math.isfinite(value):
        raise Diverged(what, value, epoch + 1)


class Epoch:
    """The epoch that `state` is at: its beginning, or where an earlier run was interrupted. Seeds torch."""

    def __init__(
        self,
        state: State,
        random: int,
        network: Network,
        optimiser: torch.optim.Optimizer,
        checkpoint: Checkpoint,
        stop: Stop,
        group: Group,
    ) -> None:
        self._network, self._optimiser, self._before = network, optimiser, state
        self._checkpoint, self._stop, self._group = checkpoint, stop, group
        self.batches, self.total = 0, Tally()
        self._saved = self._beaten = self._started = time.perf_counter()
        seed(group, random)
        if state.underway is not None:
            self._go_on(state.underway)

    @property
    def seconds(self) -> float:
        """Spent on it, by all runs together."""
        return time.perf_counter() - self._started

    def add(self, loss: Tensor, scores: Tensor, labels: Tensor) -> None:
        """One more batch that has been trained on, of which `labels` are this process's share."""
        self.batches += 1
        if len(labels):
            self.total.add(loss, scores, labels)

    def pause(self) -> bool:
        """To be called between any two batches; whether it is time to report.

        Saves when that is due. Raises Stopped if a process was asked to stop, and Diverged if one has lost the loss.
        """
        beat, due = self.beats(), time.perf_counter() - self._saved > SAVE_EVERY
        lost = beat and not math.isfinite(self.total.loss)
        stopping, due, lost = self._group.any(self._stop.requested, due, lost)
        if lost:
            check_finite("the loss", self.total.over(self._group).loss, self._before.epoch)
        if stopping or due:
            self._save()
        if stopping:
            raise Stopped(f"in epoch {self._before.epoch + 1} after batch {self.batches}")
        return beat

    def beats(self) -> bool:
        """Whether it is time to report, of this process alone: then not again for `HEARTBEAT`."""
        now = time.perf_counter()
        beat = now - self._beaten > HEARTBEAT
        self._beaten = now if beat else self._beaten
        return beat

    def _save(self) -> None:
        kind = tuple[tuple[int, float, int], dict[str, Tensor]]
        tallies, random = zip(*self._group.gather((self.total.sums, random_state()), kind), strict=True)
        if self._group.leads:
            underway = Underway(self.batches, self.seconds, list(tallies), list(random))
            before = self._before
            network, optimiser = self._network.state_dict(), self._optimiser.state_dict()
            self._checkpoint.save(State(before.epoch, network, optimiser, before.curve, before.resumed, underway))
        self._saved = time.perf_counter()

    def _go_on(self, underway: Underway) -> None:
        """Of as many processes as before, each takes up its own; else the first one the sums of all."""
        rank, size = self._group.rank, self._group.size
        self.batches = underway.batches
        self._started -= underway.seconds
        if size == len(underway.tallies):
            self.total = Tally(*underway.tallies[rank])
            set_random_state(underway.random[rank])
        elif self._group.leads:
            self.total = Tally(*map(sum, zip(*underway.tallies, strict=True)))
