"""Units without potential, spikes or time, in the place of neurons: those of an ordinary network."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from baselines.parts.surrogates import Surrogate


class RectifiedLinear(nn.ReLU):
    """y(t) = max(0, x(t)). Real-valued."""

    real_valued = True


@dataclass(frozen=True, kw_only=True)
class ReLU:
    """Stands in a method's `neuron`; `v_th` is what a threshold-dependent normalisation scales by."""

    v_th: float = 0.5

    def build(self, shape: tuple[int, int, int], timesteps: int, surrogate: Surrogate) -> RectifiedLinear:
        return RectifiedLinear()
