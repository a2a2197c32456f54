"""The spiking neuron: one recurrence, charge -> normalise -> fire -> reset, and the one loop over time.

A neuron of the literature differs in what it plugs into the four places; none has a loop of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, TypeAlias

import torch
from torch import Tensor, nn

from baselines.kernels import dispatch, normed
from baselines.kernels.recurrence import columns
from baselines.kernels.traced import layers
from baselines.parts import carried, moments
from baselines.parts.potential import NoNorm, PotentialNorm
from baselines.parts.spread import one_call
from baselines.parts.surrogates import Surrogate, spike
from baselines.parts.thresholds import Constant, Learned, Threshold


class Charge(Protocol):
    def build(self, shape: tuple[int, int, int]) -> Callable[[Tensor, Tensor], Tensor]:
        """v(t-1), x(t) -> u(t), all (B, C, H, W), for frames of `shape` (C, H, W)."""
        ...


class Reset(Protocol):
    def build(self, threshold: nn.Module | float) -> Callable[[Tensor, Tensor], Tensor]:
        """u(t), s(t) -> v(t), all (B, C, H, W); `threshold` is V, or the neuron's own threshold."""
        ...


@dataclass(frozen=True)
class Leak:
    """u(t) = τ v(t-1) + x(t) (Eq. 1)."""

    tau: float = 0.25

    def build(self, shape: tuple[int, int, int]) -> Leak:
        return self

    def __call__(self, v: Tensor, x: Tensor) -> Tensor:
        return torch.add(x, v, alpha=self.tau)


@dataclass(frozen=True)
class HardReset:
    """v(t) = u(t) (1 - s(t)) (Eq. 2). The surrogate gradient flows through the reset too, unless it is detached."""

    detach: bool = False

    def build(self, threshold: nn.Module | float) -> HardReset:
        return self

    def __call__(self, u: Tensor, s: Tensor) -> Tensor:
        return u * (1 - (s.detach() if self.detach else s))


@dataclass(frozen=True)
class SoftReset:
    """v(t) = u(t) - a s(t), where a is `amount`, or V itself where that is None."""

    amount: float | Learned | None = None
    detach: bool = False

    def build(self, threshold: nn.Module | float) -> SoftReset:
        """Raises TypeError where V is to be subtracted and changes with the spikes."""
        if self.amount is not None:
            return self
        if not isinstance(threshold, float | Learned):
            raise TypeError(f"a soft reset by V takes a constant or learned V, no {type(threshold).__name__}")
        return replace(self, amount=threshold)

    def __call__(self, u: Tensor, s: Tensor) -> Tensor:
        a = self.amount.value() if isinstance(self.amount, Learned) else self.amount
        assert a is not None, "build gives it V"
        return u - a * (s.detach() if self.detach else s)


Carry: TypeAlias = Literal["raw", "normalised"]
"""Which potential goes on to the next step: u(t) (Eq. 2), or z(t), with which MPBN no longer folds into V."""


Place: TypeAlias = Literal["map", "inside", "hidden", "shortcut"]
"""Where a layer of neurons stands: after a convolution, within a residual block, in a fully connected layer, on a
shortcut. Some parts mean only some of them."""


class Fire(nn.Module):
    """s(t) = H(z(t) - V) with a surrogate gradient; H(0) is 0 where `strict`, else 1."""

    def __init__(self, v_th: float, surrogate: Surrogate, strict: bool = True) -> None:
        super().__init__()
        self.v_th, self.surrogate, self.strict = v_th, surrogate, strict

    def forward(self, z: Tensor) -> Tensor:
        return spike(z, self.v_th, self.surrogate, self.strict)

    def extra_repr(self) -> str:
        return f"v_th={self.v_th}, surrogate={self.surrogate}" + ("" if self.strict else ", strict=False")


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

    carries = True
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
        threshold: nn.Module | None = None,
        receive: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        """`receive` takes the currents in, all steps at once, before the loop; it may differ from step to step."""
        super().__init__()
        self.timesteps, self.carry = timesteps, carry
        self.charge, self.normalise, self.fire, self.reset = charge, normalise, fire, reset
        self.threshold, self.receive = threshold, receive

    def forward(self, x: Tensor) -> Tensor:
        x = x.float() if x.dtype == torch.bfloat16 else x  # potentials are never kept in half precision
        if (norm := getattr(x, "left_to_neurons", None)) is not None:
            return normed.run(self, norm, x)
        backend = None if carried.walking() else dispatch.backend_for(self, x)  # which begin from v(0) = 0
        if backend is not None:
            return dispatch.run(backend, self, x)
        return layers.run(self, x, self.loop)

    def loop(self, x: Tensor) -> Tensor:
        """The reference: any parts, any precision, autograd backward."""
        with one_call():
            return self._steps(x)

    def _steps(self, x: Tensor) -> Tensor:
        x = x if self.receive is None else self.receive(x)
        currents, own = x.unflatten(0, (carried.steps(self.timesteps), -1)), self.threshold
        v, *memory = carried.recall(self) or (torch.zeros_like(currents[0]),) * (1 if own is None else 2)
        spikes, potentials = [], []
        for x_t in currents:
            u = self.charge(v, x_t)  # Eq. 1, Eq. 6
            z = self.normalise(u)  # Eq. 7; the identity without MPBN
            compared = z if own is None else own(z, *memory)
            s = self.fire(compared)  # Eq. 8
            v = self.reset(u if self.carry == "raw" else z, s)  # Eq. 2: on u, since only then MPBN folds into V
            memory = [] if own is None else [own.remember(*memory, s)]  # type: ignore[operator]
            spikes.append(s)
            if self.observed:
                potentials.append(compared)
        carried.remember(self, v, *memory)
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

    charge: Charge = field(default_factory=Leak)
    normalise: PotentialNorm = field(default_factory=NoNorm)
    v_th: float = 0.5
    threshold: Threshold = field(default_factory=Constant)
    strict: bool = True
    """Whether it fires at u > V (Eq. 8), or at u >= V."""
    reset: Reset = field(default_factory=HardReset)
    carry: Carry = "raw"

    def build(self, shape: tuple[int, int, int], timesteps: int, surrogate: Surrogate) -> SpikingNeuron:
        """A layer of neurons over one frame of `shape` (C, H, W)."""
        threshold = self.threshold.build(shape, self.v_th)
        return SpikingNeuron(
            timesteps,
            _built(self.charge, shape),
            self.normalise.build(shape),
            Fire(self.v_th, surrogate, self.strict),
            _built(self.reset, self.v_th if threshold is None else threshold),
            self.carry,
            threshold,
        )


def _built(part: Any, *given: object) -> Any:
    """What learns nothing may be the very function that computes it."""
    return part.build(*given) if hasattr(part, "build") else part


LIF = Neuron()
