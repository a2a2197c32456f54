"""How often the neurons of a network fire, in all and in the first timesteps of an inference; and coded pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack

import torch
from torch import Tensor, nn

from baselines.network import Network
from baselines.parts import carried
from baselines.parts.poisson import Poisson


@torch.no_grad()
def rates(network: Network, batches: Iterable[Tensor], after: Sequence[int]) -> dict[str, tuple[float, ...]]:
    """Of each layer, spikes an element and step in the first t timesteps, for each t of `after`; T is the last."""
    network.eval()
    layers, samples = network.spiking_layers(), 0
    fired: dict[str, list[Tensor]] = {name: [] for name in layers}
    total = dict.fromkeys(layers, torch.zeros((), dtype=torch.double))
    with ExitStack() as hooks:
        for name, layer in layers.items():
            hooks.callback(layer.register_forward_hook(_kept(fired[name], network.timesteps)).remove)
        for images in batches:
            for _ in network.so_far(images, after[-1:]):
                pass
            for name, steps in fired.items():
                total[name] = total[name] + len(images) * torch.cat(steps)
                steps.clear()
            samples += len(images)
    return {name: tuple(min(1.0, float(each[:t].mean()) / samples) for t in after) for name, each in total.items()}


def _kept(steps: list[Tensor], timesteps: int) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
    def keep(layer: nn.Module, inputs: tuple[Tensor, ...], spikes: Tensor) -> None:
        each = spikes.unflatten(0, (carried.steps(timesteps), -1)).flatten(1)
        steps.append(each.mean(1, dtype=torch.double).cpu())

    return keep


def pixels(network: Network, batches: Iterable[Tensor]) -> float | None:
    """Spikes of either sign that are to be expected of a pixel and step; None where no encoder makes spikes of them."""
    encoder = network.method.encoder
    return float(encoder.rate(torch.cat(list(batches)))) if isinstance(encoder, Poisson) else None
