"""The loss along a direction: against a model whose loss is known in closed form, and by what filter norms are for."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import baselines
from baselines.method import ConvNorm
from baselines.network import Network
from baselines.parts.potential import MPBN
from harness.measure import landscape
from harness.measure.trained import Batch
from harness.store.probes import Landscape, LossCurve, Statistics, area, curvature, quadratic

ALPHAS = (-1.0, -0.5, -0.25, -0.1, 0.0, 0.1, 0.2, 0.5, 1.0)


class Linear(nn.Module):
    """Two classes, scores x W' + b; no statistics."""

    timesteps = 1

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(5)
        self.weight = nn.Parameter(torch.randn(2, 3, generator=generator, dtype=torch.float64))
        self.bias = nn.Parameter(torch.randn(2, generator=generator, dtype=torch.float64))

    def forward(self, images: Tensor) -> Tensor:
        return images @ self.weight.T + self.bias

    predict = forward


def tiny(method: str = "mpbn", seed: int = 3) -> Network:
    """With statistics that a little data has moved, as after training."""
    torch.manual_seed(seed)
    network = baselines.build(method, "resnet20", shape=(3, 8, 8), classes=4, timesteps=2, width=0.0625)
    network.train()
    with torch.no_grad():
        for images, _ in batches():
            network(images)
    return network.eval()


def batches(dtype: torch.dtype = torch.float32) -> list[Batch]:
    generator = torch.Generator().manual_seed(8)
    labels = torch.tensor([0, 1, 2, 3] * 4)
    images = torch.randn(16, 3, 8, 8, generator=generator, dtype=torch.float64).to(dtype)
    return [(images[:10], labels[:10]), (images[10:], labels[10:])]


def made(loss: tuple[float | None, ...], statistics: Statistics = "running", direction: int = 0) -> LossCurve:
    return LossCurve(direction=direction, statistics=statistics, loss=loss, accuracy=(0.0,) * len(loss))


def record(*curves: LossCurve) -> Landscape:
    return Landscape(weights="w", data="d", split="train", samples=1, alphas=ALPHAS, moved=(), curves=curves)


def test_the_loss_of_a_linear_model_is_that_of_the_formula() -> None:
    model = Linear()
    generator = np.random.default_rng(1)
    images, labels = generator.normal(size=(7, 3)), np.array([0, 1, 1, 0, 1, 0, 0])
    parts = [(torch.tensor(images[:4]), torch.tensor(labels[:4])), (torch.tensor(images[4:]), torch.tensor(labels[4:]))]
    found = landscape.curves(model, parts, directions=(4,), alphas=ALPHAS)  # type: ignore[arg-type]
    d = landscape.direction(model, 4)["weight"].numpy()
    weight, bias = model.weight.detach().numpy(), model.bias.detach().numpy()
    for place, alpha in enumerate(ALPHAS):
        scores = images @ (weight + alpha * d).T + bias
        margin = scores[np.arange(7), labels] - scores[np.arange(7), 1 - labels]
        expected = np.log1p(np.exp(-margin)).mean()
        for curve in found:
            assert curve.loss[place] == pytest.approx(expected, rel=1e-12)
            assert curve.accuracy[place] == pytest.approx(100 * (margin > 0).mean())


def test_filters_of_a_direction_are_as_long_as_those_of_the_network_and_nothing_else_moves() -> None:
    network = tiny()
    d = landscape.direction(network, 0)
    weights = {name: parameter.detach() for name, parameter in network.named_parameters()}
    assert set(d) == {name for name, parameter in weights.items() if parameter.dim() > 1}
    assert len(d) == sum(isinstance(m, nn.Conv2d | nn.Linear) for m in network.modules()) > 20
    for name, part in d.items():
        for filter_, own in zip(part, weights[name], strict=True):
            assert float(filter_.norm()) == pytest.approx(float(own.norm()), rel=1e-5)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with landscape.at(network, d, 0.5):
        changed = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == set(d)


def test_a_direction_is_that_of_its_seed_and_the_name_of_the_layer() -> None:
    one, other = tiny("mpbn"), tiny("vanilla", seed=9)
    first, again, next_ = (landscape.direction(one, seed) for seed in (0, 0, 1))
    theirs = landscape.direction(other, 0)
    assert set(first) == set(theirs)
    for name, part in first.items():
        assert torch.equal(part, again[name]) and not torch.equal(part, next_[name])
        unit, unit_theirs = (nn.functional.normalize(p.flatten(1)) for p in (part, theirs[name]))
        torch.testing.assert_close(unit, unit_theirs)


