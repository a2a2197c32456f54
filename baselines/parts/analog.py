"""Neurons that pass their potential on, not their spikes, which only reset it (LIAF-Net)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from baselines.parts.neurons import Place

SCALE = 1.0507009873554805
"""SELU's slope above 0."""


class Analog(nn.Module):
    """y(t) = SELU(z(t)), clamped to [0, 1], so that only its slope above 0 is left of SELU."""

    reads_potential = real_valued = True

    def forward(self, s: Tensor) -> Tensor:
        return (s.potential * SCALE).clamp(0, 1)  # type: ignore[attr-defined]


@dataclass(frozen=True)
class AnalogOutput:
    """Of every layer of neurons."""

    def build(self, shape: tuple[int, int, int], timesteps: int, place: Place) -> Analog:
        return Analog()
