"""Spike-basedBP: gradients where a neuron fired, corrected for its leak; an output that leaks and never fires."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.parts import carried
from baselines.parts.neurons import Place
from baselines.parts.spike_time import weighted


@dataclass(frozen=True)
class LeakPassedThrough:
    """u(t) = τ v(t-1) + x(t), of which the gradient in v is 1."""

    tau: float = 0.99

    def build(self, shape: tuple[int, int, int]) -> LeakPassedThrough:
        return self

    def __call__(self, v: Tensor, x: Tensor) -> Tensor:
        return x + (v + (self.tau - 1) * v.detach())


@dataclass(frozen=True)
class WhereFired:
    """ds/dz = 1 / `v` where z > V, 0 where the neuron is silent: no estimate over all z."""

    v: float = 1.0

    def derivative(self, z: Tensor, v_th: float) -> Tensor:
        return (z > v_th).to(z.dtype) / self.v


def correction(trace: Tensor, count: Tensor, leak: float) -> Tensor:
    """G = 1[LF > 1e-3] + ln(l) LF / N, of the leaky trace LF and the number N of a neuron's spikes; 1 for N of none."""
    return (trace > 1e-3).to(trace.dtype) + math.log(leak) * trace / (count + (count < 1e-3))


class LeakCorrection(nn.Module):
    """The spikes; the gradient of each is multiplied by G of its neuron, known when all steps are over."""

    carries = True

    def __init__(self, timesteps: int, leak: float) -> None:
        super().__init__()
        self.timesteps, self.leak = timesteps, leak

    def forward(self, s: Tensor) -> Tensor:
        if carried.walking() or not torch.is_grad_enabled():
            return s
        steps = s.detach().unflatten(0, (self.timesteps, -1))
        trace = torch.zeros_like(steps[0])
        for s_t in steps:
            trace = self.leak * trace + s_t
        g = correction(trace, steps.sum(0), self.leak)
        return weighted(s, g.repeat(self.timesteps, *[1] * (g.dim() - 1)))


@dataclass(frozen=True)
class LeakCorrected:
    """After every layer of neurons that leaks."""

    leak: float = 0.99

    def build(self, shape: tuple[int, int, int], timesteps: int, place: Place) -> LeakCorrection:
        return LeakCorrection(timesteps, self.leak)


@dataclass(frozen=True)
class LeakyOutput:
    """Class scores are m(T) / T, m(t) = l (m(t-1) + y(t)): a potential that is read and never fires; its gradient as
    if it did not leak."""

    leak: float = 0.99

    def __call__(self, logits: Tensor) -> Tensor:
        """(T, B, classes) -> (B, classes)."""
        m = torch.zeros_like(logits[0])
        for y in logits.detach():
            m = self.leak * (m + y)
        mean = logits.mean(0)
        return mean + (m / len(logits) - mean).detach()


@dataclass(frozen=True)
class SquaredErrorOfOutput:
    """Squared error of a `LeakyOutput` to the one-hot label, summed over the classes."""

    leak: float = 0.99

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """(T, B, classes), (B,) -> a scalar, mean over the batch."""
        scores = LeakyOutput(self.leak)(logits)
        return (scores - F.one_hot(labels, scores.shape[1]).to(scores.dtype)).square().sum(1).mean()
