"""NeuNorm: what the neurons of a map's place have fired lately is taken from the spikes of each (Wu et al. 2019)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from baselines.kernels import recent
from baselines.parts.neurons import Place


class NeuNormalisation(nn.Module):
    """y_c(t) = s_c(t) - w_c r(t), r(t) = k r(t-1) + (1 - k) / C² · sum of s_c(t) over c, r(0) = 0. Real-valued."""

    real_valued = True

    def __init__(self, shape: tuple[int, int, int], timesteps: int, k: float) -> None:
        super().__init__()
        self.timesteps, self.k = timesteps, k
        self.w = nn.Parameter(torch.empty(shape))
        nn.init.kaiming_uniform_(self.w, a=math.sqrt(5))

    def forward(self, s: Tensor) -> Tensor:
        if not recent.serves(s, self.w):
            return self.loop(s)
        return recent.subtracted(s, self.w, self.timesteps, self.k, self._share(s.shape[1]))

    def _share(self, channels: int) -> float:
        return (1 - self.k) / channels**2

    def loop(self, s: Tensor) -> Tensor:
        """The reference: any device, any precision, autograd backward."""
        steps = s.unflatten(0, (self.timesteps, -1))
        shares = steps.sum(2, keepdim=True) * self._share(steps.shape[2])
        fired = [shares[0]]
        for share in shares[1:]:
            fired.append(self.k * fired[-1] + share)
        return (steps - self.w * torch.stack(fired)).flatten(0, 1)

    def extra_repr(self) -> str:
        return f"k={self.k}"


@dataclass(frozen=True)
class NeuNorm:
    """After the neurons of convolutions; w one number an element of the map."""

    k: float = 0.9

    def build(self, shape: tuple[int, int, int], timesteps: int, place: Place) -> NeuNormalisation | None:
        return None if place == "hidden" else NeuNormalisation(shape, timesteps, self.k)
