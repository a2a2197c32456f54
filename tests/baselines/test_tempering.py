"""Dspike's temperature: chosen as its algorithm says, by nothing but the loss, and nothing else is moved."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines import METHODS
from baselines.network import Network
from baselines.parts.surrogates import Tanh
from baselines.parts.tempering import Retempered, central_differences

SPEC = Retempered(start=3.0, change=0.5, reach=0.1)


def network(spec: Retempered = SPEC) -> tuple[Network, Callable[[], Tensor]]:
    """Two layers of neurons and a dropout over six samples and three steps, in float64; its loss."""
    torch.manual_seed(0)
    method = replace(METHODS.get("dspike"), surrogate=spec)
    neuron = method.neuron
    body = nn.Sequential(
        nn.Conv2d(1, 2, 2),
        nn.BatchNorm2d(2),
        neuron.build((2, 3, 3), 3, spec.of(spec.start)),
        nn.Dropout(0.2),
        nn.Conv2d(2, 4, 3),
        nn.BatchNorm2d(4),
        neuron.build((4, 1, 1), 3, spec.of(spec.start)),
        nn.Flatten(),
        nn.Linear(4, 3),
    )
    made = Network(method, body, 3).double().train()
    images, labels = torch.randn(6, 1, 4, 4), torch.arange(6) % 3
    return made, lambda: made.loss(made(images), labels)


def test_central_differences_are_those_of_the_loss() -> None:
    w = torch.tensor([[1.0, -2.0], [0.5, 3.0]], dtype=torch.float64)
    scale = torch.tensor([[1.0, 2.0], [3.0, -1.0]], dtype=torch.float64)
    kept = w.clone()
    found = central_differences(w, lambda: (scale * w**3).sum(), 0.1)
    torch.testing.assert_close(found, scale * (3 * kept**2 + 0.1**2))
    assert torch.equal(w, kept)


@pytest.mark.parametrize("reach", [0.1, 0.3, 0.9])
def test_the_temperature_whose_gradient_points_best_is_taken(reach: float) -> None:
    made, loss = network(replace(SPEC, reach=reach))
    weight = made.body[0].weight  # type: ignore[index]

    def again() -> Tensor:
        torch.manual_seed(1)  # one dropout mask for all
        return loss()

    slope = torch.zeros_like(weight).flatten()
    with torch.no_grad():
        for i in range(weight.numel()):
            flat, kept = weight.view(-1), float(weight.view(-1)[i])
            flat[i] = kept + reach
            above = again()
            flat[i] = kept - reach
            slope[i] = (above - again()) / (2 * reach)
            flat[i] = kept
    cosines = {}
    for b in (3.0, 3.5, 2.5):
        made.use(Tanh(b))
        (gradient,) = torch.autograd.grad(again(), weight)
        cosines[b] = float(F.cosine_similarity(gradient.flatten(), slope, dim=0))
    assert slope.abs().max() > 0 and len(set(cosines.values())) == 3
    made.begin_epoch(0, 1, again)
    assert float(made.temperature) == max(cosines, key=cosines.__getitem__)
    assert {layer.fire.surrogate for layer in made.spiking_layers().values()} == {Tanh(float(made.temperature))}


def test_nothing_but_the_temperature_is_changed() -> None:
    made, loss = network()
    before = {name: value.clone() for name, value in made.state_dict().items()}
    torch.manual_seed(7)
    random = torch.get_rng_state()
    made.begin_epoch(0, 1, loss)
    changed = {name for name, value in made.state_dict().items() if not torch.equal(value, before[name])}
    assert changed <= {"temperature"} and torch.equal(random, torch.get_rng_state())
    assert all(p.grad is None for p in made.parameters()) and made.training


def test_every_evaluation_draws_the_same_mask() -> None:
    """Else the differences would be those of the dropout."""
    made, loss = network()
    seen: list[Tensor] = []

    def masked() -> Tensor:
        seen.append(F.dropout(torch.ones(50), 0.5))
        return loss()

    made.begin_epoch(0, 1, masked)
    silent = torch.stack(seen)
    assert len(silent) == 2 * 8 + 3 and 0 < silent[0].mean() < 2
    assert all(torch.equal(silent[0], other) for other in silent)


def test_an_epoch_that_goes_on_keeps_its_temperature() -> None:
    """As does a network that is loaded: the temperature is saved with the weights."""
    made, _ = network()
    made.temperature.fill_(4.25)
    resumed, _ = network()
    resumed.load_state_dict(made.state_dict())
    resumed.begin_epoch(5, 9)
    assert float(resumed.temperature) == 4.25
    assert {layer.fire.surrogate for layer in resumed.spiking_layers().values()} == {Tanh(4.25)}


def test_a_temperature_stays_positive() -> None:
    """At 0 the tanh has no height."""
    made, loss = network(replace(SPEC, start=0.5))
    for epoch in range(4):
        made.begin_epoch(epoch, 4, loss)
        assert float(made.temperature) > 0 and math.isfinite(float(loss().detach()))


def test_without_a_slope_it_stays() -> None:
    made, _ = network()
    weight = made.body[0].weight  # type: ignore[index]
    made.begin_epoch(0, 1, lambda: (weight * 0).sum())  # type: ignore[operator]
    assert float(made.temperature) == 3.0


def test_other_methods_have_no_temperature() -> None:
    plain = Network(METHODS.get("vanilla"), nn.Linear(2, 2), 1)
    plain.begin_epoch(0, 1, lambda: pytest.fail("nothing is to be computed"))
    assert "temperature" not in plain.state_dict()
