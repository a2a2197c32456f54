"""The implementations of a training step that `bench training` sets side by side.

The released semantics are `released.py`; the plain loop is the eager recurrence, step by step under autograd, channels
first, all else folded into the batch. The bound is the same convolutions and normalisations with one ReLU over T·B in
the place of every layer of neurons: what is left to gain is what lies between it and ours.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from unittest.mock import patch

import torch
from torch import Tensor, nn

import baselines
from baselines import kernels, one_pass
from baselines.kernels.traced import layers
from baselines.method import Method, Shape
from baselines.network import Network
from baselines.parts.potential import NoNorm
from baselines.parts.rectifier import Rectifier
from baselines.parts.surrogates import Surrogate
from harness.measure.memory import MIB, peak_bytes, saved_bytes
from harness.measure.networks import CLASSES, noise, shape_of
from harness.measure.released import leaky, released
from harness.measure.spec import Setting


@dataclass(frozen=True)
class Variant:
    """How an implementation differs from ours."""

    backend: str = ""
    """Forced through the variable of `baselines.kernels`; empty: as on any run."""
    recompute: str = "nothing"
    one_pass: bool = False
    precision: str = "float32"
    plain: bool = False
    """Channels first, no segment, nothing encoded once."""
    changed: Callable[[Method], Method] | None = None
    """The method with other parts."""


class Stepper:
    """One training step - forward, loss, backward, no optimiser - again and again on the same images."""

    def __init__(self, name: str, setting: Setting, device: torch.device, surrogate: str = "ste") -> None:
        self.variant = VARIANTS[name]
        torch.manual_seed(0)
        method = baselines.METHODS.get(setting.method)
        if self.variant.changed is not None:
            method = self.variant.changed(method)
        self.network = baselines.build(
            method,
            setting.architecture,
            shape=shape_of(setting),
            classes=CLASSES,
            timesteps=setting.timesteps,
            surrogate=surrogate,
            width=setting.width,
        ).to(device)
        self.network.in_precision(self.variant.precision)
        self.network.recompute = self.variant.recompute  # type: ignore[assignment]
        if self.variant.one_pass:
            one_pass.join(self.network.body, device)
        if self.variant.plain:
            self.network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        self.images = noise(setting, device)
        self.labels = torch.arange(setting.batch, device=device) % CLASSES
        self.network.train()

    def __call__(self) -> None:
        with self._backend(), layers.at_once():
            for parameter in self.network.parameters():
                parameter.grad = None
            self._loss().backward()

    def memory(self, device: torch.device) -> dict[str, float]:
        """MiB that the forward pass saves, and that a step adds at its peak."""
        self()  # what is made once is not the step's
        with self._backend():
            saved = saved_bytes(self._loss, self.network)
        peak = peak_bytes(self, device)
        return {"MiB saved": saved / MIB} | ({"MiB at the peak": peak / MIB} if peak is not None else {})

    def logits(self) -> Tensor:
        """(T, B, classes)."""
        images = self.images.to(next(self.network.parameters()).dtype)
        return _plainly(self.network, images) if self.variant.plain else self.network(images)

    def _loss(self) -> Tensor:
        return self.network.loss(self.logits(), self.labels)

    def _backend(self) -> AbstractContextManager[object]:
        forced = self.variant.backend
        return patch.dict(os.environ, {kernels.VARIABLE: forced}) if forced else nullcontext()


def _plainly(network: Network, images: Tensor) -> Tensor:
    return network.body(network.method.encoder(images, network.timesteps)).unflatten(0, (network.timesteps, -1))


@dataclass(frozen=True)
class JellyNeuron:
    """SpikingJelly's node of the same charge, threshold and reset; with MPBN, its MPBN node.

    For time and memory only: that node carries the normalised potential, so it computes something else.
    """

    tau: float
    v_th: float
    normalised: bool

    def build(self, shape: Shape, timesteps: int, surrogate: Surrogate) -> nn.Module:
        from spikingjelly.activation_based import neuron
        from spikingjelly.activation_based.neuron.mpbn import MPBNLIFNode

        given = {"tau": 1 / (1 - self.tau), "decay_input": False, "v_threshold": self.v_th, "step_mode": "m"}
        node = MPBNLIFNode(out_channels=shape[0], **given) if self.normalised else neuron.LIFNode(**given)
        return InSequence(node, timesteps)


class InSequence(nn.Module):
    """A multi-step node of SpikingJelly over (T·B, C, H, W)."""

    def __init__(self, node: nn.Module, timesteps: int) -> None:
        super().__init__()
        self.node, self.timesteps = node, timesteps

    def forward(self, x: Tensor) -> Tensor:
        from spikingjelly.activation_based import functional

        functional.reset_net(self.node)
        return self.node(x.unflatten(0, (self.timesteps, -1))).flatten(0, 1)


def _rectified(method: Method) -> Method:
    return replace(method, neuron=Rectifier(v_th=0.5))  # type: ignore[arg-type]


def _jelly(method: Method) -> Method:
    neuron = leaky(method)
    jelly = JellyNeuron(neuron.charge.tau, neuron.v_th, not isinstance(neuron.normalise, NoNorm))  # type: ignore[union-attr]
    return replace(method, neuron=jelly)  # type: ignore[arg-type]


VARIANTS: Mapping[str, Variant] = {
    "ours": Variant(),
    "ours, one pass": Variant(one_pass=True),
    "ours, bfloat16": Variant(precision="bfloat16"),
    "ours, recompute": Variant(recompute="everything"),
    "ours, no compiler": Variant(backend="manual"),
    "released semantics": Variant(plain=True, changed=released),
    "plain loop": Variant(backend="loop", plain=True),
    "SpikingJelly": Variant(plain=True, changed=_jelly),
    "bound": Variant(changed=_rectified),
}
