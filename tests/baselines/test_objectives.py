"""Objectives and penalties: numbers that the cited code computed, and what a penalty sees of the potentials."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from test_spots import near
from torch import Tensor

from baselines import METHODS, build
from baselines.kernels import dispatch
from baselines.network import Network
from baselines.parts import moments
from baselines.parts.moments import Moments
from baselines.parts.objectives import CentredPotentials, PerStep, ShapedPotentials
from baselines.parts.surrogates import Sharpening, SoftStep

LOGITS = [[[1, 0.2, -0.5], [0.4, 0.9, 0.1]], [[0.3, -0.3, 0.8], [-0.2, 0.5, 1.2]]]
"""(B, T, classes)."""
PENALISED = [name for name in METHODS if METHODS.get(name).penalty]


@pytest.mark.parametrize(
    ("weight", "loss", "gradient"),
    [
        (0.0, 0.7382702, [-0.1005195, 0.0671659, 0.0333536]),
        (0.05, 0.7347734, [-0.0954935, 0.0571409, 0.0191859]),
        (0.001, 0.7382003, None),
    ],
)
def test_tet(weight: float, loss: float, gradient: list[float] | None) -> None:
    logits = torch.tensor(LOGITS).transpose(0, 1).contiguous().requires_grad_()
    found = PerStep(weight, target=1.0)(logits, torch.tensor([0, 2]))
    near(found, [loss])
    found.backward()
    if gradient is not None:
        near(logits.grad[0, 0], gradient)  # type: ignore[index]


def told(z: Tensor, v_th: float, place: str = "map") -> list[Moments]:
    tape: list[Moments] = []
    with moments.written_to(tape):
        moments.tell(z, v_th, place)
    return tape


@pytest.mark.parametrize("wanted", ["mean", "var", "both"])
def test_moments_are_those_of_autograd_in_float64(wanted: str) -> None:
    """Far from the threshold too, where sums of squares alone would leave little of a variance."""
    torch.manual_seed(0)
    near = torch.randn(24, 5, 8, 8).contiguous(memory_format=torch.channels_last)
    for z in (near, near + 30.0):
        found, gradients = [], []
        for x in (z.clone().requires_grad_(), z.double().requires_grad_()):
            var, mean = torch.var_mean(x - 0.5, (0, 2, 3), correction=0)
            if x.dtype == torch.float32:
                with moments.written_to(tape := list[Moments]()):
                    moments.tell(x, 0.5, "map")
                mean, var = tape[0].mean, tape[0].var
            read = {"mean": (mean,), "var": (var,), "both": (mean, var)}[wanted]
            found.append([each.detach().double() for each in (mean, var)])
            scales = torch.arange(1.0, 6.0, dtype=x.dtype)
            gradients.append(torch.autograd.grad(sum((each * scales).sum() for each in read), x)[0].double())  # type: ignore[arg-type]
        for ours, exact in zip(*found, strict=True):
            assert torch.allclose(ours, exact, rtol=1e-6, atol=1e-6)
        assert float((gradients[0] - gradients[1]).abs().max()) <= 1e-6 * max(float(gradients[1].abs().max()), 1e-3)


def test_im_loss_of_one_layer() -> None:
    """A mean of 0.35 where 0.25 is wanted: 0.01, and 0.2 / n for each of n = 4 potentials."""
    z = torch.tensor([0.1, 0.2, 0.4, 0.7]).view(4, 1, 1, 1).requires_grad_()
    loss = CentredPotentials(weight=1.0)(told(z, 0.25))
    near(loss, [0.01])
    loss.backward()
    near(z.grad, [0.05] * 4)  # type: ignore[arg-type]


def test_im_loss_adds_its_layers_but_those_within_blocks() -> None:
    z = torch.full((2, 3, 1, 1), 1.0)
    layers = told(z, 0.5) + told(z, 0.5, "inside") + told(z, 0.9)
    near(CentredPotentials(weight=2.0)(layers), [2 * (0.25 + 0.01)])


def test_recdis_style_is_its_two_hinges() -> None:
    """A channel on one side of V, one outside the window, one that is as it should be; the mean over all."""
    mean, std = torch.tensor([0.3, -0.1, 0.0], dtype=torch.double), torch.tensor([0.1, 0.7, 0.2], dtype=torch.double)
    given = Moments(mean.requires_grad_(), std.square(), "map")
    loss = ShapedPotentials(weight=1.0)([given])
    assert loss.item() == pytest.approx((0.2**2 + 0.3**2) / 3)
    loss.backward()
    assert mean.grad is not None and mean.grad.tolist() == pytest.approx([0.4 / 3, -0.6 / 3, 0.0])


@pytest.mark.parametrize("method", PENALISED)
def test_a_penalty_sees_every_layer_in_training_and_reaches_the_weights(method: str) -> None:
    """Float64: its gradient is that of the same sum over potentials that hooks have caught."""
    torch.manual_seed(0)
    network = build(method, "resnet20", shape=(1, 8, 8), classes=3, timesteps=2, width=0.1).double()
    images = torch.randn(4, 1, 8, 8, dtype=torch.double)
    caught: dict[str, list[Tensor]] = {}
    for name, layer in network.spiking_layers().items():
        layer.normalise.register_forward_hook(
            lambda m, i, z, name=name: caught.setdefault(name, []).append(z)  # type: ignore[misc]
        )
    logits = network(images)
    labels = torch.tensor([0, 1, 2, 0])
    seen = []
    for name, layer in network.spiking_layers().items():
        z = torch.cat(caught[name]) - 0.5
        seen.append(Moments(z.mean((0, 2, 3)), z.var((0, 2, 3), correction=0), layer.place))
    expected = network.method.objective(logits, labels) + network.method.penalty(seen)  # type: ignore[misc]
    weights = list(network.parameters())
    theirs = torch.autograd.grad(expected, weights, retain_graph=True)
    ours = torch.autograd.grad(network.loss(logits, labels), weights)
    assert len(seen) == 19 and {each.place for each in seen} == {"map", "inside"}
    assert (network.loss(logits, labels) - network.method.objective(logits, labels)).item() > 0.01
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def test_no_penalty_in_evaluation_and_none_listens_to_it() -> None:
    network = build(PENALISED[0], "vgg11", shape=(1, 32, 32), classes=3, timesteps=2, width=0.1).eval()
    logits = network(torch.randn(4, 1, 32, 32))
    labels = torch.tensor([0, 1, 2, 0])
    assert torch.equal(network.loss(logits, labels), network.method.objective(logits, labels))
    assert not hasattr(logits, "moments") and not moments.wanted()


def test_nothing_reaches_all_that_a_loss_would() -> None:
    """A process without samples must take part in every sum over processes, so no gradient may be missing."""
    network = build(PENALISED[0], "vgg11", shape=(1, 32, 32), classes=3, timesteps=1, width=0.1)
    logits = network(torch.randn(4, 1, 32, 32))
    zero = network.nothing(logits)
    assert zero.item() == 0
    means = [each.mean for each in logits.moments]  # type: ignore[attr-defined]
    assert all(g is not None and not g.any() for g in torch.autograd.grad(zero, [logits, *means], allow_unused=True))


def test_a_listener_takes_the_loop() -> None:
    layer = METHODS.get("vanilla").neuron.build((4, 2, 2), 2, SoftStep())
    x = torch.randn(4, 4, 2, 2)
    assert dispatch.backend_for(layer.eval(), x) is not None
    with moments.written_to([]):
        assert dispatch.backend_for(layer, x) is None


def surrogates(network: Network) -> set[object]:
    return {layer.fire.surrogate for layer in network.spiking_layers().values()}


def test_a_surrogate_that_evolves_is_a_function_of_the_epoch() -> None:
    method = replace(METHODS.get("vanilla"), surrogate=Sharpening())
    network = build(method, "resnet20", shape=(1, 8, 8), classes=3, timesteps=2, width=0.1)
    assert surrogates(network) == {SoftStep(1.0)}
    for epoch in (7, 3):  # whatever came before
        network.begin_epoch(epoch, 10)
        assert surrogates(network) == {Sharpening().at(epoch, 10)}
    plain = build("vanilla", "resnet20", shape=(1, 8, 8), classes=3, timesteps=2, width=0.1)
    before = surrogates(plain)
    plain.begin_epoch(5, 10)
    assert surrogates(plain) == before
