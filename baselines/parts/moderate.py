"""Moderate dropout: each sample is seen twice, and what fires least is most often left out (LTMD, Wang et al. 2022)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from baselines.parts import synchronised
from baselines.parts.counted import GOLDEN, mixed, signed, uniform
from baselines.parts.synapse import Plain


def keep_probability(activity: Tensor, rate: float) -> Tensor:
    """clamp(1 - r (1 - p) / (1 - mean of p), 0, 1) of `activity` (B, units), p that scaled to [0, 1] over the batch.

    The least activity cancels. Where all is equally active, nothing is left out; the cited code has 0 / 0 there.
    """
    lack = synchronised.largest(activity) - activity
    (mean,) = synchronised.mean_var(lack.reshape(-1, 1))[0]
    return (1 - rate * lack / mean.where(mean > 0, torch.ones_like(mean))).clamp(0, 1)


class SeenTwice(nn.Linear):
    """A linear layer that in training is shown each sample twice, and lacks other inputs each time, all steps alike.

    (T·B, inputs) -> (T·2B, outputs): of every step all samples, then all of them again. Units are left out by their
    mean activity over time, the others divided by their probability to be kept, through which gradients flow, as they
    do in the cited code. An ordinary layer until it is told of `timesteps`.
    """

    carries = True
    timesteps: int | None = None
    showings: Tensor | None = None
    """(B,): a number for each time that each sample is shown, which decides what is left out; None: torch's stream."""
    noise: Tensor

    def __init__(self, inputs: int, outputs: int, rate: float, *, bias: bool) -> None:
        super().__init__(inputs, outputs, bias=bias)
        self.rate = rate
        self.register_buffer("noise", torch.randint(2**31, ()))

    def forward(self, input: Tensor) -> Tensor:
        if not self.training or self.timesteps is None:
            return super().forward(input)
        steps = input.unflatten(0, (self.timesteps, -1))
        keep = keep_probability(steps.mean(0), self.rate)
        weigh = 1 / keep.where(keep > 0, torch.ones_like(keep))
        masks = [(r < keep) * weigh for r in self.draws(keep)]
        return super().forward(torch.cat([steps * mask for mask in masks], dim=1).flatten(0, 1))

    def draws(self, keep: Tensor) -> Tensor:
        """(2, B, units), uniform in [0, 1), for `keep` (B, units)."""
        if self.showings is None:
            return torch.rand(2, *keep.shape, device=keep.device)
        place = torch.arange(1, 2 * keep.shape[1] + 1, device=keep.device) * signed(GOLDEN)
        sample = mixed(self.noise + mixed(self.showings)).view(-1, 1)
        return uniform(sample + place).view(-1, 2, keep.shape[1]).transpose(0, 1)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, rate={self.rate}"


@dataclass(frozen=True)
class ModerateDropout(Plain):
    """For `TwoPasses`, which applies it to what the last linear layer receives; `rate` is left out on average."""

    rate: float = 0.2

    def linear(self, inputs: int, outputs: int, *, bias: bool) -> SeenTwice:
        return SeenTwice(inputs, outputs, self.rate, bias=bias)
