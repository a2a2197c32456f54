"""The trained network of a cell, everything folded, in parts that other programs understand."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from baselines.folding import fold_leaks, fold_norms, fold_thresholds
from baselines.network import Network
from baselines.parts.neurons import SpikingNeuron
from harness.measure import trained
from harness.spec import Cell
from harness.store import Store
from harness.train import worker
from harness.train.proof import recorded

SAMPLES = 64
"""Test samples on which an exported network is held against the one it was made from."""


def load(cell: Cell, store: Store, data_root: Path | None, plugins: tuple[str, ...] = ()) -> tuple[Network, Tensor]:
    """The folded network after the last epoch, in float32, and some test images. Raises UserError."""
    loaded = trained.load(cell, store, data_root, plugins)
    batches = [images for images, _ in worker.first(loaded.data, SAMPLES, cell.recipe.batch)]
    images = torch.cat(batches, dim=axis(batches[0]))
    return folded(loaded.network.cpu()), few(images, SAMPLES).cpu().float()


def axis(images: Tensor) -> int:
    """Of the samples: behind time in the frames of recordings, (T, B, C, H, W)."""
    return 1 if images.dim() == 5 else 0


def few(images: Tensor, count: int) -> Tensor:
    """The first samples, apart from the others: torch.export takes even the strides of a view for the program's."""
    return images.narrow(axis(images), 0, min(count, images.shape[axis(images)])).contiguous()


def folded(network: Network) -> Network:
    """Of convolutions, thresholds and resets alone; float32."""
    return fold_norms(fold_leaks(fold_thresholds(network.in_precision("float32")))).eval()


class Unrolled(nn.Module):
    """Images (B, C, H, W) -> class scores (B, classes), and with `spikes` those of every layer, (T·B, C, H, W).

    Of plain torch operations: the recurrence is written out over T, and no kernel of ours is called.
    """

    def __init__(self, network: Network, *, spikes: bool = False) -> None:
        super().__init__()
        self.network, self.spikes = copy.deepcopy(network).requires_grad_(False), spikes
        for name, layer in self.network.spiking_layers().items():
            self.network.body.set_submodule(name, Loop(layer))
        self.layers = [module for module in self.network.body.modules() if isinstance(module, Loop)]

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, ...]:
        for layer in self.layers:
            layer.tape = [] if self.spikes else None
        scores = self.network.method.readout(self.network(images))
        return (scores, *(layer.tape[0] for layer in self.layers if layer.tape)) if self.spikes else scores


class Loop(nn.Module):
    """A layer of neurons by its reference recurrence."""

    def __init__(self, neuron: SpikingNeuron) -> None:
        super().__init__()
        self.neuron = neuron
        self.tape: list[Tensor] | None = None

    def forward(self, x: Tensor) -> Tensor:
        spikes = self.neuron.loop(x)
        if self.tape is not None:
            self.tape.append(spikes)
        return spikes


@torch.no_grad()
def reference(network: Network, images: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Scores and spikes, as the harness computes them."""
    with recorded(network) as spikes:
        return network.predict(images), dict(spikes)


def agreement(
    network: Network, images: Tensor, run: Callable[[Tensor], tuple[Tensor, dict[str, Tensor]]]
) -> tuple[int, int, float]:
    """(spikes that differ, spikes compared, largest difference of a score) of `run` and the network itself."""
    (scores, spikes), (theirs, found) = reference(network, images), run(images)
    wrong = sum(int((spikes[name] != found[name]).sum()) for name in spikes)
    return wrong, sum(s.numel() for s in spikes.values()), float((scores - theirs).abs().max())
