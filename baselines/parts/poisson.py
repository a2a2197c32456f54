"""Poisson coding: a pixel fires at random, the more often the brighter it is.

A draw depends on nothing but the seed, the image, its showing, the pixel and the step: counted, not taken from a
stream. So it is the same after a resume, for any chunks of time, any batch, any number of processes, and in both halves
of a fold proof; and another one in every epoch.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

MIX = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))
"""Shift and factor of the two rounds of splitmix64; a shift by 31 ends it."""
GOLDEN = 0x9E3779B97F4A7C15


@dataclass(frozen=True)
class Poisson:
    """s(t) = sign(x) · 1[r <= gain · |x|], r uniform in [0, 1): fires with a probability of |x| (Hybrid-Train)."""

    gain: float = 1.0

    def __call__(self, images: Tensor, timesteps: int) -> Tensor:
        return self.at(images, 0, timesteps, torch.zeros((), dtype=torch.long, device=images.device))

    def rate(self, images: Tensor) -> Tensor:
        """Spikes, of either sign, that are to be expected of a pixel and step."""
        return (self.gain * images.abs()).clamp(max=1.0).mean()

    def at(self, images: Tensor, first: int, steps: int, seed: Tensor, showings: Tensor | None = None) -> Tensor:
        """(B, C, H, W) -> (t·B, C, H, W), of the timesteps from `first` on. Raises ValueError for event frames.

        `showings` (B,): a number for each time that each sample is shown.
        """
        if images.dim() != 4:
            raise ValueError("events are spikes already: Poisson coding is for still images")
        counter = _counters(images, seed if showings is None else seed + _mixed(showings).view(-1, 1))
        draws = (uniform(counter + _signed(GOLDEN * (step + 1))) for step in range(first, first + steps))
        return torch.cat([torch.sign(images) * (r.to(images.dtype) <= self.gain * images.abs()) for r in draws])


def uniform(counter: Tensor) -> Tensor:
    """In [0, 1), float32, of 24 bits; one for each whole number of 64 bits."""
    return (_shifted(_mixed(counter), 40)).to(torch.float32) * 2.0**-24


def _counters(images: Tensor, seed: Tensor) -> Tensor:
    """A whole number for every pixel, by place, the content of its image, and `seed`, one for all or (B, 1)."""
    bits = images.float().contiguous().view(torch.int32).long().flatten(1)
    place = torch.arange(bits.shape[1], device=images.device) * _signed(GOLDEN)
    content = _mixed(bits ^ _mixed(place)).sum(1, keepdim=True)  # whole numbers: any order of the sum gives the same
    return _mixed(place ^ _mixed(content + seed)).view(images.shape)


def _mixed(x: Tensor) -> Tensor:
    for shift, factor in MIX:
        x = (x ^ _shifted(x, shift)) * _signed(factor)
    return x ^ _shifted(x, 31)


def _shifted(x: Tensor, by: int) -> Tensor:
    """To the right, zeros coming in: torch's own brings in the sign."""
    return (x >> by) & ((1 << (64 - by)) - 1)


def _signed(number: int) -> int:
    """The 64 bits of `number` as torch's whole numbers have them."""
    return (number + 2**63) % 2**64 - 2**63
