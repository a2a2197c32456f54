"""Potentials and folded thresholds of a network, against the recurrence and Eq. 10 written out in numpy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import baselines
from baselines.network import Network
from baselines.parts.potential import MPBN
from harness.measure import potentials
from harness.measure.networks import negate_every_other_scale
from harness.measure.trained import Batch
from harness.train.proof import recorded

V, TAU = 0.5, 0.25
Array = NDArray[np.float64]


def tiny(method: str) -> Network:
    torch.manual_seed(2)
    network = baselines.build(method, "resnet20", shape=(3, 8, 8), classes=4, timesteps=2, width=0.0625)
    for module in network.modules():
        if isinstance(module, MPBN):  # as training leaves them: no two channels alike
            for part in (module.weight.data, module.running_var):
                part.uniform_(0.5, 2)
            for part in (module.bias.data, module.running_mean):
                part.uniform_(-0.2, 0.2)
    return network.eval()


def batches() -> list[Batch]:
    images = torch.randn(9, 3, 8, 8, generator=torch.Generator().manual_seed(4))
    return [(images[:5], torch.zeros(5).long()), (images[5:], torch.zeros(4).long())]


def by_hand(network: Network) -> dict[tuple[str, int], tuple[Array, Array]]:
    """Layer and step -> u and z, from the currents that reach the layer."""
    currents: dict[str, list[Tensor]] = {name: [] for name in network.spiking_layers()}

    def keep(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        return lambda module, inputs: currents[name].append(inputs[0].clone())

    hooks = [layer.register_forward_pre_hook(keep(name)) for name, layer in network.spiking_layers().items()]
    with torch.no_grad():
        for images, _ in batches():
            network(images)
    for hook in hooks:
        hook.remove()
    found: dict[tuple[str, int], tuple[Array, Array]] = {}
    for name, layer in network.spiking_layers().items():
        x = np.concatenate([part.unflatten(0, (2, -1)).double().numpy() for part in currents[name]], axis=1)
        v = np.zeros_like(x[0])
        for step in (1, 2):
            u = TAU * v + x[step - 1]
            z = u
            if isinstance(norm := layer.normalise, MPBN):
                lam, beta, mean, var = (
                    p.detach().double().numpy().reshape(norm.shape)
                    for p in (norm.weight, norm.bias, norm.running_mean, norm.running_var)
                )
                z = lam * (u - mean) / np.sqrt(var + norm.eps) + beta
            v = u * (z <= V)
            found[name, step] = u, z
    return found


@pytest.mark.parametrize("method", ["mpbn", "vanilla"])
def test_u_and_z_are_those_of_the_recurrence(method: str) -> None:
    network = tiny(method)
    expected = by_hand(network)
    found = potentials.steps(network, batches())
    assert [(step.layer, step.step) for step in found] == list(expected)
    edges = np.linspace(potentials.LOW, potentials.HIGH, potentials.BINS + 1)
    for step in found:
        u, z = expected[step.layer, step.step]
        assert (step.after is None) == (method == "vanilla")
        for values, spread in ((u, step.before), (z, step.after or step.before)):
            assert spread.mean == pytest.approx(values.mean(), abs=1e-5)
            assert spread.std == pytest.approx(values.std(), rel=1e-4)
            assert spread.above == pytest.approx((values > V).mean(), abs=2 / values.size)
            histogram = np.histogram(values.clip(edges[0], edges[-1]), edges)[0]
            assert sum(spread.counts) == values.size
            # float32 may put a value that lies on an edge into the neighbour
            assert np.abs(np.cumsum(spread.counts) - np.cumsum(histogram)).max() <= 2


def test_what_is_above_the_threshold_fires() -> None:
    network = tiny("mpbn")
    spikes: dict[str, list[Tensor]] = {}
    with recorded(network) as kept, torch.no_grad():
        for images, _ in batches():
            network(images)
            for name, fired in kept.items():
                spikes.setdefault(name, []).append(fired.unflatten(0, (2, -1)))
    for step in potentials.steps(network, batches()):
        fired = torch.cat([part[step.step - 1] for part in spikes[step.layer]])
        assert step.after is not None and step.after.above == float(fired.double().mean())
        assert 0 < step.after.above < 1


def test_a_network_is_left_without_hooks() -> None:
    network = tiny("mpbn")
    potentials.steps(network, batches())
    assert not any(module._forward_hooks for module in network.modules())


def test_thresholds_are_those_of_equation_10() -> None:
    network = tiny("mpbn")
    negate_every_other_scale(network)
    first = next(iter(network.spiking_layers().values())).normalise
    assert isinstance(first, MPBN)
    first.weight.data[0] = 0.0  # z = β: it fires always, or never
    found = potentials.thresholds(network)
    assert [folded.layer for folded in found] == list(network.spiking_layers())
    for folded, layer in zip(found, network.spiking_layers().values(), strict=True):
        norm = layer.normalise
        assert isinstance(norm, MPBN)
        lam, beta, mean, var = (
            p.detach().double().numpy() for p in (norm.weight, norm.bias, norm.running_mean, norm.running_var)
        )
        some = lam != 0
        theta = (V - beta[some]) * np.sqrt(var[some] + norm.eps) / lam[some] + mean[some]
        assert folded.count == len(lam)
        assert folded.negative == pytest.approx((lam < 0).mean()) and folded.negative > 0
        assert folded.infinite == pytest.approx((~some).mean())
        shares = (0, 0.05, 0.25, 0.5, 0.75, 0.95, 1)
        assert folded.quantiles == pytest.approx(np.quantile(theta, shares), rel=1e-4, abs=1e-5)
    assert found[0].infinite > 0 == found[1].infinite


def test_nothing_folds_where_nothing_normalises_the_potential() -> None:
    assert potentials.thresholds(tiny("vanilla")) == ()
