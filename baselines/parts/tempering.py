"""Dspike's temperature: chosen anew before every epoch, by what the loss itself says of the first layer's weights.

Algorithm 1 of Li et al. 2021: the gradient of the first layer by central differences, weight by weight, on one batch;
of b, b + Δb and b - Δb that stays whose surrogate gradient has the largest cosine with it. Two forward passes a weight
of that layer; nothing but the temperature is changed by it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.parts import synchronised
from baselines.parts.surrogates import Tanh


@dataclass(frozen=True, kw_only=True)
class Retempered:
    """Stands in a method's `surrogate`. The published constants were not to be had: these are ours."""

    start: float = 1.0
    """b before the first epoch."""
    change: float = 0.2
    """Δb."""
    reach: float = 0.1
    """ε, how far each weight is moved to either side."""

    def of(self, temperature: float) -> Tanh:
        return Tanh(k=temperature)

    def choose(
        self, temperature: float, body: nn.Module, loss: Callable[[], Tensor], use: Callable[[Tanh], None]
    ) -> float:
        """The next temperature of a network in training. `loss` is that of one batch, or this process's part of it, the
        same at every call; `use` gives all neurons a surrogate, and leaves one of the candidates there.
        """
        weight = next(m.weight for m in body.modules() if isinstance(m, nn.Conv2d | nn.Linear))
        candidates = [b for b in (temperature, temperature + self.change, temperature - self.change) if b > 0]
        with repeated(body, loss) as again:
            slope = central_differences(weight, again, self.reach)
            cosines = []
            for candidate in candidates:
                use(self.of(candidate))
                (gradient,) = torch.autograd.grad(again(), weight)
                cosines.append(float(F.cosine_similarity(everyones(gradient).flatten(), slope.flatten(), dim=0)))
        return candidates[cosines.index(max(cosines))]


@torch.no_grad()
def central_differences(weight: Tensor, loss: Callable[[], Tensor], reach: float) -> Tensor:
    """(L(w + ε) - L(w - ε)) / 2ε for each w of `weight`, over all processes."""
    slope = torch.zeros_like(weight)
    for place in itertools.product(*map(range, weight.shape)):
        kept = weight[place].clone()
        weight[place] = kept + reach
        above = loss()
        weight[place] = kept - reach
        slope[place] = (above - loss()) / (2 * reach)
        weight[place] = kept
    return everyones(slope)


def everyones(part: Tensor) -> Tensor:
    """The sum over all processes."""
    if synchronised.needed():
        synchronised.collect(torch.distributed.all_reduce, part)
    return part


@contextmanager
def repeated(body: nn.Module, loss: Callable[[], Tensor]) -> Iterator[Callable[[], Tensor]]:
    """`loss`, with the same random draws at every call; statistics and generators are afterwards what they were."""
    buffers = [(buffer, buffer.clone()) for buffer in body.buffers()]
    devices = sorted({p.device.index for p in body.parameters() if p.is_cuda})

    def again() -> Tensor:
        with torch.random.fork_rng(devices):
            return loss()

    yield again
    for buffer, kept in buffers:
        buffer.copy_(kept)
