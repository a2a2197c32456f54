"""The training loop. Knows a network, its data and a recipe; nothing of tables, stores or jobs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache, partial
from itertools import islice
from typing import NamedTuple

import torch
from torch import Tensor, nn

from baselines.network import Network
from baselines.procedures.procedure import Start
from harness import interrupts
from harness.data import Data
from harness.spec import Recipe
from harness.store.result import Curve
from harness.train.checkpoint import Checkpoint, State, unfit
from harness.train.distributed import ALONE, Group
from harness.train.epoch import Diverged, Epoch, check_finite
from harness.train.learner import Learner
from harness.train.optimiser import learning_rate, make_optimiser
from harness.train.tally import Tally, evaluate

__all__ = ["Diverged", "Pace", "Tally", "append", "evaluate", "learning_rate", "make_optimiser", "train"]


class Pace(NamedTuple):
    """Where training is, for whoever watches."""

    epochs_done: float
    """A whole number when an epoch has just ended."""
    accuracy: float | None
    """Of the last finished epoch, in percent."""
    images_per_second: float
    seconds_left: float
    words: str = ""
    """What it does besides training: what a procedure says of itself, how far an evaluation is."""


def train(
    network: Network,
    data: Data,
    recipe: Recipe,
    seed: int,
    checkpoint: Checkpoint,
    report: Callable[[Pace], None] = lambda pace: None,
    group: Group = ALONE,
    weights: Mapping[str, Tensor] | None = None,
) -> State:
    """Train `network` in place, resuming from `checkpoint`, and return the last state.

    A resumed run repeats an uninterrupted one to the bit: samples are drawn from (seed, epoch, batch), and the state
    of torch's generators is saved. Each process of a `group` calls this; the first alone saves.
    Raises Diverged, and Stopped after saving when asked to stop. `weights` are those that the network begins from.
    """
    optimiser = make_optimiser(network, recipe)
    state = resume(network, optimiser, checkpoint, group)
    schedule = learning_rate(optimiser, recipe)
    procedure, learner = network.method.procedure, Learner(network, optimiser, group)
    if state.epoch == 0 and state.underway is None:
        begin(network, data, recipe, seed, report, group, weights)

    with interrupts.deferred() as stop:
        for epoch in range(state.epoch, recipe.epochs):
            now = Epoch(state, seed * 1_000_003 + epoch, network, optimiser, checkpoint, stop, group)
            rate = schedule(epoch)

            network.train()
            first = first_loss(network, data, recipe, seed, epoch, group)
            network.begin_epoch(epoch, recipe.epochs, None if now.batches else first)
            share = data.train.epoch(seed, epoch, recipe.batch, start=now.batches, share=group.share)
            for images, labels in share if procedure.trains else ():
                learner.part = len(labels) / min(recipe.batch, data.train.samples - now.batches * recipe.batch)
                wanted = labels if not recipe.smoothing else softened(labels, data.classes, recipe.smoothing, network)
                loss, logits = procedure.step(network, images, wanted, learner)
                now.add(loss.detach(), network.method.readout(logits.detach()), labels)
                if now.pause() and (done := now.batches * recipe.batch) < data.train.samples:
                    report(pace(state.curve, epoch + done / data.train.samples, now.seconds, data, recipe))
            total = now.total.over(group)
            check_finite("the loss", total.loss, epoch)
            check_network(network, epoch, group)

            trained = pace(state.curve, epoch + procedure.trains, now.seconds, data, recipe)
            tell = partial(tell_test, now, trained, network.timesteps, report)
            test = evaluate(network, data.test.batches(recipe.batch, share=group.share), group, now.pause, tell)
            check_finite("the test loss", test.loss, epoch)
            curve = append(state.curve, total, test, rate, now.seconds)
            state = State(epoch + 1, network.state_dict(), optimiser.state_dict(), curve, state.resumed)
            if group.leads:
                checkpoint.save(state)
            report(pace(curve, epoch + 1, 0.0, data, recipe))
    return state


def tell_test(epoch: Epoch, pace: Pace, whole: int, report: Callable[[Pace], None], tested: int, t: int) -> None:
    """Of a long evaluation, behind the training of `pace`."""
    if epoch.beats():
        report(pace._replace(words=f"{tested} images tested, T = {t}/{whole}"))


def resume(network: Network, optimiser: torch.optim.Optimizer, checkpoint: Checkpoint, group: Group) -> State:
    """The state that the first process finds, put into everyone's `network` and `optimiser`."""
    state = group.tell(kept(network, optimiser, checkpoint) if group.leads else None, State | None)
    if state is None:
        group.start_alike(network.state_dict().values())
        return State(epoch=0, network={}, optimiser={}, curve=Curve())
    network.load_state_dict(state.network)
    optimiser.load_state_dict(state.optimiser)
    return replace(state, resumed=state.resumed + 1)


