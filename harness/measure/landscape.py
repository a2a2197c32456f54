"""The loss along random directions through the trained weights, each filter as long as the network's own.

After Li et al., "Visualizing the Loss Landscape of Neural Nets" (NeurIPS 2018): d has entries from N(0, 1), and every
filter of it (of a linear layer: every neuron's weights) is scaled to the norm of the network's filter. Biases and the
parameters of normalisations, MPBN's included, do not move: all parameters with fewer than two dimensions.

A filter's scale means nothing where a normalisation follows. Moving the weights changes what that normalisation sees,
so the loss is taken twice: with the running statistics as they were trained, and with those of every BN and MPBN
re-estimated from the same samples at each point, as training would estimate them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.network import Network
from baselines.parts.potential import MPBN
from harness.measure import trained
from harness.measure.trained import Batch
from harness.spec import Cell
from harness.store import Store
from harness.store.probes import Landscape, LossCurve, Statistics

ALPHAS = (-1.0, -0.75, -0.5, -0.25, -0.125, 0.0, 0.125, 0.25, 0.5, 0.75, 1.0)
"""Closer where the curvature is taken."""
DIRECTIONS = (0, 1, 2)
SAMPLES = 200
"""Training samples: so few that a landscape takes half a minute of one core."""
BATCH = 100
"""Of one pass, and of one estimate of the statistics."""


def of(cell: Cell, store: Store, data_root: Path | None, plugins: tuple[str, ...] = ()) -> Landscape:
    """That of a finished cell, on training samples without augmentation. Raises UserError."""
    loaded = trained.load(cell, store, data_root, plugins, train_samples=SAMPLES)
    split = loaded.data.train
    return Landscape(
        weights=loaded.weights,
        data=split.fingerprint,
        split="train",
        samples=split.samples,
        device=next(loaded.network.parameters()).device.type,
        alphas=ALPHAS,
        moved=tuple(moved(loaded.network)),
        curves=curves(loaded.network, list(split.batches(BATCH)), DIRECTIONS, ALPHAS),
    )


def curves(
    network: Network,
    batches: Sequence[Batch],
    directions: Sequence[int],
    alphas: Sequence[float],
) -> tuple[LossCurve, ...]:
    """Along every direction, with both kinds of statistics. The network is left as it was."""
    found, origin = [], point(network, batches, {}, 0.0)  # where all directions meet
    for seed in directions:
        d = direction(network, seed)
        points = [point(network, batches, d, alpha) if alpha else origin for alpha in alphas]
        for statistics in get_args(Statistics):
            values = [each[statistics] for each in points]
            losses = tuple(value if math.isfinite(value) else None for value, _ in values)
            accuracies = tuple(accuracy for _, accuracy in values)
            found.append(LossCurve(direction=seed, statistics=statistics, loss=losses, accuracy=accuracies))
    return tuple(found)


def point(
    network: Network, batches: Sequence[Batch], d: Mapping[str, Tensor], alpha: float
) -> dict[Statistics, tuple[float, float]]:
    """Loss and accuracy at θ + α d, with both kinds of statistics."""
    with at(network, d, alpha):
        running = loss(network, batches)
        re_estimate(network, batches)
        return {"running": running, "re-estimated": loss(network, batches)}


def moved(network: nn.Module) -> dict[str, nn.Parameter]:
    """What a direction is made of, by name: the weights of convolutions and linear layers."""
    return {name: parameter for name, parameter in network.named_parameters() if parameter.dim() > 1}


def direction(network: nn.Module, seed: int) -> dict[str, Tensor]:
    """Name of the parameter -> d, of its shape.

    Drawn by seed and name, so that the same layer of another network gets the same one, up to the norms of filters.
    """
    found = {}
    for name, parameter in moved(network).items():
        weight = parameter.detach()
        drawn = torch.randn(weight.shape, generator=trained.seeded("direction", seed, name), dtype=torch.float64)
        drawn = drawn.to(weight.device)
        scale = norms(weight.double()) / norms(drawn)
        found[name] = (drawn * scale.view(-1, *[1] * (drawn.dim() - 1))).to(weight)
    return found


def norms(weight: Tensor) -> Tensor:
    """Of each filter, (filters,)."""
    return weight.flatten(1).norm(dim=1)


@contextmanager
def at(network: nn.Module, d: Mapping[str, Tensor], alpha: float) -> Iterator[None]:
    """Inside, the weights are θ + α d; afterwards all of the network is what it was, statistics and mode too."""
    kept = {name: value.detach().clone() for name, value in network.state_dict().items()}
    training = network.training
    try:
        with torch.no_grad():
            for name, part in d.items():
                network.get_parameter(name).add_(part, alpha=alpha)
        yield
    finally:
        network.load_state_dict(kept)
        network.train(training)


@torch.no_grad()
def loss(network: Network, batches: Sequence[Batch]) -> tuple[float, float]:
    """Mean cross-entropy of the class scores, in nats, and accuracy, in percent; with the statistics as they stand."""
    network.eval()
    total, hits, samples = 0.0, 0, 0
    for images, labels in batches:
        scores = network.predict(images)
        total += float(F.cross_entropy(scores.double(), labels, reduction="sum"))
        hits += int((scores.argmax(1) == labels).sum())
        samples += len(labels)
    return total / samples, 100.0 * hits / samples


@torch.no_grad()
def re_estimate(network: Network, batches: Sequence[Batch]) -> None:
    """Statistics of every normalisation anew: the mean over the batches of what one pass of training estimates.

    A pass with momentum m from zero leaves 1 - (1 - m)^k of the estimate, k updates later; MPBN makes one a timestep,
    which weighs the steps as training does.
    """
    network.train()
    buffers = [(module, name) for module in normalisations(network) for name in ("running_mean", "running_var")]
    sums = [torch.zeros_like(getattr(module, name)) for module, name in buffers]
    for images, _ in batches:
        for module, name in buffers:
            getattr(module, name).zero_()
        network(images)
        for total, (module, name) in zip(sums, buffers, strict=True):
            updates = network.timesteps if isinstance(module, MPBN) else 1
            assert isinstance(module.momentum, float)
            total += getattr(module, name) / (1 - (1 - module.momentum) ** updates) / len(batches)
    for total, (module, name) in zip(sums, buffers, strict=True):
        getattr(module, name).copy_(total)
    network.eval()


def normalisations(network: nn.Module) -> list[nn.Module]:
    """Modules that keep running statistics."""
    return [module for module in network.modules() if isinstance(getattr(module, "running_mean", None), Tensor)]
