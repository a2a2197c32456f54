"""The spiking neuron: one recurrence, charge -> normalise -> fire -> reset, and the one loop over time.

A neuron of the literature differs in what it plugs into the four places; none has a loop of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from baselines.kernels import dispatch
from baselines.kernels.recurrence import columns
from baselines.parts import moments
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
    """v(t) = u(t) (1 - s(t)) (Eq. 2). The surrogate gradient flows through the reset too, unless it is detached."""

    detach: bool = False

    def __call__(self, u: Tensor, s: Tensor) -> Tensor:
        return u * (1 - (s.detach() if self.detach else s))


Carry: TypeAlias = Literal["raw", "normalised"]
"""Which potential goes on to the next step: u(t) (Eq. 2), or z(t), with which MPBN no longer folds into V."""


Place: TypeAlias = Literal["map", "inside", "hidden", "shortcut"]
"""Where a layer of neurons stands: after a convolution, within a residual block, in a fully connected layer, on a
shortcut. Some parts mean only some of them."""


class Fire(nn.Module):
    """s(t) = H(z(t) - V) with a surrogate gradient."""

    def __init__(self, v_th: float, surrogate: Surrogate) -> None:
        super().__init__()
        self.v_th, self.surrogate = v_th, surrogate

    def forward(self, z: Tensor) -> Tensor:
        return spike(z, self.v_th, self.surrogate)

    def extra_repr(self) -> str:
        return f"v_th={self.v_th}, surrogate={self.surrogate}"


class FoldedFire(nn.Module):
    """s(t) = 1 iff sign · u(t) > θ, one θ and sign a channel or element. For inference: it has no gradient.

    The sign is -1 where λ < 0, since there the comparison turns round, which the paper leaves out.
    """

    thresholds: Tensor
    """(H·W·C,), as channels-last activations lie in memory; so are the signs, None where all are +1."""
    signs: Tensor | None

    def __init__(self, threshold: Tensor, sign: Tensor) -> None:
        """Both (C, 1, 1) or (C, H, W)."""
        super().__init__()
        self.shape = tuple(threshold.shape)
        self.register_buffer("thresholds", columns(threshold, self.shape))
        self.register_buffer("signs", columns(sign, self.shape) if (sign < 0).any() else None)

    @property
    def threshold(self) -> Tensor:
        return self._frame(self.thresholds)

    @property
    def sign(self) -> Tensor | None:
        return None if self.signs is None else self._frame(self.signs)

    def _frame(self, column: Tensor) -> Tensor:
        channels, height, width = self.shape
        return column.view(height, width, channels).permute(2, 0, 1)

    def forward(self, u: Tensor) -> Tensor:
        oriented = u if self.sign is None else self.sign * u
        return (oriented > self.threshold).to(u.dtype)


class SpikingNeuron(nn.Module):
    """A layer of neurons: currents (T·B, C, H, W) -> spikes of the same shape. Starts every call from v(0) = 0."""

    place: Place = "map"
    shows_potential = False
    """Whether the spikes carry z along, as their attribute `potential`, for what follows the neuron."""

    def __init__(
        self,
        timesteps: int,
        charge: Callable[[Tensor, Tensor], Tensor],
        normalise: nn.Module,
        fire: nn.Module,
        reset: Callable[[Tensor, Tensor], Tensor],
        carry: Carry = "raw",
    ) -> None:
        super().__init__()
        self.timesteps, self.carry = timesteps, carry
        self.charge, self.normalise, self.fire, self.reset = charge, normalise, fire, reset

    def forward(self, x: Tensor) -> Tensor:
        x = x.float() if x.dtype == torch.bfloat16 else x  # potentials are never kept in half precision
        if (backend := dispatch.backend_for(self, x)) is not None:
            return dispatch.run(backend, self, x)
        return self.loop(x)

    def loop(self, x: Tensor) -> Tensor:
        """The reference: any parts, any precision, autograd backward."""
        currents = x.unflatten(0, (self.timesteps, -1))
        v = torch.zeros_like(currents[0])
        spikes, potentials = [], []
        for x_t in currents:
            u = self.charge(v, x_t)  # Eq. 1, Eq. 6
            z = self.normalise(u)  # Eq. 7; the identity without MPBN
            s = self.fire(z)  # Eq. 8
            v = self.reset(u if self.carry == "raw" else z, s)  # Eq. 2: on u, since only then MPBN folds into V
            spikes.append(s)
            if self.observed:
                potentials.append(z)
        return self._shown(torch.cat(spikes), potentials)

    def _shown(self, s: Tensor, potentials: list[Tensor]) -> Tensor:
        """The spikes, after the potentials were shown to whom it concerns."""
        if potentials:
            z = torch.cat(potentials)
            if moments.wanted():
                moments.tell(z, self.fire.v_th, self.place)  # type: ignore[arg-type]
            if self.shows_potential:
                s.potential = z  # type: ignore[attr-defined]
        return s

    @property
    def observed(self) -> bool:
        """Whether somebody wants to see the potentials, which back ends keep to themselves."""
        return self.shows_potential or moments.wanted()


@dataclass(frozen=True, kw_only=True)
class Neuron:
    """What is plugged into the recurrence. The default is the paper's LIF: τ = 0.25, V = 0.5, hard reset."""

    charge: Callable[[Tensor, Tensor], Tensor] = field(default_factory=Leak)
    normalise: PotentialNorm = field(default_factory=NoNorm)
    v_th: float = 0.5
    reset: Callable[[Tensor, Tensor], Tensor] = field(default_factory=HardReset)
    carry: Carry = "raw"

    def build(self, shape: tuple[int, int, int], timesteps: int, surrogate: Surrogate) -> SpikingNeuron:
        """A layer of neurons over one frame of `shape` (C, H, W)."""
        fire = Fire(self.v_th, surrogate)
        return SpikingNeuron(timesteps, self.charge, self.normalise.build(shape), fire, self.reset, self.carry)


LIF = Neuron()
