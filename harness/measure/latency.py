"""`bench latency`: is a folded network as fast as the baseline (Sec. 4.2), and what do those cost that do not fold?"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from baselines.kernels.traced import layers
from baselines.network import Network
from harness.measure.judge import judged, timer_of
from harness.measure.networks import noise, prepared
from harness.measure.pieces import Piece, Tell
from harness.measure.sidebyside import interleave
from harness.measure.spec import CONTROL, Latency, Setting, Subject, Timing


def pieces(bench: Latency) -> Iterator[Piece]:
    """A setting each."""
    for grid in bench.grid:
        for setting in grid.settings():
            yield Piece(setting.title, functools.partial(_take, setting, bench, grid.rounds or bench.rounds))


def _take(setting: Setting, bench: Latency, rounds: int, device: torch.device, tell: Tell) -> Iterator[Timing]:
    images = noise(setting, device)

    def work(subject: Subject) -> Callable[[], Tensor]:
        return functools.partial(_infer, prepared(subject, setting, device), images)

    subjects = {subject.label: subject for subject in (bench.reference, *bench.subject)}
    pieces = {label: work(subject) for label, subject in subjects.items()} | {CONTROL: work(bench.reference)}
    samples = interleave(pieces, rounds, timer_of(device))
    bounds = {label: subject.within for label, subject in subjects.items()}
    yield from judged(setting, samples, bench.reference.label, samples.pop(CONTROL), bounds)


@torch.inference_mode()
def _infer(network: Network, images: Tensor) -> Tensor:
    with layers.at_once():
        return network(images)