def begin(
    network: Network,
    data: Data,
    recipe: Recipe,
    seed: int,
    report: Callable[[Pace], None],
    group: Group,
    weights: Mapping[str, Tensor] | None,
) -> None:
    """What the procedure does before the first epoch: alike in all processes."""

    def images() -> Iterator[Tensor]:
        shown = (images for images, _ in data.train.epoch(seed, 0, recipe.batch))
        return shown if recipe.search is None else islice(shown, max(1, recipe.search[0] // recipe.batch))

    start = Start(
        weights=weights,
        images=images,
        tell=lambda words: report(Pace(0.0, None, 0.0, math.inf, words)),
        steps=None if recipe.search is None else recipe.search[1],
    )
    network.method.procedure.begin(network, start)
    group.start_alike(network.state_dict().values())


def kept(network: Network, optimiser: torch.optim.Optimizer, checkpoint: Checkpoint) -> State | None:
    """What `checkpoint` has for this network; one that does not fit is set aside."""
    state = checkpoint.load()
    if state is not None and (why := unfit(state, network, optimiser) or checkpoint.stray()):
        return checkpoint.set_aside(why)
    return state


def first_loss(
    network: Network, data: Data, recipe: Recipe, seed: int, epoch: int, group: Group
) -> Callable[[], Tensor]:
    """The loss of the epoch's first batch, or of this process's part of it; nothing is drawn until it is called."""

    @cache
    def batch() -> tuple[Tensor, Tensor]:
        return next(data.train.epoch(seed, epoch, recipe.batch, share=group.share))

    def loss() -> Tensor:
        images, labels = batch()
        logits = network(images)
        part = len(labels) / min(recipe.batch, data.train.samples)
        return network.loss(logits, labels) * part if part else network.nothing(logits)

    return loss


def check_network(network: Network, epoch: int, group: Group) -> None:
    """Raises Diverged: a neuron turns NaN into silence, so the loss may not show it.

    Raises RuntimeError if the processes' networks are not alike: then something was not summed over them.
    """
    sums = {name: float(tensor.sum()) for name, tensor in network.state_dict().items()}
    for name, value in sums.items():
        check_finite(name, value, epoch)
    for name, values in zip(sums, zip(*group.gather(list(sums.values()), list[float]), strict=True), strict=True):
        if len(set(values)) > 1:
            raise RuntimeError(f"{name} is not the same in all processes")


def softened(labels: Tensor, classes: int, smoothing: float, network: Network) -> Tensor:
    """(B, classes): the share of each class, for an objective that takes those."""
    hard = nn.functional.one_hot(labels, classes).to(next(network.parameters()).dtype)
    return hard * (1 - smoothing) + smoothing / classes


def append(curve: Curve, train: Tally, test: Tally, rate: float, seconds: float) -> Curve:
    trained = train.samples > 0
    entry = Curve(
        train_loss=(train.loss,) * trained,
        train_accuracy=(train.accuracy,) * trained,
        test_loss=(test.loss,),
        test_accuracy=(test.accuracy,),
        learning_rate=(rate,) * trained,
        seconds=(seconds,),
        by_timesteps=(test.after,),
    )
    return Curve(**{name: getattr(curve, name) + getattr(entry, name) for name in Curve.__struct_fields__})


def pace(curve: Curve, epochs_done: float, running: float, data: Data, recipe: Recipe) -> Pace:
    """`running` are the seconds of the epoch under way."""
    elapsed = sum(curve.seconds) + running
    accuracy = curve.test_accuracy[-1] if curve.test_accuracy else None
    speed = epochs_done * data.train.samples / elapsed if elapsed else 0.0
    left = (recipe.epochs - epochs_done) * elapsed / epochs_done if epochs_done else math.inf
    return Pace(epochs_done, accuracy, speed, left)
