"""Poisson coding: a pixel fires at random, the more often the brighter it is.

A draw depends on nothing but the seed, the image, its showing, the pixel and the step: counted, not taken from a
stream. So it is the same after a resume, for any chunks of time, any batch, any number of processes, and in both halves
of a fold proof; and another one in every epoch.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from baselines.parts.counted import GOLDEN, mixed, signed, uniform


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
        counter = _counters(images, seed if showings is None else seed + mixed(showings).view(-1, 1))
        draws = (uniform(counter + signed(GOLDEN * (step + 1))) for step in range(first, first + steps))
        return torch.cat([torch.sign(images) * (r.to(images.dtype) <= self.gain * images.abs()) for r in draws])


def _counters(images: Tensor, seed: Tensor) -> Tensor:
    """A whole number for every pixel, by place, the content of its image, and `seed`, one for all or (B, 1)."""
    bits = images.float().contiguous().view(torch.int32).long().flatten(1)
    place = torch.arange(bits.shape[1], device=images.device) * signed(GOLDEN)
    content = mixed(bits ^ mixed(place)).sum(1, keepdim=True)  # whole numbers: any order of the sum gives the same
    return mixed(place ^ mixed(content + seed)).view(images.shape)
