"""Our neurons and normalisers in a small network, and the cited ones in the same (`produce_parts.py`): float64, 1e-9.

Of GLIF with its tdBN, InfLoR-SNN with its tdBN, LTMD and PLIF, each with its own constants and surrogate: every spike,
logits, losses, all gradients, and after three steps all parameters, running statistics and the evaluated network.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from small import BATCH, CHANNELS, CLASSES, INPUTS, SIDE, STEPS, TIMESTEPS, inputs
from torch import Tensor, nn

from baselines.parts import leaks, thresholds
from baselines.parts.gated import GLIF
from baselines.parts.neurons import HardReset, Leak, Neuron, SoftReset
from baselines.parts.normalisations import BatchNorm, Normalisation, TdBN
from baselines.parts.rectified import Rectified
from baselines.parts.surrogates import ArcTan, Rectangle, Surrogate

METHODS: dict[str, tuple[Normalisation, Neuron | GLIF, Surrogate]] = {
    "glif": (TdBN(), GLIF(), Rectangle()),
    "inflor": (
        TdBN(),
        Neuron(charge=Leak(1.0), normalise=Rectified(), reset=SoftReset(amount=1.0)),
        Rectangle(),
    ),
    "ltmd": (BatchNorm(), Neuron(threshold=thresholds.Tanh()), Rectangle()),
    "plif": (
        BatchNorm(),
        Neuron(charge=leaks.Sigmoid(0.5), v_th=1.0, strict=False, reset=HardReset(detach=True)),
        ArcTan(),
    ),
}
NAMES = {
    "glif": {"Vth": "threshold.w", "reVth": "charge.reset_by", "conduct": "charge.conductance"}
    | {name: f"charge.{name}" for name in ("alpha", "beta", "gamma", "tau", "leak")},
    "ltmd": {"w": "threshold.w"},
    "plif": {"w": "charge.w"},
}
"""Parameters of a neuron: cited name -> ours."""


def our_name(method: str, cited: str) -> str:
    place, *rest = cited.split(".")
    leaf = rest[-1]
    return f"{place}.{NAMES[method][leaf]}" if place in "25" else f"{place}.{leaf}"


@cache
def arrays() -> dict[str, np.ndarray]:
    with np.load(Path(__file__).with_name("parts.npz")) as file:
        return dict(file)


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
        nn.Linear(CHANNELS, CLASSES),
    ).double()


def close(ours: Tensor, theirs: np.ndarray) -> None:
    np.testing.assert_allclose(ours.detach().numpy(), theirs, rtol=0, atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_ours_is_the_cited_network(method: str) -> None:
    kept = {name.partition("/")[2]: array for name, array in arrays().items() if name.startswith(f"{method}/")}
    model = network(method)
    named = dict(model.named_parameters())
    ordered = [named[our_name(method, str(cited))] for cited in kept["names"]]
    assert len(ordered) == len(named)
    start = torch.from_numpy(kept["start"])
    with torch.no_grad():
        for p, begin in zip(ordered, start.split([p.numel() for p in ordered]), strict=True):
            p.copy_(begin.view(p.shape))
    spikes: list[Tensor] = []
    for place in (2, 5):
        model[place].register_forward_hook(lambda module, x, s: spikes.append(s.detach()))
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    losses = []
    for step in range(STEPS):
        images, labels = inputs(step)
        logits = model(torch.from_numpy(images)).unflatten(0, (TIMESTEPS, BATCH))
        loss = nn.functional.cross_entropy(logits.mean(0), torch.from_numpy(labels))
        optimiser.zero_grad()
        loss.backward()
        losses.append(loss.detach())
        if step == 0:
            fired = torch.stack(spikes).contiguous()
            assert np.array_equal(np.packbits(fired.numpy().astype(bool)), kept["spikes"])
            assert 0.02 < fired.mean() < 0.98
            close(logits, kept["logits"])
            close(flat([p.grad for p in ordered]), kept["gradients"])
        optimiser.step()
    close(torch.stack(losses), kept["losses"])
    close(flat(ordered), kept["parameters"])
    statistics = [b for end in ("mean", "var") for name, b in model.named_buffers() if name.endswith(end)]
    close(flat(statistics), kept["statistics"])
    model.eval()
    close(model(torch.from_numpy(inputs(0)[0])).unflatten(0, (TIMESTEPS, BATCH)), kept["evaluated"])


def flat(tensors: list[Tensor] | list[Tensor | None]) -> Tensor:
    return torch.cat([tensor.detach().flatten() for tensor in tensors if tensor is not None])


def test_every_gradient_of_the_file_says_something() -> None:
    """Of each parameter some entry is not zero; and the file stays small."""
    for method in METHODS:
        sizes = [p.numel() for p in network(method).parameters()]
        assert arrays()[f"{method}/gradients"].size == sum(sizes)
        assert np.count_nonzero(arrays()[f"{method}/gradients"]) > 0.8 * sum(sizes)
    assert Path(__file__).with_name("parts.npz").stat().st_size < 100_000
