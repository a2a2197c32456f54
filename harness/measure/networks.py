"""Networks to be timed: initialised, not trained. No time here depends on the weights, but layers must fire."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

import baselines
from baselines.folding import FoldedFire, event_driven, fold_norms, fold_thresholds
from baselines.network import Network
from baselines.parts.neurons import Fire, SpikingNeuron
from baselines.parts.potential import MPBN
from harness.measure.spec import Setting, Subject

CLASSES = 10
CALIBRATION = 4
"""Passes over noise in training mode that give the running statistics."""
HALVINGS = 14
"""Of the interval that a threshold is sought in."""


def shape_of(setting: Setting) -> tuple[int, int, int]:
    """Of one image."""
    return 3, setting.size, setting.size


def noise(setting: Setting, device: torch.device) -> Tensor:
    """Images (batch, 3, size, size), the same at every call."""
    return torch.randn(setting.batch, *shape_of(setting), generator=torch.Generator().manual_seed(0)).to(device)


def prepared(subject: Subject, setting: Setting, device: torch.device, seed: int = 0) -> Network:
    """The network of `subject` in evaluation mode, calibrated, and folded if it is to be."""
    torch.manual_seed(seed)
    network = baselines.build(
        subject.method,
        setting.architecture,
        shape=shape_of(setting),
        classes=CLASSES,
        timesteps=setting.timesteps,
        width=setting.width,
    ).to(device)
    calibrate(network, shape_of(setting))
    if subject.signed:
        negate_every_other_scale(network)
    network.eval()
    network = fold_norms(fold_thresholds(network)) if subject.folded else network
    if setting.rate:
        fire_at(network, setting.rate, noise(setting, device))
    return event_driven(network) if subject.events else network


@torch.no_grad()
def calibrate(network: Network, shape: Sequence[int], batch: int = 8) -> None:
    """Take the running statistics from noise."""
    network.train()
    for _ in range(CALIBRATION):
        network(torch.randn(batch, *shape, device=next(network.parameters()).device))


@torch.no_grad()
def negate_every_other_scale(network: Network) -> None:
    for module in network.modules():
        if isinstance(module, MPBN):
            module.weight[::2] *= -1


@torch.no_grad()
def fire_at(network: Network, rate: float, images: Tensor) -> None:
    """Move the threshold of each layer of neurons, from the first on, so that of its elements `rate` fire a step."""

    def settle(layer: SpikingNeuron, inputs: tuple[Tensor, ...]) -> None:
        (x,) = inputs
        lowest, highest = (float(x.abs().max()) * layer.timesteps * sign for sign in (-1, 1))
        move = _mover(layer)
        for _ in range(HALVINGS):
            middle = (lowest + highest) / 2
            move(middle)
            if float(layer.forward(x).mean()) > rate:
                lowest = middle
            else:
                highest = middle

    hooks = [layer.register_forward_pre_hook(settle) for layer in network.spiking_layers().values()]
    network(images)
    for hook in hooks:
        hook.remove()


def _mover(layer: SpikingNeuron) -> Callable[[float], None]:
    """What moves the threshold of `layer` by so much from where it is."""
    fire = layer.fire
    if isinstance(fire, FoldedFire):
        thresholds = fire.thresholds.clone()
        return lambda by: setattr(fire, "thresholds", thresholds + by)
    assert isinstance(fire, Fire)
    v_th = fire.v_th
    return lambda by: setattr(fire, "v_th", v_th + by)
