"""Our architectures, wirings, neurons and read-outs as other papers' code has them together (`produce_networks.py`).

float64, 1e-9: every spike, logits, losses, all gradients, and after three steps all parameters, running statistics and
the evaluated network. As cited:

- SEW ResNet, ADD (IF neurons, arctan), and Real Spike on it. Both run convolution and norm of the stem once, before the
  frame is repeated (`x = self.bn1(x)`, sew_resnet.py:211 and :234), so its running variance counts no copies: ours does
  as `Network` trains, and is called here as theirs is.
- InfLoR-SNN's ResNet20 with fewer blocks: tdBN in these, BN in the stem.
- MS-ResNet, whose network is its ResNet18 with fewer blocks. TEBN's and BNTT's VGG9, the latter without Poisson spikes,
  which are drawn anew in each step (`PoissonGen`, model.py:120). LIAF's convolutional cell, without its pool.
- LSNN's adaptive threshold with its neuron written out: the registered `lsnn` puts the threshold on the paper's neuron,
  for the cited one is not charge, fire, reset of one step. It fires from the potential of the step before (`v_scaled =
  (v - thr) / thr`, lsnn/spiking_models.py:329, with the v that line 326 has replaced), loses V(t) another step later
  (`I_reset = z * thr`, :324), scales its input by 1 - decay and is connected to itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
import torch
from ours import compared, kept, of_cited
from small import CHANNELS, CLASSES, INPUTS, SIDE, TIMESTEPS, cross_entropy, images, inputs, of_one_loss, watched
from torch import Tensor, nn

from baselines import ARCHITECTURES
from baselines.method import Method, Parts
from baselines.network import Network
from baselines.parts import leaks, thresholds
from baselines.parts.after import Followed
from baselines.parts.analog import Analog
from baselines.parts.coefficient import Coefficients
from baselines.parts.dropout import DropoutOverTime
from baselines.parts.neurons import HardReset, Leak, Neuron, SoftReset
from baselines.parts.normalisations import TEBN, BatchNorm
from baselines.parts.per_step import BNTT
from baselines.parts.rectified import Rectified
from baselines.parts.surrogates import ArcTan, Rectangle, Triangle, spike
from baselines.parts.wiring import AddAfter, NormalisedBlocks, PreActivation

ARRAYS = Path(__file__).with_name("networks.npz")
SEW = {
    "neuron": Neuron(charge=Leak(1.0), v_th=1.0, strict=False, reset=HardReset(detach=True)),
    "surrogate": ArcTan(),
    "wiring": AddAfter(),
}
SYSTEMS: dict[str, tuple[str, Method]] = {
    "sew": ("resnet18-sew", Method(**SEW)),  # type: ignore[arg-type]
    "real-spike": ("resnet18-sew", Method(**SEW, after=Coefficients())),  # type: ignore[arg-type]
    "ms": (
        "resnet18-ms",
        Method(neuron=Neuron(reset=HardReset(detach=True)), surrogate=Rectangle(), wiring=PreActivation()),
    ),
    "inflor": (
        "resnet20",
        Method(
            neuron=Neuron(charge=Leak(1.0), normalise=Rectified(), reset=SoftReset(amount=1.0)),
            surrogate=Rectangle(),
            wiring=NormalisedBlocks(),
        ),
    ),
    "tebn": ("vgg9-tebn", Method(normalisation=TEBN(), neuron=Neuron(v_th=1.0), surrogate=Triangle())),
    "bntt": (
        "vgg9-bntt",
        Method(
            normalisation=BNTT(),
            neuron=Neuron(charge=Leak(0.95), v_th=1.0, reset=SoftReset(detach=True)),
            surrogate=Triangle(0.3),
        ),
    ),
}
STRIDES = {"resnet18-sew": (1, 2, 2, 2), "resnet18-ms": (2, 2, 2, 2), "resnet20": (1, 2, 2, 2)}
"""Of the first blocks of the stages, which here are the only ones."""
SIZES = {
    "sew": (32, CLASSES),
    "real-spike": (32, CLASSES),
    "ms": (32, CLASSES),
    "inflor": (16, CLASSES),
    "tebn": (8, 10),
    "bntt": (8, CLASSES),
}
"""Of the images, and classes."""
ONCE = {"sew", "real-spike"}
"""Whose stem sees a frame once."""


def network(system: str) -> Network:
    architecture, method = SYSTEMS[system]
    size, classes = SIZES[system]
    parts = Parts(method=method, timesteps=TIMESTEPS, surrogate=method.surrogate)  # type: ignore[arg-type]
    fewer: Any = {}
    if strides := STRIDES.get(architecture):
        fewer = {"stem_channels": 3, "stages": [(c, 1, s) for c, s in zip((3, 4, 5, 6), strides, strict=True)]}
    body = ARCHITECTURES.get(architecture)(parts, (3, size, size), classes, 1.0 if fewer else 1 / 32, **fewer)
    for module in body.modules():
        if isinstance(module, DropoutOverTime):
            module.p = 0.0
    return Network(method, body, TIMESTEPS).double()


class AsCited(nn.Module):
    """Logits of every step, or where the cited network averages over time, `scores`."""

    def __init__(self, network: Network, *, once: bool, scores: bool) -> None:
        super().__init__()
        self.network, self.once, self.scores = network, once, scores

    def forward(self, frames: Tensor) -> Tensor:
        body: Any = self.network.body
        if self.once:
            stem = body[0](frames.contiguous(memory_format=torch.channels_last))
            logits = body[1:](stem.repeat(TIMESTEPS, 1, 1, 1)).unflatten(0, (TIMESTEPS, -1))
        else:
            logits = self.network(frames)
        return logits.mean(0) if self.scores else logits


def in_cited_order(names: Iterable[str]) -> list[str]:
    """Ours, but for Real Spike's second coefficient, which comes after the shortcut there."""
    groups = groupby(names, key=lambda name: name.split(".")[2])
    return [name for _, block in groups for name in sorted(block, key=lambda name: name.endswith("neuron2.after.a"))]


