"""The training loop. Knows a network, its data and a recipe; nothing of tables, stores or jobs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from timm.scheduler.cosine_lr import CosineLRScheduler
from torch import Tensor, nn

from baselines.network import Network
from harness.checkpoint import Checkpoint, State
from harness.data import Data
from harness.result import Curve
from harness.spec import Recipe

HEARTBEAT = 5.0
"""Seconds between two reports within an epoch."""


class Diverged(Exception):
    """The loss, a weight or a statistic is no longer finite."""

    def __init__(self, what: str, value: float, epoch: int) -> None:
        super().__init__(f"{what} became {value} in epoch {epoch}")
        self.epoch = epoch


def check_finite(what: str, value: float, epoch: int) -> None:
    """Raises Diverged; `epoch` counts from 0."""
    if not math.isfinite(value):
        raise Diverged(what, value, epoch + 1)


class Pace(NamedTuple):
    """Where training is, for whoever watches."""

    epochs_done: float
    """A whole number when an epoch has just ended."""
    accuracy: float | None
    """Of the last finished epoch, in percent."""
    images_per_second: float
    seconds_left: float


def train(
    network: Network,
    data: Data,
    recipe: Recipe,
    seed: int,
    checkpoint: Checkpoint,
    report: Callable[[Pace], None] = lambda pace: None,
) -> State:
    """Train `network` in place, resuming from `checkpoint`, and return the last state.

    A resumed run repeats an uninterrupted one to the bit: everything random in epoch e is drawn from (seed, e).
    Raises Diverged.
    """
    optimiser = make_optimiser(network, recipe)
    state = checkpoint.load()
    if state is None:
        state = State(epoch=0, network={}, optimiser={}, curve=Curve())
    else:
        network.load_state_dict(state.network)
        optimiser.load_state_dict(state.optimiser)
        state = State(state.epoch, state.network, state.optimiser, state.curve, state.resumed + 1)
    schedule = learning_rate(optimiser, recipe)

    for epoch in range(state.epoch, recipe.epochs):
        started = time.perf_counter()
        torch.manual_seed(seed * 1_000_003 + epoch)
        rate = schedule(epoch)

        network.train()
        total = Tally()
        beat = started
        for images, labels in data.train.epoch(seed, epoch, recipe.batch):
            logits = network(images)
            loss = network.method.objective(logits, labels)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            total.add(loss.detach(), network.method.readout(logits.detach()), labels)
            if (now := time.perf_counter()) - beat > HEARTBEAT:
                beat = now
                if not math.isfinite(total.loss):
                    break
                report(pace(state.curve, epoch + total.samples / data.train.samples, now - started, data, recipe))
        check_finite("the loss", total.loss, epoch)
        for (
            name,
            tensor,
        ) in network.state_dict().items():  # a neuron turns NaN into silence, so the loss may not show it
            check_finite(name, float(tensor.sum()), epoch)

        test = evaluate(network, data.test.batches(recipe.batch))
        check_finite("the test loss", test.loss, epoch)
        curve = append(state.curve, total, test, rate, time.perf_counter() - started)
        state = State(epoch + 1, network.state_dict(), optimiser.state_dict(), curve, state.resumed)
        checkpoint.save(state)
        report(pace(curve, epoch + 1, 0.0, data, recipe))
    return state


class Tally:
    """Running loss and accuracy of a pass over the data, kept on the device until asked for."""

    def __init__(self) -> None:
        self.samples = 0
        self._loss: Tensor | float = 0.0
        self._hits: Tensor | int = 0

    def add(self, loss: Tensor, scores: Tensor, labels: Tensor) -> None:
        self.samples += len(labels)
        self._loss = self._loss + loss.double() * len(labels)
        self._hits = self._hits + (scores.argmax(1) == labels).sum()

    @property
    def loss(self) -> float:
        """Mean over the samples, in nats."""
        return float(self._loss) / max(1, self.samples)

    @property
    def accuracy(self) -> float:
        """Top-1, in percent."""
        return 100.0 * int(self._hits) / max(1, self.samples)


@torch.no_grad()
def evaluate(network: Network, batches: Iterable[tuple[Tensor, Tensor]]) -> Tally:
    """Loss and accuracy in evaluation mode."""
    network.eval()
    total = Tally()
    for images, labels in batches:
        logits = network(images)
        total.add(network.method.objective(logits, labels), network.method.readout(logits), labels)
    return total


def make_optimiser(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The recipe's optimiser; with `decayed = "weights"`, only convolution and linear weights decay."""
    kernels = [m.weight for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    chosen = {id(p) for p in (kernels if recipe.decayed == "weights" else network.parameters())}
    decayed = [p for p in network.parameters() if id(p) in chosen]
    spared = [p for p in network.parameters() if id(p) not in chosen]
    groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": spared, "weight_decay": 0.0}]
    if recipe.optimiser == "adam":
        return torch.optim.Adam(groups, lr=recipe.lr)
    return torch.optim.SGD(groups, lr=recipe.lr, momentum=recipe.momentum)


def learning_rate(optimiser: torch.optim.Optimizer, recipe: Recipe) -> Callable[[int], float]:
    """Sets and returns the learning rate of an epoch counted from 0; needs no state, so nothing to resume."""
    for group in optimiser.param_groups:
        group["initial_lr"] = recipe.lr
    cosine = CosineLRScheduler(optimiser, t_initial=recipe.epochs, lr_min=0.0)

    def schedule(epoch: int) -> float:
        if recipe.schedule == "cosine":
            cosine.step(epoch)
        return optimiser.param_groups[0]["lr"]

    return schedule


def append(curve: Curve, train: Tally, test: Tally, rate: float, seconds: float) -> Curve:
    entry = Curve(
        train_loss=(train.loss,),
        train_accuracy=(train.accuracy,),
        test_loss=(test.loss,),
        test_accuracy=(test.accuracy,),
        learning_rate=(rate,),
        seconds=(seconds,),
    )
    return Curve(**{name: getattr(curve, name) + getattr(entry, name) for name in Curve.__struct_fields__})


def pace(curve: Curve, epochs_done: float, running: float, data: Data, recipe: Recipe) -> Pace:
    """`running` are the seconds of the epoch under way."""
    elapsed = sum(curve.seconds) + running
    accuracy = curve.test_accuracy[-1] if curve.test_accuracy else None
    speed = epochs_done * data.train.samples / elapsed if elapsed else 0.0
    left = (recipe.epochs - epochs_done) * elapsed / epochs_done if epochs_done else math.inf
    return Pace(epochs_done, accuracy, speed, left)