def test_the_network_is_what_it_was_afterwards_even_after_an_error() -> None:
    network = tiny().train()
    before = copy.deepcopy(network.state_dict())
    landscape.curves(network, batches(), directions=(0,), alphas=(-1.0, 0.0, 1.0))
    with pytest.raises(ZeroDivisionError), landscape.at(network, landscape.direction(network, 0), 1.0):
        network.eval()
        raise ZeroDivisionError
    assert network.training
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_a_filter_before_a_normalisation_may_have_any_scale() -> None:
    """The point of filter norms: networks that compute the same have the same landscape."""
    network = tiny().double()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 1e-15  # with a larger one scaling would change the function a little
    scaled = copy.deepcopy(network)
    with torch.no_grad():
        for module in scaled.modules():
            if isinstance(module, ConvNorm) and isinstance(module.conv, nn.Conv2d):
                module.conv.weight *= 10
                module.norm.running_mean *= 10  # type: ignore[operator]
                module.norm.running_var *= 100  # type: ignore[operator]
    one, other = (
        landscape.curves(n, batches(torch.float64), directions=(0,), alphas=(-0.5, 0.0, 0.5)) for n in (network, scaled)
    )
    for mine, theirs in zip(one, other, strict=True):
        assert theirs.loss == pytest.approx(mine.loss, rel=1e-9)
        assert len(set(mine.loss)) == 3, "the weights do move"


def test_without_its_filters_the_direction_would_see_the_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    """That the test before could fail."""
    monkeypatch.setattr(landscape, "norms", lambda weight: torch.ones(len(weight), dtype=weight.dtype))
    with pytest.raises(AssertionError):
        test_a_filter_before_a_normalisation_may_have_any_scale()


def test_re_estimated_statistics_are_what_training_settles_to() -> None:
    """Many passes of training over one batch, after which its running statistics no longer move."""
    network, (first, _) = tiny().double(), batches(torch.float64)
    trained = copy.deepcopy(network).train()
    with torch.no_grad():
        for _ in range(200):
            trained(first[0])
    landscape.re_estimate(network, [first])
    known = dict(trained.named_buffers())
    names = [name for name, _ in network.named_buffers() if name.endswith(("running_mean", "running_var"))]
    assert len(names) == 2 * sum(isinstance(m, nn.BatchNorm2d | MPBN) for m in network.modules())
    for name in names:
        torch.testing.assert_close(dict(network.named_buffers())[name], known[name], msg=name)


def test_area_and_curvature_of_a_known_parabola() -> None:
    parabola = tuple(0.3 + 0.7 * a + 2.5 * a * a for a in ALPHAS)
    steeper = tuple(1.0 - 0.1 * a + 4.5 * a * a for a in ALPHAS)
    square = np.trapezoid([a * a for a in ALPHAS], ALPHAS) / 2
    found = record(made(parabola), made(steeper, direction=1), made((9.0,) * len(ALPHAS), "re-estimated"))
    assert curvature(found, "running") == pytest.approx((2.5 + 4.5) / 2)
    assert area(found, "running") == pytest.approx((2.5 + 4.5) / 2 * square)
    assert area(found, "re-estimated") == 0
    assert curvature(found, "re-estimated") == pytest.approx(0, abs=1e-12)
    assert quadratic([0, 1, 2, 5], [1, 0, 4, 9]) == pytest.approx(np.polyfit([0, 1, 2, 5], [1, 0, 4, 9], 2)[0])


def test_a_loss_that_is_not_finite_makes_the_number_nan_and_no_other() -> None:
    holed = record(made((None, *(1.0,) * (len(ALPHAS) - 1))), made((1.0,) * len(ALPHAS), "re-estimated"))
    assert math.isnan(area(holed, "running")) and curvature(holed, "running") == pytest.approx(0, abs=1e-12)
    assert area(holed, "re-estimated") == 0
    assert math.isnan(area(record(), "running")) and math.isnan(quadratic([0.0, 1.0], [0.0, 1.0]))