@pytest.mark.parametrize("system", SYSTEMS)
def test_ours_is_the_cited_system(system: str) -> None:
    cited, made = kept(ARRAYS, system), network(system)
    size, classes = SIZES[system]
    model = AsCited(made, once=system in ONCE, scores=cited["logits"].ndim == 2)
    parameters = of_cited(model, cited, in_cited_order(name for name, _ in model.named_parameters()))
    batches = partial(images, size=size, classes=classes)
    seen = watched(list(made.spiking_layers().values()))
    compared(model, parameters, batches, of_one_loss(model, cross_entropy), seen, cited)


def test_ours_is_the_cited_cell_of_liaf() -> None:
    cited, frame = kept(ARRAYS, "liaf"), (CHANNELS, SIDE, SIDE)
    neuron = Neuron(charge=leaks.Squashed(1 / (1 + math.exp(-0.5))), reset=HardReset(detach=True))
    layers: list[nn.Module] = []
    for channels in (INPUTS, CHANNELS):
        conv = nn.Conv2d(channels, CHANNELS, 3, padding=1)
        followed = Followed(neuron.build(frame, TIMESTEPS, Rectangle()), Analog())
        layers += [conv, BatchNorm().build(CHANNELS, TIMESTEPS, 0.5, 1), followed]
    tail = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(CHANNELS, CLASSES), nn.Unflatten(0, (TIMESTEPS, -1))
    model = nn.Sequential(*layers, *tail).double()
    cells = [
        [f"{i + 2}.neuron.charge.d"] + [f"{i + k}.{p}" for k in (0, 1) for p in ("weight", "bias")] for i in (0, 3)
    ]
    parameters = of_cited(model, cited, [*cells[0], *cells[1], "8.weight", "8.bias"])
    compared(model, parameters, inputs, of_one_loss(model, cross_entropy), watched([model[2], model[5]]), cited)


class Recurrent(nn.Module):
    """LSNN's neurons in the cited order, around our threshold."""

    def __init__(self, pixels: int, neurons: int) -> None:
        super().__init__()
        self.w_in, self.w_rec = nn.Parameter(torch.empty(pixels, neurons)), nn.Parameter(torch.empty(neurons, neurons))
        self.linear = nn.Linear(neurons, CLASSES)
        self.threshold = thresholds.Adaptive(tau=200.0).build((neurons, 1, 1), 0.03)
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        steps, decay = x.flatten(1).unflatten(0, (TIMESTEPS, -1)), math.exp(-1 / 20)
        others = self.w_rec * (1 - torch.eye(len(self.w_rec), dtype=torch.float64))
        v = z = a = torch.zeros(steps.shape[1], len(others), dtype=torch.float64)
        logits = []
        for x_t in steps:
            current = x_t @ self.w_in + z @ others
            a = self.threshold.remember(a, z)
            v_th = self.threshold.v_th + self.threshold.beta * a
            fired = spike(self.threshold(v, a), 0.03, Triangle(0.3 / 0.03, 0.03))
            v, z = decay * v + (1 - decay) * current - z * v_th, fired
            self.seen.append(z.detach())
            logits.append(self.linear(z))
        return torch.stack(logits)


def test_the_adaptive_threshold_is_that_of_lsnn() -> None:
    cited, model = kept(ARRAYS, "lsnn"), Recurrent(INPUTS * SIDE**2, 6).double()
    parameters = of_cited(model, cited, [name for name, _ in model.named_parameters()])
    compared(model, parameters, inputs, of_one_loss(model, cross_entropy), model.seen, cited)


def test_the_arrays_stay_small() -> None:
    assert ARRAYS.stat().st_size < 150_000
