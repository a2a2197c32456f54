"""Synaptic operations of an inference, counted in an untrained network from the rates at which its layers fire."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import torch
from torch import Tensor, nn

from baselines.network import LONG, Network
from baselines.parts.poisson import Poisson
from harness import data
from harness.errors import UserError
from harness.identity import code
from harness.plugins import load_plugins
from harness.spec import Cell
from harness.store import Store
from harness.store.probes import Operations
from harness.store.result import Result
from harness.train.build import network_of
from harness.train.tally import doubled


def of(cell: Cell, store: Store, data_root: Path | None = None, plugins: tuple[str, ...] = ()) -> Operations:
    """That of a finished cell, from its result alone: neither weights nor data need be at hand. Raises UserError."""
    load_plugins(plugins)
    code.prove(cell)
    torch.set_num_threads(1)
    if (result := store.result(cell)) is None:
        raise UserError("has no result", f"{cell.key} {cell.label}", f"type: python -m harness run {cell.key}")
    if (frame := data.frame(cell.dataset, cell.recipe)) is None:
        raise UserError("does not tell the shape of a frame", f"data set {cell.dataset}", "give it a method `frame`")
    return inference(result, *frame, still=data.still(cell.dataset))


def inference(result: Result, shape: tuple[int, int, int], classes: int, *, still: bool) -> Operations:
    """Of an untrained network like that of `result`, at its firing rates. Raises UserError where it has none."""
    cell, rates = result.cell, result.firing_rates
    network = network_of(msgspec.structs.replace(cell, timesteps=min(cell.timesteps, LONG)), shape, classes)
    if rates.keys() != network.spiking_layers().keys():
        what = "has no fold proof" if not rates else "has a fold proof of other layers than its network's"
        raise UserError(f"{what}, so nothing is known of its spikes", f"{cell.key} {cell.label}")
    pixels = math.nan if result.pixels is None else result.pixels

    def counted(timesteps: int, rates: Mapping[str, float]) -> Operations:
        return operations(network, shape, rates, still=still, timesteps=timesteps, pixels=pixels)

    after = [
        counted(t, {name: told[place] for name, told in result.rates.items()})
        for place, t in enumerate(doubled(cell.timesteps) if result.rates else ())
    ]
    told = tuple((each.macs, each.acs) for each in after)
    return msgspec.structs.replace(counted(cell.timesteps, rates), rates=rates, after=told)


@torch.no_grad()
def operations(
    network: Network,
    shape: tuple[int, int, int],
    rates: Mapping[str, float],
    *,
    still: bool = True,
    timesteps: int | None = None,
    pixels: float = math.nan,
) -> Operations:
    """Operations of `network` on frames of `shape`, where its layers of neurons fire at `rates` (spikes an element and
    step, by the layer's name); as if its timesteps were `timesteps`, where these are given.

    Every layer of neurons puts out its rate, every convolution and linear layer NaN, and so does what makes real values
    of spikes: so the input of a layer is NaN where currents, pixels or real values reach it, else the mean number of
    spikes an element, through pools and sums. Borders count as the inside does. A `still` image is the same at every
    step, so its first layer is counted once, unless its `pixels` are coded as spikes of that rate. Biases,
    normalisations and the neurons' own arithmetic are not counted, as is usual. Raises KeyError for a layer without a
    rate.
    """
    asked = network.timesteps if timesteps is None else timesteps
    coded = isinstance(network.method.encoder, Poisson)
    counted = _Counter(network.timesteps, asked / network.timesteps, once=still and not coded)
    kinds = (nn.Conv2d, nn.Linear)
    hooks = [m.register_forward_hook(counted.synapse) for m in network.body.modules() if isinstance(m, kinds)]
    hooks += [layer.register_forward_hook(_constant(rates[name])) for name, layer in network.spiking_layers().items()]
    real = [module for module in network.body.modules() if getattr(module, "real_valued", False)]
    hooks += [module.register_forward_hook(_constant(math.nan)) for module in real]
    training = network.training
    try:
        network.eval()
        parameter = next(network.parameters())
        frames = torch.full((network.timesteps, *shape), pixels, dtype=parameter.dtype, device=parameter.device)
        network.body(frames)
    finally:
        network.train(training)
        for hook in hooks:
            hook.remove()
    return Operations(macs=counted.macs, acs=counted.acs)


class _Counter:
    def __init__(self, timesteps: int, times: float, once: bool) -> None:
        """`times` as many timesteps are counted as are shown."""
        self.timesteps, self.times, self.once = timesteps, times, once
        self.macs = self.acs = 0.0

    def synapse(self, layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        (x,) = inputs
        assert isinstance(layer.weight, Tensor)
        frames = len(x) if x.dim() > 1 else 1
        each = output[0].numel() * layer.weight[0].numel()
        if torch.isnan(x).any():
            first = self.macs == 0
            self.macs += each * (frames / self.timesteps if first and self.once else self.times * frames)
        else:
            self.acs += each * self.times * frames * float(x.double().mean())
        return torch.full_like(output, math.nan)


def _constant(rate: float) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor]:
    """In the place of what the module has put out; the potentials that spikes may carry along stay with them."""

    def replaced(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        constant = torch.full_like(output, rate)
        if (potential := getattr(output, "potential", None)) is not None:
            constant.potential = potential  # type: ignore[attr-defined]
        return constant

    return replaced
