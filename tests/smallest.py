"""The smallest network in which every part of a method has its place, and samples for it: milliseconds a step."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor, nn

from baselines import ARCHITECTURES, METHODS
from baselines.architectures._resnet import same_size_stem
from baselines.method import ConvNorm, Method, Parts
from baselines.network import Network, at_first
from baselines.parts.surrogates import STE
from baselines.procedures.bptt import BPTT
from baselines.procedures.two_passes import TwoPasses
from harness.data import Data
from harness.data.augment import chosen
from harness.data.memory import MemorySplit, normalisation
from harness.tables import load_origins

SHAPE, CLASSES, TIMESTEPS, LONGER = (2, 8, 8), 3, 2, 16
"""More steps where rates carry what is told from layer to layer, as after a conversion."""


def network(method: str | Method) -> Network:
    """A stem, a block that keeps the map and one that halves it, a linear layer: 4 and 6 channels."""
    made = METHODS.get(method) if isinstance(method, str) else method
    timesteps = TIMESTEPS if type(made.procedure) in (BPTT, TwoPasses) else LONGER
    parts = Parts(method=made, timesteps=timesteps, surrogate=at_first(made.surrogate or STE()))
    stem = {"stem": same_size_stem(convolutions=1, pool=False), "stem_channels": 4}
    stages = ((4, 1, 1), (6, 1, 2))
    body = ARCHITECTURES.get("resnet20")(parts, SHAPE, CLASSES, 1.0, stages=stages, **stem)  # type: ignore[call-arg]
    return Network(made, body, timesteps).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def weights(method: str) -> dict[str, Tensor] | None:
    """Of what the cells of `method` begin from, fresh; None where they begin from nothing."""
    origin = load_origins().get(method)
    return dict(network(origin.method).state_dict()) if origin and origin.method else None


@torch.no_grad()
def alive(method: str | Method) -> tuple[Network, Tensor]:
    """A network in which no layer of neurons is silent, nor always fires, on these images; evaluated.

    Convolutions are scaled layer by layer to currents of unit variance, as a normalisation would; then statistics are
    those of the images.
    """
    torch.manual_seed(0)
    made, images = network(method), torch.randn(32, *SHAPE)

    def scale(module: nn.Module, inputs: tuple[Tensor, ...], currents: Tensor) -> Tensor:
        assert isinstance(module, ConvNorm)
        if isinstance(module.conv, nn.Conv2d):
            module.conv.weight.div_(currents.std())
        return currents / currents.std()

    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    hooks = [module.register_forward_hook(scale) for module in made.modules() if isinstance(module, ConvNorm)]
    made.train()(images)
    for hook in hooks:
        hook.remove()
    for _ in range(3):
        made(images)
    return made.eval(), images


@cache
def data() -> Data:
    """Eleven samples to train on, in batches of four the last of three; eight to evaluate."""
    return Data(name="random", classes=CLASSES, shape=SHAPE, identity="official", train=_split(11), test=_split(8))


def _split(samples: int) -> MemorySplit:
    generator = torch.Generator().manual_seed(samples)
    return MemorySplit(
        images=torch.randint(0, 256, (samples, *SHAPE), dtype=torch.uint8, generator=generator),
        labels=torch.arange(samples) % CLASSES,
        fingerprint="",
        augmentations=chosen(("crop", "flip")),
        **normalisation((0.5,) * 2, (0.25,) * 2, torch.device("cpu")),
    )
