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
        part = msgspec.structs.replace(setting, timesteps=shown)
        return InParts(Step(msgspec.structs.replace(part, method=bench.reference), device, bench.surrogate), setting)

    walks = _walks(methods, setting.timesteps)
    parts = {shown: in_parts(shown) for shown in walks}
    steps: dict[str, Step | InParts] = {method: step(method) for method in (bench.reference, *methods)}
    steps |= {f"{bench.reference}, {each.title}": each for each in parts.values()}
    with layers.at_once():  # a training of hours makes these kernels in its first seconds
        figures = {method: each.memory(device) for method, each in steps.items()}
        computed = {method: computed_by(each) for method, each in steps.items()}
    controls: dict[str, Step | InParts] = {CONTROL: step(bench.reference)}
    controls |= {f"{CONTROL}, {each.title}": in_parts(shown) for shown, each in parts.items()}
    samples = interleave({**steps, **controls}, rounds, timer_of(device))
    against = {bench.reference: (CONTROL, tuple(steps))}
    for shown, each in parts.items():
        name = f"{bench.reference}, {each.title}"
        against[name] = (f"{CONTROL}, {each.title}", (name, *walks[shown]))
    for reference, (control, subjects) in against.items():
        taken = {subject: samples[subject] for subject in subjects}
        for timing in judged(setting, taken, reference, samples[control], figures=figures):
            yield msgspec.structs.replace(timing, group=group, computed=computed.get(timing.subject, ""))


def _walks(methods: Sequence[str], timesteps: int) -> Mapping[int, Sequence[str]]:
    """Timesteps that a procedure shows at once -> methods whose procedure takes a training step so."""
    shown = {method: baselines.METHODS.get(method).procedure.at_once(timesteps) for method in methods}
    return {n: [m for m in methods if shown[m] == n] for n in dict.fromkeys(shown.values()) if n < timesteps}


class Step:
    """A training step as the method's procedure takes it, again and again on the same images; no optimiser."""

    def __init__(self, setting: Setting, device: torch.device, surrogate: str) -> None:
        made = Stepper("ours", setting, device, surrogate)
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


class InParts:
    """As many steps of the reference as a walk of a few timesteps at a time takes: what such a procedure is made of."""

    def __init__(self, part: Step, whole: Setting) -> None:
        self.part, self.times = part, -(-whole.timesteps // part.network.timesteps)
        self.title = f"{self.times} × T = {part.network.timesteps}"

    def __call__(self) -> None:
        for _ in range(self.times):
            self.part()

    def memory(self, device: torch.device) -> dict[str, float]:
        return self.part.memory(device)


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
