"""Rates in the first timesteps against spikes counted one by one, shown at once and walked."""

from __future__ import annotations

import pytest
import torch

from baselines import METHODS, build, firing
from baselines.network import LONG
from baselines.procedures.procedure import Start


@pytest.mark.parametrize("timesteps", [5, LONG + 5])
def test_rates_are_those_of_the_spikes(timesteps: int) -> None:
    torch.manual_seed(0)
    ann = build("ann", "resnet20", shape=(3, 8, 8), classes=3, timesteps=1, width=1 / 16)
    network = build("rmp", "resnet20", shape=(3, 8, 8), classes=3, timesteps=timesteps, width=1 / 16)
    batches = [torch.rand(4, 3, 8, 8), torch.rand(2, 3, 8, 8)]
    start = Start(weights=dict(ann.state_dict()), images=lambda: iter(batches), tell=lambda words: None)
    METHODS.get("rmp").procedure.begin(network, start)
    found = firing.rates(network, batches, [1, 3, timesteps])
    with torch.no_grad():
        for name, layer in list(network.spiking_layers().items())[:3]:
            spikes = []
            hook = layer.register_forward_hook(
                lambda m, x, s, kept=spikes: kept.append(s.unflatten(0, (timesteps, -1)))
            )
            for images in batches:
                network(images)
            hook.remove()
            each = torch.cat(spikes, 1)
            assert found[name] == pytest.approx([float(each[:t].mean()) for t in (1, 3, timesteps)], abs=1e-6)
    assert max(told[-1] for told in found.values()) > 0
    assert not any(layer._forward_hooks for layer in network.spiking_layers().values())


def test_pixels_fire_as_often_as_is_expected() -> None:
    network = build("rmp", "resnet20", shape=(3, 8, 8), classes=3, timesteps=50, width=1 / 16)
    images = 1.5 * torch.randn(4, 3, 8, 8)
    assert firing.pixels(network, [images]) == pytest.approx(float(network.encode(images).abs().mean()), abs=0.01)
    assert (
        firing.pixels(build("mpbn", "resnet20", shape=(3, 8, 8), classes=3, timesteps=2, width=1 / 16), [images])
        is None
    )
