"""GLIF: a neuron whose leak, input and reset are mixtures of two kinds each, weighed by gates that are learned.

All quantities are sigmoids of learned numbers, one a channel: gates α, β, γ, decay τ, threshold V, linear leak l,
subtracted reset V_r, and the conductance g(t), one a channel and step. Defaults are those of the cited code, whose
decay and threshold are the paper's; its l = V / 8 does not change with T.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from baselines.parts.neurons import Fire, SpikingNeuron
from baselines.parts.spread import once, spread
from baselines.parts.surrogates import Surrogate
from baselines.parts.thresholds import Shifted

sigmoid = torch.sigmoid


class Constants(NamedTuple):
    """(1 - α) l, 1 - α (1 - τ), γ, (1 - γ) V_r, each (C, 1, 1)."""

    leak: Tensor
    left: Tensor
    gamma: Tensor
    taken: Tensor


class Gated(nn.Module):
    """Charge, reset and reception of the currents, which share the gates.

    u(t) = (1 - α (1 - τ)) u(t-1) (1 - γ s(t-1)) - (1 - α) l + x(t) (1 - β (1 - g(t))) - (1 - γ) V_r s(t-1)
    """

    def __init__(self, channels: int, timesteps: int, neuron: GLIF) -> None:
        super().__init__()

        def learned(value: float, *shape: int) -> nn.Parameter:
            return nn.Parameter(torch.full((*shape, channels, 1, 1), value).logit())

        self.alpha, self.beta, self.gamma = (learned(gate) for gate in neuron.gates)
        if neuron.spread:
            for gate in (self.alpha, self.beta, self.gamma):
                nn.init.uniform_(gate, -neuron.spread, neuron.spread)
        self.tau, self.leak = learned(neuron.tau), learned(neuron.leak)
        self.reset_by = learned(neuron.v_th)
        self.conductance = learned(neuron.conductance, timesteps)

    def receive(self, x: Tensor) -> Tensor:
        """(T·B, C, H, W): the currents, each step weighed by its conductance."""
        steps = x.unflatten(0, (len(self.conductance), -1))
        received = 1 - sigmoid(self.beta) * (1 - sigmoid(self.conductance))
        return torch.cat([x_t * spread(of_t, x_t) for x_t, of_t in zip(steps, received, strict=True)])

    def forward(self, v: Tensor, x: Tensor) -> Tensor:
        return v - self._over(v).leak + x

    def reset(self, u: Tensor, s: Tensor) -> Tensor:
        """What is left of u(t) and s(t) at the next step."""
        over = self._over(u)
        return over.left * u * (1 - over.gamma * s) - over.taken * s

    def _over(self, frames: Tensor) -> Constants:
        """The same at every step, each of the shape of `frames`."""
        return once(self, lambda: Constants(*(spread(each, frames) for each in self._constants())))

    def _constants(self) -> Constants:
        gamma = sigmoid(self.gamma)
        leak = (1 - sigmoid(self.alpha)) * sigmoid(self.leak)
        left = 1 - sigmoid(self.alpha) * (1 - sigmoid(self.tau))
        return Constants(leak, left, gamma, (1 - gamma) * sigmoid(self.reset_by))


@dataclass(frozen=True, kw_only=True)
class GLIF:
    """The gated neuron, channel-wise, which the cited code trains by `--soft-mode --tunable-lif --channel-wise`."""

    v_th: float = 0.5
    tau: float = 0.25
    leak: float = 0.0625
    conductance: float = 0.5
    gates: tuple[float, float, float] = (0.55, 0.65, 0.55)
    spread: float = 0.0
    """Where not 0, each gate begins at the sigmoid of a number drawn from ±spread (`--randomgate`: 0.1)."""

    def build(self, shape: tuple[int, int, int], timesteps: int, surrogate: Surrogate) -> SpikingNeuron:
        """A layer of neurons over one frame of `shape` (C, H, W)."""
        gated = Gated(shape[0], timesteps, self)
        threshold = Shifted(torch.full((shape[0], 1, 1), self.v_th).logit(), sigmoid, self.v_th, shape[0])
        fire = Fire(self.v_th, surrogate)
        return SpikingNeuron(
            timesteps, gated, nn.Identity(), fire, gated.reset, threshold=threshold, receive=gated.receive
        )
