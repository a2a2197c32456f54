"""Twenty steps of training by protocol `own`, beside those of the cited code (`produce_trajectories.py`).

float64: the loss of each step to 1e-8, the rate of each epoch, and every parameter that is left. Bundle and recipe are
those of `tables/protocols/own/`: optimiser, groups, decay and schedule come of the data, and only the epochs are fewer.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from ours import kept, of_cited
from small import CLASSES, TIMESTEPS, images
from summary import summarise
from torch import nn

from baselines import ARCHITECTURES, METHODS
from baselines.architectures._layers import hidden_classifier, pooled
from baselines.architectures._vgg import POOL
from baselines.method import Parts, Shape
from baselines.network import Network
from harness.spec import Recipe
from harness.tables import load_protocol, load_table
from harness.train.distributed import ALONE
from harness.train.learner import Learner
from harness.train.optimiser import learning_rate, make_optimiser
from harness.works import Works, steps

ARRAYS = Path(__file__).with_name("trajectories.npz")
EPOCHS, BATCHES = 10, 2
TWENTY = {"stem_channels": 3, "stages": [(3, 1, 1), (4, 1, 2), (5, 1, 2), (6, 1, 2)]}
NINETEEN = [(4, 1, 1), (5, 1, 2), (6, 1, 2)]


def two_linear(parts: Parts, shape: Shape, classes: int, width: float) -> list[nn.Module]:
    """GLIF's, of five hidden units."""
    pool = nn.AdaptiveAvgPool2d(1), nn.Flatten()
    return [*pool, nn.Linear(shape[0], 5, bias=False), nn.Linear(5, classes, bias=False)]


FEWER: dict[str, dict[str, Any]] = {
    "tet": {"stem_channels": 64, "stages": NINETEEN, "tail": pooled(hidden_classifier(5, bias=True))},
    "glif": {"stem_channels": 4, "stages": NINETEEN, "tail": two_linear},
    "plif": {"layers": (5, 5, 5, POOL, 5, 5, 5, POOL), "tail": hidden_classifier(12, votes=2)},
    "inflor-snn": TWENTY,
    "sew-resnet": TWENTY,
}
"""The channels and blocks that stand in the cited sources in the places of larger ones."""
NAMES = {"inflor-snn": "inflor", "sew-resnet": "sew"}
SIZES = {"inflor-snn": 16, "sew-resnet": 32}
TABLES = {"sew-resnet": "table4"}
GATED = ("alpha", "beta", "gamma", "tau", "w", "leak", "reset_by", "conductance")
"""A neuron's parameters, in the cited order."""


def of_the_row(method: str) -> tuple[str, str, Recipe]:
    """Bundle, architecture and recipe of the method's first row, for ten epochs."""
    own = load_protocol("own")
    assert isinstance(own, Works)
    row = next(row for row in load_table(TABLES.get(method, "table2")).row if row.method == method)
    step = steps(row, own, None, False)[-1]
    period = None if step.recipe.period is None else 4
    recipe = msgspec.structs.replace(step.recipe, epochs=EPOCHS, period=period, precision="float64")
    return step.method, step.architecture, recipe


def network(method: str, bundle: str, architecture: str) -> Network:
    made = METHODS.get(bundle)
    parts = Parts(method=made, timesteps=TIMESTEPS, surrogate=made.surrogate)  # type: ignore[arg-type]
    size, fewer = SIZES.get(method, 8), FEWER[method]

    body = ARCHITECTURES.get(architecture)(parts, (3, size, size), CLASSES, 1.0, **fewer)
    return Network(made, body, TIMESTEPS).double()


def in_cited_order(model: Network) -> Iterator[str]:
    """Those of a gated neuron as its code has them; all others come in the order of the network on both sides."""
    waiting: dict[str, str] = {}
    gated = any(name.endswith(".alpha") for name, _ in model.named_parameters())
    for name, _ in model.named_parameters():
        last = name.rpartition(".")[2]
        if not gated or last not in GATED:
            yield name
            continue
        waiting[last] = name
        if len(waiting) == len(GATED):
            yield from (waiting.pop(each) for each in GATED)


@pytest.mark.parametrize("method", FEWER)
def test_losses_are_those_of_the_cited_training(method: str) -> None:
    bundle, architecture, recipe = of_the_row(method)
    model, cited = network(method, bundle, architecture), kept(ARRAYS, NAMES.get(method, method))
    parameters = of_cited(model, cited, list(in_cited_order(model)))
    optimiser = make_optimiser(model, recipe)
    schedule, learner = learning_rate(optimiser, recipe), Learner(model, optimiser, ALONE)
    losses, rates = [], []
    model.train()
    for epoch in range(EPOCHS):
        schedule(epoch)
        rates.append([group["lr"] for group in optimiser.param_groups])
        for batch in range(BATCHES):
            frames, labels = map(torch.from_numpy, images(epoch * BATCHES + batch, SIZES.get(method, 8)))
            loss, _ = model.method.procedure.step(model, frames, labels, learner)
            losses.append(loss.item())
    np.testing.assert_allclose(losses, cited["losses"], rtol=0, atol=1e-8)
    last = [0, -1] if len(recipe.groups) else [0]
    np.testing.assert_allclose(np.array(rates)[:, last], cited["rates"][:, last], rtol=0, atol=1e-12)
    left = [summarise(name, p.detach().numpy().ravel()) for name, (p,) in parameters.items()]
    np.testing.assert_allclose(np.concatenate(left), cited["parameters"], rtol=0, atol=1e-7)


def test_a_trajectory_moves() -> None:
    """None of these trainings stands still, nor are they alike: what agrees above is no constant."""
    found = {method: kept(ARRAYS, NAMES.get(method, method)) for method in FEWER}
    for cited in found.values():
        assert len(cited["losses"]) == EPOCHS * BATCHES and np.ptp(cited["losses"]) > 0.05
        assert len(np.unique(cited["rates"][:, 0])) > 3
    assert np.ptp([cited["losses"][-1] for cited in found.values()]) > 0.05


def test_the_arrays_stay_small() -> None:
    assert ARRAYS.stat().st_size < 100_000
