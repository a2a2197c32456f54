"""`bench overhead`: what a method adds to a training step (Sec. 1: a trivial burden), method over method, all ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec
import torch

from harness.measure.implementations import Stepper
from harness.measure.judge import judged, timer_of
from harness.measure.sidebyside import interleave
from harness.measure.spec import CONTROL, Overhead, Setting, Timing


def timings(bench: Overhead, device: torch.device, tell: Callable[[str], None]) -> Iterator[Timing]:
    """Setting by setting; `tell` hears of each before it begins."""
    for grid in bench.grid:
        for setting in grid.settings():
            tell(setting.title)
            yield from _in(setting, bench, grid.rounds or bench.rounds, device)


def _in(setting: Setting, bench: Overhead, rounds: int, device: torch.device) -> Iterator[Timing]:
    def step(method: str) -> Stepper:
        return Stepper("ours", msgspec.structs.replace(setting, method=method), device, bench.surrogate)

    steps = {method: step(method) for method in dict.fromkeys((bench.reference, *bench.subject))}
    figures = {method: each.memory(device) for method, each in steps.items()}
    samples = interleave({**steps, CONTROL: step(bench.reference)}, rounds, timer_of(device))
    yield from judged(setting, samples, bench.reference, samples.pop(CONTROL), figures=figures)
