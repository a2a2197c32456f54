"""The spiking neuron: one recurrence, charge -> normalise -> fire -> reset, and the one loop over time.

A neuron of the literature differs in what it plugs into the four places; none has a loop of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from baselines.parts import fused
from baselines.parts.potential import NoNorm, PotentialNorm
from baselines.parts.surrogates import Surrogate, spike


@dataclass(frozen=True)
class Leak:
    """u(t) = τ v(t-1) + x(t) (Eq. 1)."""

    tau: float = 0.25

    def __call__(self, v: Tensor, x: Tensor) -> Tensor:
        return torch.add(x, v, alpha=self.tau)


@dataclass(frozen=True)
class HardReset:
    """v(t) = u(t) (1 - s(t)) (Eq. 2). Not detached: the surrogate gradient flows through the reset too."""

    def __call__(self, u: Tensor, s: Tensor) -> Tensor:
        return u * (1 - s)


class Fire(nn.Module):
    """s(t) = H(z(t) - V) with a surrogate gradient."""

    def __init__(self, v_th: float, surrogate: Surrogate) -> None:
        super().__init__()
        self.v_th, self.surrogate = v_th, surrogate

    def forward(self, z: Tensor) -> Tensor:
        return spike(z, self.v_th, self.surrogate)

    def extra_repr(self) -> str:
        return f"v_th={self.v_th}, surrogate={self.surrogate}"


class SpikingNeuron(nn.Module):
    """A layer of neurons: currents (T·B, C, H, W) -> spikes of the same shape. Starts every call from v(0) = 0."""

    def __init__(
        self,
        timesteps: int,
        charge: Callable[[Tensor, Tensor], Tensor],
        normalise: nn.Module,
        fire: nn.Module,
        reset: Callable[[Tensor, Tensor], Tensor],
    ) -> None:
        super().__init__()
        self.timesteps = timesteps
        self.charge, self.normalise, self.fire, self.reset = charge, normalise, fire, reset

    def forward(self, x: Tensor) -> Tensor:
        if fused.serves(self, x):
            return fused.run(self, x)
        currents = x.unflatten(0, (self.timesteps, -1))
        v = torch.zeros_like(currents[0])
        spikes = []
        for x_t in currents:
            u = self.charge(v, x_t)  # Eq. 1, Eq. 6
            z = self.normalise(u)  # Eq. 7; the identity without MPBN
            s = self.fire(z)  # Eq. 8
            v = self.reset(u, s)  # Eq. 2, on the raw potential: only then does MPBN fold into V (Eq. 10)
            spikes.append(s)
        return torch.cat(spikes)


@dataclass(frozen=True, kw_only=True)
class Neuron:
    """What is plugged into the recurrence. The default is the paper's LIF: τ = 0.25, V = 0.5, hard reset."""

    charge: Callable[[Tensor, Tensor], Tensor] = field(default_factory=Leak)
    normalise: PotentialNorm = field(default_factory=NoNorm)
    v_th: float = 0.5
    reset: Callable[[Tensor, Tensor], Tensor] = field(default_factory=HardReset)

    def build(self, shape: tuple[int, int, int], timesteps: int, surrogate: Surrogate) -> SpikingNeuron:
        """A layer of neurons over one frame of `shape` (C, H, W)."""
        fire = Fire(self.v_th, surrogate)
        return SpikingNeuron(timesteps, self.charge, self.normalise.build(shape), fire, self.reset)


LIF = Neuron()
