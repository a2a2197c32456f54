"""What a recipe says of optimiser, groups, rates and first weights is what the network trains by."""

from __future__ import annotations

import itertools
import math

import msgspec
import pytest
import torch
from torch import nn

from baselines import build
from baselines.network import Network
from baselines.parts.dropout import DropoutOverTime
from baselines.parts.readout import CrossEntropyOfMean
from harness import checks
from harness.errors import UserError
from harness.spec import Group, Recipe
from harness.store.result import Curve
from harness.train.initial import begun
from harness.train.loop import softened
from harness.train.optimiser import make_optimiser, rate_of

RECIPE = Recipe(epochs=10, lr=0.1, weight_decay=0.5)
GATES = Group(of=("alpha", "beta", "gamma"), rate=0.1)
OTHERS = Group(of=("tau", "w", "leak", "conductance", "reset_by"), decay=0.25)


def network(method: str = "glif-system", architecture: str = "resnet19-glif") -> Network:
    torch.manual_seed(0)
    return build(method, architecture, shape=(3, 8, 8), classes=3, timesteps=2, width=1 / 32)


def changed(**fields: object) -> Recipe:
    return msgspec.structs.replace(RECIPE, **fields)


def test_groups_have_rates_and_decays_of_their_own() -> None:
    model, recipe = network(), changed(decayed="all", groups=(GATES, OTHERS))
    optimiser = make_optimiser(model, recipe)
    by_name = {
        name: (group["weight_decay"], group.get("rate", 1.0))
        for name, p in model.named_parameters()
        for group in optimiser.param_groups
        if any(p is each for each in group["params"])
    }
    assert len(by_name) == len(list(model.parameters()))
    for name, found in by_name.items():
        last = name.rpartition(".")[2]
        assert found == ((0.0, 0.1) if last in GATES.of else (0.25, 1.0) if last in OTHERS.of else (0.5, 1.0)), name


def test_only_kernels_decay_beside_a_group() -> None:
    optimiser = make_optimiser(network(), changed(groups=(GATES,)))
    assert [group["weight_decay"] for group in optimiser.param_groups] == [0.5, 0.0, 0.0]
    assert {p.dim() for p in optimiser.param_groups[0]["params"]} == {2, 4}


def test_a_group_of_parameters_that_are_not_there_is_refused() -> None:
    with pytest.raises(UserError, match="no parameter of this network is called `delta`"):
        make_optimiser(network(), changed(groups=(Group(of=("alpha", "delta")),)))


@pytest.mark.parametrize(("optimiser", "amsgrad"), [("adam", False), ("amsgrad", True)])
def test_adam_in_both_forms(optimiser: str, amsgrad: bool) -> None:
    made = make_optimiser(network(), changed(optimiser=optimiser))
    assert isinstance(made, torch.optim.Adam) and {group["amsgrad"] for group in made.param_groups} == {amsgrad}


def scheduled(kind: type, epochs: int, **said: object) -> list[float]:
    """The rates of a scheduler of torch's."""
    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    scheduler, rates = kind(optimiser, **said), []
    for _ in range(epochs):
        rates.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        scheduler.step()
    return rates


STEPS = {"schedule": "steps", "milestones": (0.3, 0.7), "factor": 0.2}
torch_rates = torch.optim.lr_scheduler


@pytest.mark.parametrize(
    ("fields", "kind", "said"),
    [
        ({}, torch_rates.CosineAnnealingLR, {"T_max": 10}),
        ({"period": 4}, torch_rates.CosineAnnealingLR, {"T_max": 4}),
        (STEPS, torch_rates.MultiStepLR, {"milestones": [3, 7], "gamma": 0.2}),
        ({"schedule": "exponential", "factor": 0.9}, torch_rates.ExponentialLR, {"gamma": 0.9}),
    ],
)  # fmt: skip
def test_schedules_are_those_of_torch(fields: dict, kind: type, said: dict) -> None:
    rates = [rate_of(changed(**fields), epoch) for epoch in range(10)]
    assert rates == pytest.approx(scheduled(kind, 10, **said), abs=1e-12)
    assert len(set(rates)) > 2


def test_a_schedule_can_be_ahead() -> None:
    assert [rate_of(changed(ahead=2), epoch) for epoch in range(3)] == [rate_of(RECIPE, epoch) for epoch in (2, 3, 4)]
    assert rate_of(changed(schedule="constant", ahead=2), 0) == 0.1


