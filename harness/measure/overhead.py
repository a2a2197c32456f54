"""`bench overhead`: what a method adds to a training step (Sec. 1: a trivial burden), method over method, all ours."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec
import torch
from torch import Tensor

import baselines
from baselines.kernels.traced import layers
from baselines.network import Network
from harness.measure.computed import computed_by
from harness.measure.implementations import Stepper
from harness.measure.judge import judged, timer_of
from harness.measure.memory import MIB, peak_bytes, saved_until
from harness.measure.pieces import Piece, Tell
from harness.measure.sidebyside import interleave
from harness.measure.spec import CONTROL, Overhead, Setting, Timing

TOGETHER = 5
"""Methods that are interleaved with the reference and its control: more, and a round grows long."""


def pieces(bench: Overhead) -> Iterator[Piece]:
    """Of each setting, a few methods at a time."""
    trained = [name for name in bench.subject if name != bench.reference and _trains(name)]
    for grid in bench.grid:
        wanted = [name for name in trained if not grid.subject or name in grid.subject]
        groups = [wanted[first : first + TOGETHER] for first in range(0, len(wanted), TOGETHER)]
        for setting in grid.settings():
            for number, group in enumerate(groups, start=1):
                told = f"{number} of {len(groups)}" if len(groups) > 1 else ""
                take = functools.partial(_take, setting, bench, group, told, grid.rounds or bench.rounds)
                yield Piece(f"{setting.title}{f', {told}' if told else ''}", take)


def remarks(bench: Overhead) -> tuple[str, ...]:
    untrained = [name for name in bench.subject if not _trains(name)]
    return (f"Without a training step, since only converted: {', '.join(untrained)}.",) if untrained else ()


def _trains(method: str) -> bool:
    return baselines.METHODS.get(method).procedure.trains


def _take(
    setting: Setting, bench: Overhead, methods: Sequence[str], group: str, rounds: int, device: torch.device, tell: Tell
) -> Iterator[Timing]:
    def step(method: str) -> Step:
        return Step(msgspec.structs.replace(setting, method=method), device, bench.surrogate)

    def in_parts(shown: int) -> InParts:
        return in_parts_of(msgspec.structs.replace(setting, method=bench.reference), shown, device, bench.surrogate)

    apart = _apart(methods, setting.timesteps)
    parts = {shown: in_parts(shown) for shown in apart}
    steps: dict[str, Step | InParts] = {method: step(method) for method in (bench.reference, *methods)}
    steps |= {each.title: each for each in parts.values()}
    with layers.at_once():  # a training of hours makes these kernels in its first seconds
        figures = {method: each.memory(device) for method, each in steps.items()}
        computed = {method: computed_by(each) for method, each in steps.items()}
    controls: dict[str, Step | InParts] = {CONTROL: step(bench.reference)}
    controls |= {f"{CONTROL}, {each.title}": in_parts(shown) for shown, each in parts.items()}
    samples = interleave({**steps, **controls}, rounds, timer_of(device))
    against = {bench.reference: (CONTROL, tuple(steps))}
    against |= {each.title: (f"{CONTROL}, {each.title}", (each.title, *apart[n])) for n, each in parts.items()}
    for reference, (control, subjects) in against.items():
        taken = {subject: samples[subject] for subject in subjects}
        for timing in judged(setting, taken, reference, samples[control], figures=figures):
            yield msgspec.structs.replace(timing, group=group, computed=computed.get(timing.subject, ""))


def _apart(methods: Sequence[str], timesteps: int) -> Mapping[int, Sequence[str]]:
    """Timesteps that a procedure keeps at once -> its methods, where these are not the T of one network."""
    kept = {method: baselines.METHODS.get(method).procedure.at_once(timesteps) for method in methods}
    return {n: [m for m in methods if kept[m] == n] for n in dict.fromkeys(kept.values()) if n != timesteps}


class Step:
    """A training step as the method's procedure takes it, again and again on the same images; no optimiser."""

    def __init__(self, setting: Setting, device: torch.device, surrogate: str, implementation: str = "ours") -> None:
        made = Stepper(implementation, setting, device, surrogate)
        self.network, self.images, self.labels = made.network, made.images, made.labels

    def __call__(self) -> None:
        self._with(Hand(self.network))

    def memory(self, device: torch.device) -> dict[str, float]:
        """MiB that are saved where the way back begins, and that a step adds at its peak."""
        self()  # what is made once is not the step's
        with saved_until(self.network) as weigh:
            scales = Scales(self.network, weigh)
            self._with(scales)
        peak = peak_bytes(self, device)
        return {"MiB saved": scales.most / MIB} | ({"MiB at the peak": peak / MIB} if peak is not None else {})

    def _with(self, learner: Hand) -> None:
        self.network.method.procedure.step(self.network, self.images, self.labels, learner)


def in_parts_of(setting: Setting, kept: int, device: torch.device, surrogate: str) -> InParts:
    """What a step is made of that keeps `kept` timesteps at once, in steps of the setting's method.

    Fewer than T: as many steps as such a walk takes. More: a second network beside the first, rectified linear units in
    the place of its neurons (Joint A-SNN's ANN).
    """

    def step(timesteps: int, implementation: str = "ours") -> Step:
        return Step(msgspec.structs.replace(setting, timesteps=timesteps), device, surrogate, implementation)

    if kept < setting.timesteps:
        times = -(-setting.timesteps // kept)
        return InParts(f"{setting.method}, {times} × T = {kept}", [step(kept)] * times)
    ann = kept - setting.timesteps
    return InParts(f"{setting.method} and an ANN of T = {ann}", [step(setting.timesteps), step(ann, "bound")])


class InParts:
    """Several steps, one after another, as if they were one."""

    def __init__(self, title: str, parts: Sequence[Step]) -> None:
        self.title, self.parts = title, parts

    def __call__(self) -> None:
        for part in self.parts:
            part()

    def memory(self, device: torch.device) -> dict[str, float]:
        """The most of any of them."""
        found = [part.memory(device) for part in dict.fromkeys(self.parts)]
        return {name: max(each[name] for each in found) for name in found[0]}


class Hand:
    """The learner of a step that is only timed: it has gradients, and moves nothing."""

    def __init__(self, network: Network) -> None:
        self._network = network

    def zero(self) -> None:
        self._network.zero_grad(set_to_none=True)

    def backward(self, loss: Tensor, logits: Tensor) -> None:
        loss.backward()

    def update(self) -> None:
        pass


class Scales(Hand):
    """Weighs what is saved before each way back; the most of a step counts."""

    def __init__(self, network: Network, weigh: Callable[[], int]) -> None:
        super().__init__(network)
        self._weigh, self.most = weigh, 0

    def backward(self, loss: Tensor, logits: Tensor) -> None:
        self.most = max(self.most, self._weigh())
        super().backward(loss, logits)
