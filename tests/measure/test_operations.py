"""Operations counted from rates against operations counted spike by spike."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import baselines
from baselines.parts.neurons import SpikingNeuron
from harness.measure.operations import operations
from harness.store.probes import Operations
from harness.train.proof import recorded


@torch.no_grad()
def seen(method: str, architecture: str, timesteps: int = 2, size: int = 32, **changes: float):
    """A network whose layers fire, its rates on some noise, and what its synapses got there."""
    torch.manual_seed(0)
    network = baselines.build(
        method, architecture, shape=(3, size, size), classes=10, timesteps=timesteps, width=0.125, **changes
    )
    network.train()
    for _ in range(3):
        network(torch.randn(4, 3, size, size))
    network.eval()
    inputs: dict[str, float] = {}
    kinds = (nn.Conv2d, nn.Linear)
    for name, module in network.body.named_modules():
        if isinstance(module, kinds):
            module.register_forward_hook(
                lambda m, given, out, name=name: inputs.__setitem__(
                    name, float(given[0].double().mean()) * out[0].numel() * m.weight[0].numel()
                )
            )
    with recorded(network) as spikes:
        network(torch.randn(4, 3, size, size))
    assert all(isinstance(layer, SpikingNeuron) for layer in network.spiking_layers().values())
    for module in network.modules():
        module._forward_hooks.clear()
    return network, {name: float(s.double().mean()) for name, s in spikes.items()}, inputs


@pytest.mark.parametrize(
    ("method", "architecture", "low", "high"),
    [
        ("mpbn", "resnet20", 0.9999, 1.0001),
        ("mpbn", "vgg11", 0.9999, 1.0001),
        ("sew-resnet", "resnet20", 0.9999, 1.0001),  # sums of spikes count as often as they were added
        ("mpbn", "resnet18", 0.99, 1.01),  # its padded pool weighs the border less
        ("sew-resnet", "resnet18-sew", 0.5, 1.0),  # its maximum pool lets more through than the rate before it
    ],
)
def test_accumulates_are_those_that_the_spikes_make(method: str, architecture: str, low: float, high: float) -> None:
    """Every synapse but the first: mean input x synapses, T times."""
    network, rates, inputs = seen(method, architecture)
    first, *rest = inputs
    found = operations(network, (3, 32, 32), rates)
    assert low < found.acs / (2 * sum(inputs[name] for name in rest)) < high
    layer = dict(network.body.named_modules())[first]
    assert isinstance(layer, nn.Conv2d)
    side = 32 // layer.stride[0]
    assert found.macs == layer.weight.numel() * side * side


def test_event_frames_are_multiplied_at_every_step() -> None:
    network, rates, _ = seen("vanilla", "resnet20", timesteps=3)
    still, events = (operations(network, (3, 32, 32), rates, still=still) for still in (True, False))
    assert events.macs == 3 * still.macs and events.acs == still.acs


def test_currents_are_multiplied_wherever_they_go() -> None:
    """MS-ResNet adds currents to currents: its shortcuts see no spikes."""
    network, rates, _ = seen("ms-resnet", "resnet18", timesteps=2)
    found = operations(network, (3, 32, 32), rates)
    stem = next(m for m in network.modules() if isinstance(m, nn.Conv2d))
    shortcuts = [m for m in network.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (1, 1)]
    assert shortcuts and found.macs > stem.weight.numel() * (32 // stem.stride[0]) ** 2


@pytest.mark.parametrize("method", ["liaf-net", "neunorm"])
def test_real_values_are_multiplied(method: str) -> None:
    """Where neurons pass on their potential, or have something taken from their spikes, nothing is left to add up."""
    counted = []
    for name in (method, "vanilla"):
        network, rates, _ = seen(name, "resnet20")
        counted.append(operations(network, (3, 32, 32), rates))
    found, plain = counted
    assert found.acs == 0 and found.macs > 2 * plain.macs > 0 and plain.acs > 0


def test_silence_costs_no_accumulates_and_joules_are_horowitzs() -> None:
    network, rates, _ = seen("vanilla", "resnet20")
    assert operations(network, (3, 32, 32), dict.fromkeys(rates, 0.0)).acs == 0.0
    assert Operations(macs=1e6, acs=2e6).microjoules == pytest.approx(4.6 + 1.8)
    with pytest.raises(KeyError):
        operations(network, (3, 32, 32), {})


def test_more_timesteps_than_are_shown_and_coded_pixels() -> None:
    network, rates, _ = seen("vanilla", "resnet20", timesteps=2)
    as_shown, longer = (operations(network, (3, 32, 32), rates, timesteps=t) for t in (None, 10))
    assert longer.macs == as_shown.macs and longer.acs == pytest.approx(5 * as_shown.acs)
    coded = operations(network, (3, 32, 32), rates, timesteps=10, pixels=0.25)
    assert coded.macs == 0 and coded.acs == pytest.approx(longer.acs + 10 * 0.25 * as_shown.macs)
    poisson = baselines.build("vanilla-poisson", "resnet20", shape=(3, 32, 32), classes=10, timesteps=2, width=0.125)
    every_step = operations(poisson, (3, 32, 32), dict.fromkeys(poisson.spiking_layers(), 0.0))
    assert every_step.macs == 2 * as_shown.macs, "an image that is drawn anew is not the same at every step"
