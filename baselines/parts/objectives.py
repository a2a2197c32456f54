"""Objectives beside the cross-entropy of the mean, and penalties on the moments of the potentials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from baselines.parts.moments import Moments


@dataclass(frozen=True)
class PerStep:
    """(1 - λ) · mean over t of CE(y(t), label) + λ · mean of (y(t) - φ)², φ the threshold of its paper (TET)."""

    weight: float = 0.05
    target: float = 1.0

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """(T, B, classes), (B,) -> a scalar, mean over the batch."""
        every = F.cross_entropy(logits.flatten(0, 1), labels.repeat(len(logits)))
        regular = (logits - self.target).square().mean()
        return (1 - self.weight) * every + self.weight * regular


@dataclass(frozen=True)
class PerStepOneHot:
    """(1 - k) · mean over t of CE(y(t), label) + k · mean of (y(t) - one-hot label)² (OTTT)."""

    weight: float = 0.05

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """(T, B, classes), (B,) -> a scalar, mean over the batch."""
        every, wanted = logits.flatten(0, 1), labels.repeat(len(logits))
        one_hot = F.one_hot(wanted, every.shape[1]).to(every.dtype)
        return (1 - self.weight) * F.cross_entropy(every, wanted) + self.weight * F.mse_loss(every, one_hot)


@dataclass(frozen=True)
class CrossEntropyOfSum:
    """Cross-entropy of the sum over T: of a read-out that accumulates and does not leak (Hybrid-Train, Diet-SNN)."""

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """(T, B, classes), (B,) -> a scalar, mean over the batch."""
        return F.cross_entropy(logits.sum(0), labels)


@dataclass(frozen=True)
class SquaredErrorOfMean:
    """Mean of (mean over t of y(t) - one-hot label)²: of rates of output neurons (PLIF)."""

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """(T, B, classes), (B,) -> a scalar, mean over the batch."""
        rates = logits.mean(0)
        return F.mse_loss(rates, F.one_hot(labels, rates.shape[1]).to(rates.dtype))


@dataclass(frozen=True)
class AgreeingPasses:
    """Mean over the passes of CE of the mean over T + λ · KL of the one from the other, both ways, halved (LTMD).

    Of the divergence the mean over classes too, as the cited code has it. A batch that is shown once is only held
    against its labels.
    """

    weight: float = 0.5

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """(T, n·B, classes), n = 1 or 2, and (B,) -> a scalar, mean over the batch."""
        scores = logits.mean(0)
        passes = scores.chunk(2 if len(scores) > len(labels) else 1)
        loss = torch.stack([F.cross_entropy(each, labels) for each in passes]).mean()
        if len(passes) == 1:
            return loss
        one, other = (torch.log_softmax(each, 1) for each in passes)
        return loss + self.weight / 2 * (_divergence(one, other) + _divergence(other, one))


def _divergence(p: Tensor, q: Tensor) -> Tensor:
    return F.kl_div(p, q, reduction="none", log_target=True).mean()


@dataclass(frozen=True)
class CentredPotentials:
    """λ · sum over layers of (mean u - V)²: a neuron that fires as often as not tells most (IM-Loss).

    The neurons within residual blocks are left out.
    """

    weight: float = 2.0

    def __call__(self, layers: Sequence[Moments]) -> Tensor:
        return self.weight * sum(
            (each.mean.mean().square() for each in layers if each.place != "inside"), torch.tensor(0)
        )


@dataclass(frozen=True)
class ShapedPotentials:
    """λ · mean over layers and channels of two hinges on m = |mean u - V| and the standard deviation s of u.

    max(0, m - s)²: all potentials lie on one side of V; max(0, m + s - 1/2)²: they lie outside the surrogate's window.
    RecDis-SNN's formula is in no public source; this is a stand-in of its kind, and λ is ours.
    """

    weight: float = 0.1

    def __call__(self, layers: Sequence[Moments]) -> Tensor:
        return self.weight * torch.stack([self._shape(each).mean() for each in layers]).mean()

    def _shape(self, moments: Moments) -> Tensor:
        m, s = moments.mean.abs(), torch.sqrt(moments.var + 1e-12)  # a root of zero has no gradient
        return (m - s).clamp(min=0).square() + (m + s - 0.5).clamp(min=0).square()
