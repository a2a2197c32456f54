"""What a method costs beside others, in one setting: a training step, and inference with all folded that folds.

All networks run in one process, interleaved (`sidebyside`), on noise: no time here depends on weights or images. The
first method is timed twice, from two networks built alike: where that control strays, nothing finer can be told.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import torch
from torch import Tensor

from baselines.folding import fold_leaks, fold_norms, fold_thresholds
from baselines.network import Network
from harness.measure.sidebyside import (
    WARMUP,
    Ratio,
    Timer,
    Work,
    cpu_timer,
    cuda_timer,
    interleave,
    ratio,
    verdict,
)
from harness.spec import Cell
from harness.train.build import network_of

BATCH = 16
"""At most, so that a comparison on a laptop takes seconds."""
FEWEST = 5
"""Rounds, however long they take."""
SAME = 0.02
CONTROL = "\N{RIGHTWARDS ARROW} control"
"""No method's name."""


@dataclass(frozen=True, kw_only=True)
class Beside:
    """One method over another: the ratio of its times, and what the control allows one to say."""

    ratio: Ratio
    verdict: str
    rounds: int


@dataclass(frozen=True, kw_only=True)
class Cost:
    """The first method beside another."""

    step: Beside
    latency: Beside | None
    """None where one of the two cannot be folded."""


def costs(
    mine: str,
    others: Sequence[str],
    cell: Cell,
    shape: tuple[int, int, int],
    classes: int,
    *,
    rounds: int,
    seconds: float,
) -> Mapping[str, Cost]:
    """By the name of the other method. `seconds`: about what a measurement may take; rounds are left out for it."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    timer = cuda_timer if device.type == "cuda" else cpu_timer
    built = functools.partial(_build, cell=cell, shape=shape, classes=classes, device=device)
    networks = {name: built(name) for name in (mine, *others)} | {CONTROL: built(mine)}
    images = _noise(cell, shape, min(cell.recipe.batch, BATCH)).to(device)
    labels = torch.arange(images.shape[-4], device=device) % classes
    steps = {name: functools.partial(_step, network, images, labels) for name, network in networks.items()}
    step = _timed(steps, mine, timer, rounds, seconds)
    folded = {name: found for name, network in networks.items() if (found := _folded(network)) is not None}
    passes = {name: functools.partial(_infer, network, images) for name, network in folded.items()}
    latency = _timed(passes, mine, timer, rounds, seconds) if mine in folded else {}
    return {name: Cost(step=step[name], latency=latency.get(name)) for name in others}


def _build(name: str, cell: Cell, shape: tuple[int, int, int], classes: int, device: torch.device) -> Network:
    """Initialised, its running statistics taken from noise, so that layers fire."""
    torch.manual_seed(0)
    network = network_of(msgspec.structs.replace(cell, method=name), shape, classes)
    network = network.to(device).in_precision(cell.recipe.precision)
    with torch.no_grad():
        for _ in range(3):
            network(_noise(cell, shape, 4).to(device))
    return network


def _noise(cell: Cell, shape: tuple[int, int, int], batch: int) -> Tensor:
    """(B, C, H, W): what an encoder for events takes as the same frame at every step."""
    return torch.randn(batch, *shape, generator=torch.Generator().manual_seed(0))


def _folded(network: Network) -> Network | None:
    try:
        return fold_norms(fold_leaks(fold_thresholds(network)))
    except TypeError:  # a part of the user's that no rule folds
        return None


def _step(network: Network, images: Tensor, labels: Tensor) -> None:
    network.zero_grad()
    network.loss(network(images), labels).backward()


@torch.inference_mode()
def _infer(network: Network, images: Tensor) -> None:
    network(images)


def _timed(work: Mapping[str, Work], mine: str, timer: Timer, rounds: int, seconds: float) -> dict[str, Beside]:
    start = time.perf_counter()
    for piece in work.values():
        piece()
    round_ = time.perf_counter() - start
    rounds = max(FEWEST, min(rounds, int(seconds / round_) - WARMUP))
    samples = interleave(work, rounds, timer)
    clock = next(iter(samples[mine]))
    control = ratio(samples[CONTROL][clock], samples[mine][clock])
    found = {name: ratio(samples[mine][clock], taken[clock]) for name, taken in samples.items()}
    return {
        name: Beside(ratio=one, verdict=verdict(one, control, SAME), rounds=rounds)
        for name, one in found.items()
        if name not in (mine, CONTROL)
    }
