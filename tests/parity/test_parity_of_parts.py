"""Our neurons, normalisers and objectives in a small network, and the cited ones in the same (`produce_parts.py`).

float64, 1e-9. Of GLIF and InfLoR-SNN, both with their tdBN, LTMD without and with its moderate dropout, PLIF, TET and
IM-Loss, each with its own constants and surrogate: every spike, logits, losses, all gradients, and after three steps
all parameters, running statistics and the evaluated network.

IM-Loss's term is the cited one, on potentials as its paper has it. Its published code takes the spikes (`x`,
models/spike_model.py:89) or the currents at the end of a block (`out`, :68) in their place, wants their mean at 0.5 / T
(models/distrloss_layer.py:18), leaves out the first and last layer, and has no surrogate that evolves.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from ours import compared, kept, of_cited
from small import (
    CHANNELS,
    CLASSES,
    INPUTS,
    SIDE,
    TIMESTEPS,
    Loss,
    cross_entropy,
    inputs,
    of_one_loss,
    uniform,
    watched,
)
from torch import Tensor, nn

from baselines.parts import leaks, moments, thresholds
from baselines.parts.gated import GLIF
from baselines.parts.moderate import SeenTwice
from baselines.parts.neurons import LIF, HardReset, Leak, Neuron, SoftReset
from baselines.parts.normalisations import BatchNorm, Normalisation, TdBN
from baselines.parts.objectives import AgreeingPasses, CentredPotentials, PerStep
from baselines.parts.rectified import Rectified
from baselines.parts.surrogates import ArcTan, Rectangle, Surrogate, Tanh, Triangle

ARRAYS = Path(__file__).with_name("parts.npz")
METHODS: dict[str, tuple[Normalisation, Neuron | GLIF, Surrogate]] = {
    "glif": (TdBN(), GLIF(), Rectangle()),
    "inflor": (
        TdBN(),
        Neuron(charge=Leak(1.0), normalise=Rectified(), reset=SoftReset(amount=1.0)),
        Rectangle(),
    ),
    "ltmd": (BatchNorm(), Neuron(threshold=thresholds.Tanh()), Rectangle()),
    "ltmd-moderate-dropout": (BatchNorm(), Neuron(threshold=thresholds.Tanh()), Rectangle()),
    "plif": (
        BatchNorm(),
        Neuron(charge=leaks.Sigmoid(0.5), v_th=1.0, strict=False, reset=HardReset(detach=True)),
        ArcTan(),
    ),
    "tet": (BatchNorm(), Neuron(charge=Leak(0.5), v_th=1.0), Triangle()),
    "im-loss": (BatchNorm(), LIF, Tanh(3.0)),
}
NAMES = {
    "glif": {"Vth": "threshold.w", "reVth": "charge.reset_by", "conduct": "charge.conductance"}
    | {name: f"charge.{name}" for name in ("alpha", "beta", "gamma", "tau", "leak")},
    "ltmd": {"w": "threshold.w"},
    "ltmd-moderate-dropout": {"w": "threshold.w"},
    "plif": {"w": "charge.w"},
}
"""Parameters of a neuron: cited name -> ours."""


def our_name(method: str, cited: str) -> str:
    place, *rest = cited.split(".")
    leaf = rest[-1]
    return f"{place}.{NAMES[method][leaf]}" if place in "25" else f"{place}.{leaf}"


class SeenTwiceAsThere(SeenTwice):
    """Ours, drawing what the cited code draws."""

    timesteps = TIMESTEPS

    def draws(self, keep: Tensor) -> Tensor:
        return uniform((2 * len(keep), keep.shape[1])).view(2, *keep.shape)


def network(method: str) -> nn.Sequential:
    normalisation, neuron, surrogate = METHODS[method]
    frame = (CHANNELS, SIDE, SIDE)
    return nn.Sequential(
        nn.Conv2d(INPUTS, CHANNELS, 3, padding=1, bias=False),
        normalisation.build(CHANNELS, TIMESTEPS, 0.5, 1),
        neuron.build(frame, TIMESTEPS, surrogate),
        nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, bias=False),
        normalisation.build(CHANNELS, TIMESTEPS, 0.5, 2),
        neuron.build(frame, TIMESTEPS, surrogate),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        SeenTwiceAsThere(CHANNELS, CLASSES, 0.2, bias=True) if "dropout" in method else nn.Linear(CHANNELS, CLASSES),
        nn.Unflatten(0, (TIMESTEPS, -1)),
    ).double()


class Listened(nn.Module):
    """Logits with the moments of the potentials, as a `Network` gives them to its penalty."""

    def __init__(self, body: nn.Sequential) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        tape: list[moments.Moments] = []
        with moments.written_to(tape):
            logits = self.body(x)
        logits.moments = tape
        return logits


def pulled(logits: Tensor, labels: Tensor) -> Tensor:
    return cross_entropy(logits, labels) + CentredPotentials(weight=2.0)(logits.moments)  # type: ignore[attr-defined]


LOSSES: dict[str, Loss] = {
    "tet": PerStep(weight=0.05, target=1.0),
    "im-loss": pulled,
    "ltmd-moderate-dropout": AgreeingPasses(0.5),
}


@pytest.mark.parametrize("method", METHODS)
def test_ours_is_the_cited_network(method: str) -> None:
    cited, body = kept(ARRAYS, method), network(method)
    parameters = of_cited(body, cited, [our_name(method, str(name)) for name in cited["names"]])
    model = Listened(body) if method == "im-loss" else body
    step = of_one_loss(model, LOSSES.get(method, cross_entropy))
    compared(model, parameters, inputs, step, watched([body[2], body[5]]), cited)


def test_the_arrays_stay_small() -> None:
    assert ARRAYS.stat().st_size < 100_000