@pytest.mark.parametrize("smoothing", [0.1, 0.5])
def test_smoothed_labels_are_those_of_torch(smoothing: float) -> None:
    model, labels = network().double(), torch.tensor([0, 2, 1, 1])
    logits = torch.randn(2, 4, 3, dtype=torch.float64)
    wanted = nn.functional.cross_entropy(logits.mean(0), labels, label_smoothing=smoothing)
    assert CrossEntropyOfMean()(logits, softened(labels, 3, smoothing, model)) == pytest.approx(float(wanted))


def test_scales_begin_where_the_recipe_says() -> None:
    model = begun(network("ms-resnet-system", "resnet18-ms"), changed(norm_scale=0.5, residual_scale=0.0))
    scales = {name: p[0].item() for name, p in model.named_parameters() if name.endswith("norm.weight")}
    assert {name: 0.0 if "conv2" in name else 0.5 for name in scales} == scales and len(set(scales.values())) == 2
    untouched = begun(network("ms-resnet-system", "resnet18-ms"), RECIPE)
    assert all(p[0].item() == 1.0 for name, p in untouched.named_parameters() if name.endswith("norm.weight"))


@pytest.mark.parametrize(
    ("way", "std"),
    [
        ("torch", lambda c: (3 * c.weight[0].numel()) ** -0.5),
        ("fan-out", lambda c: (2 / (c.weight.numel() / c.in_channels)) ** 0.5),
        ("tiny", lambda c: (1e-4 / (c.weight.numel() / c.in_channels)) ** 0.5),
    ],
)
def test_weights_begin_as_the_recipe_says(way: str, std) -> None:
    model = begun(
        build("vanilla", "resnet19-tet", shape=(3, 8, 8), classes=3, timesteps=1, width=0.25),
        changed(initialisation=way),
    )
    convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d) and m.weight.numel() > 5000]
    assert len(convolutions) > 5
    for conv in convolutions:
        assert float(conv.weight.detach().std()) == pytest.approx(float(std(conv)), rel=0.1)


def test_dropout_before_and_behind_hidden_layers() -> None:
    said = {"shape": (3, 16, 16), "classes": 3, "timesteps": 1, "width": 1 / 32}
    model = begun(build("ann", "vgg16-dietsnn", **said), changed(dropout=(0.3, 0.5)))  # type: ignore[arg-type]
    found = [m.p for m in model.modules() if isinstance(m, DropoutOverTime)]
    assert found == [0.3] * (len(found) - 2) + [0.5] * 2 and len(found) > 8
    plain = build("ann", "vgg16-dietsnn", **said)  # type: ignore[arg-type]
    assert {m.p for m in begun(plain, RECIPE).modules() if isinstance(m, DropoutOverTime)} == {0.2}


def test_the_best_may_be_that_of_the_last_epochs() -> None:
    from outcomes import result

    from harness.spec import Cell

    def of(**fields: object) -> float:
        cell = Cell(method="m", architecture="a", dataset="d", timesteps=1, seed=0, recipe=changed(**fields))
        return result(cell, 0.0, curve=Curve(test_accuracy=(90.0, 80.0, 85.0, 70.0))).accuracy

    assert (of(), of(among=2), of(among=1), of(report="last", among=2)) == (90.0, 85.0, 70.0, 70.0)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"milestones": (0.5, 1.0)}, "a milestone is 1"),
        ({"groups": (Group(of=()),)}, "a group is"),
        ({"groups": (Group(of=("w",), rate=-1.0),)}, "a group is"),
        ({"dropout": (0.1, 1.0)}, "a dropout is 1"),
        ({"deviation": (0.0,)}, "a deviation is 0"),
        ({"search": (0, 5)}, "`search` is 0"),
        ({"smoothing": 1.5}, "`smoothing` is 1.5"),
        ({"among": 0}, "`among` is 0"),
        ({"period": 0}, "`period` is 0"),
    ],
)
def test_amounts_that_cannot_be_are_said(fields: dict, said: str) -> None:
    problems = [str(problem) for problem in checks.amounts(changed(**fields), "here")]
    assert len(problems) == 1 and said in problems[0] and math.isfinite(len(problems))
    assert not list(itertools.chain(checks.amounts(RECIPE, "here")))
