"""What a trained network's neurons integrate: u before MPBN, z after it, by layer and step; and the folded thresholds.

Read from the reference recurrence: a hook on what normalises the potential sees u(t) go in and z(t) come out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from baselines.folding import fold_thresholds
from baselines.network import Network
from baselines.parts.neurons import Fire, FoldedFire, SpikingNeuron
from harness.measure import trained
from harness.measure.trained import Batch
from harness.spec import Cell
from harness.store import Store
from harness.store.probes import QUANTILES, LayerStep, LayerThresholds, Potentials, Spread

SAMPLES = 500
"""Test samples."""
BATCH = 100
LOW, HIGH, BINS = -4.0, 4.0, 160
"""Of a histogram; the threshold of 0.5 is an edge."""


def of(cell: Cell, store: Store, data_root: Path | None, plugins: tuple[str, ...] = ()) -> Potentials:
    """Those of a finished cell, on test samples. Raises UserError."""
    loaded = trained.load(cell, store, data_root, plugins, test_samples=SAMPLES)
    split = loaded.data.test
    fires = [layer.fire for layer in loaded.network.spiking_layers().values()]
    return Potentials(
        weights=loaded.weights,
        data=split.fingerprint,
        split="test",
        samples=split.samples,
        device=next(loaded.network.parameters()).device.type,
        threshold=next((fire.v_th for fire in fires if isinstance(fire, Fire)), 0.0),
        low=LOW,
        high=HIGH,
        steps=steps(loaded.network, split.batches(BATCH)),
        thresholds=thresholds(loaded.network),
    )


@torch.no_grad()
def steps(network: Network, batches: Iterable[Batch]) -> tuple[LayerStep, ...]:
    """A layer and step each, in the order of the network; evaluation mode."""
    network.eval()
    layers = network.spiking_layers()
    tallies = {
        (name, step): (Tally(_threshold(layer)), Tally(_threshold(layer)))
        for name, layer in layers.items()
        for step in range(network.timesteps)
    }

    def add(name: str, step: int, u: Tensor, z: Tensor) -> None:
        before, after = tallies[name, step]
        before.add(u)
        if not isinstance(layers[name].normalise, nn.Identity):
            after.add(z)

    with watched(network, add):
        for images, _ in batches:
            network(images)
    return tuple(
        LayerStep(layer=name, step=step + 1, before=before.spread(), after=after.spread() if after.count else None)
        for (name, step), (before, after) in tallies.items()
    )


@contextmanager
def watched(network: Network, see: Callable[[str, int, Tensor, Tensor], None]) -> Iterator[None]:
    """A forward pass calls `see` with the layer, the step from 0, u and z, both (B, C, H, W)."""

    def hook(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        calls = 0

        def seen(module: nn.Module, inputs: tuple[Tensor, ...], z: Tensor) -> None:
            nonlocal calls
            see(name, calls % network.timesteps, inputs[0], z)
            calls += 1

        return seen

    layers = network.spiking_layers().items()
    hooks = [layer.normalise.register_forward_hook(hook(name)) for name, layer in layers]
    try:
        yield
    finally:
        for handle in hooks:
            handle.remove()


@torch.no_grad()
def thresholds(network: Network) -> tuple[LayerThresholds, ...]:
    """Of every layer whose normalised potential folds into a threshold a channel or element."""
    found = []
    for name, layer in fold_thresholds(network).spiking_layers().items():
        if isinstance(layer.fire, FoldedFire):
            sign = torch.ones(()) if layer.fire.sign is None else layer.fire.sign
            potential = (sign * layer.fire.threshold).double().flatten()  # sign · u > θ: from u = sign · θ on
            finite = potential[torch.isfinite(potential)]
            at = torch.tensor(QUANTILES, dtype=torch.float64, device=finite.device)
            found.append(
                LayerThresholds(
                    layer=name,
                    count=len(potential),
                    quantiles=tuple(torch.quantile(finite, at).tolist()) if len(finite) else (),
                    negative=float((sign < 0).expand_as(layer.fire.threshold).double().mean()),
                    infinite=1 - len(finite) / len(potential),
                )
            )
    return tuple(found)


@dataclass
class Tally:
    """Values, added up as they come."""

    threshold: float
    count: int = 0
    above: int = 0
    total: float = 0.0
    squares: float = 0.0
    counts: Tensor = field(default_factory=lambda: torch.zeros(BINS, dtype=torch.long))

    def add(self, values: Tensor) -> None:
        exact = values.double()
        self.count += exact.numel()
        self.above += int((values > self.threshold).sum())
        self.total += float(exact.sum())
        self.squares += float(exact.square().sum())
        places = ((exact - LOW) * (BINS / (HIGH - LOW))).floor().clamp(0, BINS - 1).long()
        self.counts += torch.bincount(places.flatten(), minlength=BINS).cpu()

    def spread(self) -> Spread:
        mean = self.total / self.count
        variance = max(0.0, self.squares / self.count - mean**2)
        counts = tuple(map(int, self.counts))
        return Spread(mean=mean, std=variance**0.5, above=self.above / self.count, counts=counts)


def _threshold(layer: SpikingNeuron) -> float:
    """V; a layer that has none counts no value as above it."""
    return layer.fire.v_th if isinstance(layer.fire, Fire) else float("nan")
