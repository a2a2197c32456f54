"""From a layer of neurons to the back end that computes it; a layer that none serves runs the loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from baselines import kernels
from baselines.kernels.recurrence import Backend, Neurons, Recurrence, Rule, columns, features, rows
from baselines.parts import neurons, synchronised
from baselines.parts.potential import MPBN
from baselines.parts.surrogates import STE, Surrogate, Tanh

if TYPE_CHECKING:
    from baselines.parts.neurons import SpikingNeuron


def backend_for(layer: SpikingNeuron, x: Tensor) -> Backend | None:
    """The back end that computes what `layer` would: a leaky, hard-reset neuron, plain, with MPBN, or folded."""
    if x.dim() != 4 or x.dtype != torch.float32 or x.numel() == 0 or layer.observed or not _plain_parts(layer):
        return None
    if layer.training:
        joint = type(layer.normalise) is MPBN and synchronised.needed()  # back ends know this process's samples alone
        return kernels.chosen(x.device) if by_hand(layer) and not joint else None
    return kernels.chosen(x.device) if not (x.requires_grad and torch.is_grad_enabled()) else None


def by_hand(layer: SpikingNeuron) -> bool:
    """Whether a kernel by hand knows these neurons, in training."""
    trains = type(layer.fire) is neurons.Fire and temperature(layer.fire.surrogate) is not None
    return trains and _plain_parts(layer)


def _plain_parts(layer: SpikingNeuron) -> bool:
    """Parts that back ends know, and nobody listens to what passes between them."""
    if layer.receive is not None or layer.threshold is not None or not getattr(layer.fire, "strict", True):
        return False
    parts = (layer.charge, layer.normalise, layer.fire, layer.reset)
    kinds = ((neurons.Leak,), (nn.Identity, MPBN), (neurons.Fire, neurons.FoldedFire), (neurons.HardReset,))
    known = all(type(part) in kind for part, kind in zip(parts, kinds, strict=True))
    return known and not any(part._forward_hooks or part._forward_pre_hooks for part in (layer.normalise, layer.fire))


def temperature(surrogate: Surrogate) -> float | None:
    """How a back end is told of a surrogate; None for one that it does not know."""
    if isinstance(surrogate, STE):
        return 0.0
    return surrogate.k if isinstance(surrogate, Tanh) else None


def run(backend: Backend, layer: SpikingNeuron, x: Tensor) -> Tensor:
    """Spikes (T·B, C, H, W), channels-last."""
    return (train if layer.training else infer)(backend, layer, x)


def train(backend: Backend, layer: SpikingNeuron, x: Tensor) -> Tensor:
    """Updates MPBN's running statistics as calling it T times would. Raises ValueError for a batch of one value."""
    norm = layer.normalise if isinstance(layer.normalise, MPBN) else None
    lam, beta = affine(norm, x, layer.timesteps)
    width = x.shape[1] if lam is None else len(lam)
    s, b, mean, var = Neurons.apply(x, lam, beta, recurrence_of(layer), width, backend)  # type: ignore[misc]
    keep(norm, mean, var, x)
    return with_bytes(s, b)


def recurrence_of(layer: SpikingNeuron) -> Recurrence:
    """Of a layer in training that a back end serves."""
    k = temperature(layer.fire.surrogate)  # type: ignore[union-attr, arg-type]
    numbers = (layer.timesteps, layer.charge.tau, layer.fire.v_th, k)  # type: ignore[union-attr]
    eps = layer.normalise.eps if isinstance(layer.normalise, MPBN) else 0.0
    normalised = isinstance(layer.normalise, MPBN) and layer.carry == "normalised"
    return Recurrence(*numbers, eps=eps, detach=layer.reset.detach, normalised=normalised)  # type: ignore[arg-type, union-attr]


def affine(norm: MPBN | None, x: Tensor, timesteps: int) -> tuple[Tensor, Tensor] | tuple[None, None]:
    """λ and β as columns; None without MPBN. Raises ValueError for a batch of one value."""
    if norm is None:
        return None, None
    if x.numel() <= timesteps * len(norm.weight):
        raise ValueError("MPBN needs more than one value to take statistics of: train with a larger batch")
    return columns(norm.weight, norm.shape), columns(norm.bias, norm.shape)


def keep(norm: MPBN | None, mean: Tensor, var: Tensor, x: Tensor) -> None:
    """Running statistics move on by each step's, (T, W), the variance biased."""
    if norm is None:
        return
    count = x.numel() / mean.numel()
    with torch.no_grad():
        for m, v in zip(mean, var * (count / (count - 1)), strict=True):
            norm.running_mean.lerp_(features(m, norm.shape), norm.momentum)
            norm.running_var.lerp_(features(v, norm.shape), norm.momentum)


def with_bytes(s: Tensor, b: Tensor | None) -> Tensor:
    """The bytes go along with the spikes, for the convolution that must keep them (see `convolution.py`)."""
    if b is not None:
        s.as_bytes = b  # type: ignore[attr-defined]
    return s


def infer(backend: Backend, layer: SpikingNeuron, x: Tensor) -> Tensor:
    norm, fire = layer.normalise, layer.fire
    v_th = fire.v_th if isinstance(fire, neurons.Fire) else 0.0
    normalised = isinstance(norm, MPBN) and layer.carry == "normalised"
    recurrence = Recurrence(layer.timesteps, layer.charge.tau, v_th, normalised=normalised)  # type: ignore[union-attr]
    rule, width = rule_of(norm, fire, x.shape[1])
    x = x.contiguous(memory_format=torch.channels_last)
    return backend.infer(recurrence, rows(x, layer.timesteps, width), rule).as_strided(x.shape, x.stride())


def rule_of(norm: nn.Module, fire: nn.Module, channels: int) -> tuple[Rule, int]:
    """When the layer fires, and how many columns that takes. Raises TypeError for a folded threshold behind an MPBN."""
    if isinstance(norm, MPBN) and isinstance(fire, neurons.Fire):
        parameters = (norm.running_mean, norm.slope(), norm.bias.detach())
        mean, slope, shift = (columns(p.detach(), norm.shape) for p in parameters)
        return Rule(fire.v_th, slope, mean, shift), len(slope)
    if isinstance(fire, neurons.FoldedFire) and not isinstance(norm, MPBN):
        return Rule(fire.thresholds, fire.signs), len(fire.thresholds)
    if isinstance(fire, neurons.Fire):
        return Rule(fire.v_th), channels
    raise TypeError("a folded threshold behind an MPBN that is still there")
