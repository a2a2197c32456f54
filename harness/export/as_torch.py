"""``NAME.pt2``: a program of torch.export, which needs torch alone: ``torch.export.load(path).module()(images)``."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from torch import Tensor

from baselines.network import Network
from harness.export.network import Unrolled, axis, few


def write(network: Network, images: Tensor, path: Path, *, spikes: bool = False) -> Path:
    """For batches of any size; float32."""
    module = Unrolled(network, spikes=spikes).eval()
    batch = torch.export.Dim("batch", min=1)
    path = path.with_suffix(".pt2")
    with torch.no_grad(), warnings.catch_warnings():  # of spikes on their way out, and of channels-last weights
        warnings.simplefilter("ignore")
        program = torch.export.export(module, (few(images, 2),), dynamic_shapes=({axis(images): batch},))
        torch.export.save(program, path)
    return path


def run(path: Path, names: list[str], images: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Scores and spikes of a program written with `spikes`."""
    scores, *spikes = torch.export.load(path).module()(images)
    return scores, dict(zip(names, spikes, strict=True))
