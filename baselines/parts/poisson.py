"""Images as spikes at random: the input of what is coded by rates.

Every draw depends on the network's own number, the showing of the sample and the step alone, by integer arithmetic: not
on the batch that the sample is in, nor on what was drawn before, nor on the device. So a run that goes on, any number
of processes and both halves of a fold proof see the same spikes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from baselines.parts.readout import Repeat

WORD = 2**32


@dataclass(frozen=True)
class Poisson:
    """s(t) = sign(x) where r < |x| / `span`, else 0, r uniform in [0, 1), drawn for every pixel and step (BNTT).

    2 is the span of the cited code, for images of mean 0 and variance 1.
    """

    span: float = 2.0

    def __call__(self, images: Tensor, timesteps: int, keys: Tensor | None = None) -> Tensor:
        """(B, C, H, W) or frames (T, B, C, H, W) -> (T·B, C, H, W). `keys` (B,): a number for each sample; else 0, 1, …
        Raises ValueError for frames of another T.
        """
        x = Repeat()(images, timesteps)
        frames = x.unflatten(0, (timesteps, -1))
        if keys is None:
            keys = torch.arange(frames.shape[1], device=x.device)
        shape = (timesteps, 1, *x.shape[1:])
        places = mixed(torch.arange(x[0].numel() * timesteps, device=x.device)).view(shape)
        drawn = mixed((places + mixed(keys % WORD).view(-1, 1, 1, 1)) % WORD)
        fired = drawn.double() * (self.span / WORD) < frames.abs()
        return (frames.sign() * fired).flatten(0, 1)


def keys(noise: Tensor, showings: Tensor) -> Tensor:
    """Of `showings` (B,), in a network whose number is `noise`."""
    return mixed(showings % WORD) ^ mixed(noise)


def mixed(x: Tensor) -> Tensor:
    """int64 within [0, 2³²) -> the same, one to one: every bit of it turns on all of `x` (Wellons' lowbias32)."""
    x = x ^ (x // 2**16)
    x = x * 0x7FEB352D % WORD
    x = x ^ (x // 2**15)
    x = x * (0x846CA68B - WORD) % WORD  # the same modulo 2³², and no product leaves 63 bits
    return x ^ (x // 2**16)
