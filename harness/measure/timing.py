"""How long an epoch of a cell takes, from a few of its steps."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path

import msgspec
import torch
from torch import Tensor

from baselines.network import LONG
from baselines.recompute import Recompute
from harness.spec import Cell
from harness.train.distributed import ALONE
from harness.train.learner import Learner
from harness.train.loop import make_optimiser
from harness.train.worker import prepare


def epoch(cell: Cell, data_root: Path | None, steps: int = 3, recompute: Recompute = "nothing") -> float:
    """Seconds that an epoch of `cell` takes, from the fastest of a few training steps and one of evaluation.

    Of more than `LONG` timesteps as many are timed, and the others taken to be alike.
    """
    shown = min(cell.timesteps, LONG)
    data, network = prepare(msgspec.structs.replace(cell, timesteps=shown), data_root)
    network.recompute = recompute
    network.train()
    procedure, learner = network.method.procedure, Learner(network, make_optimiser(network, cell.recipe), ALONE)
    batches = islice(data.train.epoch(cell.seed, 0, cell.recipe.batch), steps if procedure.trains else 0)
    trained = fastest(lambda images, labels: procedure.step(network, images, labels, learner), batches)
    network.eval()
    with torch.no_grad():
        tested = fastest(lambda images, labels: network(images), islice(data.test.batches(cell.recipe.batch), 2))
    whole = (trained * data.train.samples + tested * data.test.samples) / cell.recipe.batch
    return whole * cell.timesteps / shown


def fastest(run: Callable[[Tensor, Tensor], object], batches: Iterable[tuple[Tensor, Tensor]]) -> float:
    """Seconds that `run` takes of a batch; 0 where there is none."""
    seconds = []
    for images, labels in batches:
        start = time.perf_counter()
        run(images, labels)
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return min(seconds, default=0.0)
