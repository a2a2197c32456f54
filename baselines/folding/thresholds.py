"""MPBN, learned V and rectificators into the threshold of their neurons: exact to the last spike (Eq. 10)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import singledispatch

import torch
from torch import Tensor, nn

from baselines.folding.copied import copied
from baselines.network import Network
from baselines.parts.neurons import Fire, FoldedFire, SoftReset, SpikingNeuron
from baselines.parts.potential import MPBN
from baselines.parts.rectified import Rectificator
from baselines.parts.thresholds import Learned, Scaled


def fold_thresholds(network: Network) -> Network:
    """A copy whose neurons compare u(t) with a number: the same spikes, to the last one, in any precision."""
    dtype = next((p.dtype for p in network.parameters()), torch.float32)

    def fold(module: nn.Module) -> None:
        if has_foldable_threshold(module):
            assert isinstance(module, SpikingNeuron)
            module.fire = FoldedFire(*threshold_of(module, dtype))
            module.normalise, module.threshold = nn.Identity(), None
            if isinstance(module.reset, SoftReset) and isinstance(module.reset.amount, Learned):
                module.reset = replace(module.reset, amount=float(module.reset.amount.value()))

    return copied(network, fold)


def has_foldable_threshold(module: nn.Module) -> bool:
    """A layer of neurons that compares a rising or falling function of u(t) with V, and carries u(t).

    MPBN, a rectificator, a learned V. Where it carries z(t), or hands it on, they have a part in more than firing.
    """
    if not isinstance(module, SpikingNeuron) or module.carry != "raw" or not isinstance(module.fire, Fire):
        return False
    if module.shows_potential:
        return False
    folds = isinstance(module.normalise, MPBN | Rectificator) or isinstance(module.threshold, Learned)
    known = isinstance(module.normalise, nn.Identity | MPBN | Rectificator)
    return folds and known and isinstance(module.threshold, Learned | None)


def eq10(norm: MPBN, v_th: float) -> Tensor:
    """θ = (V - β) sqrt(σ² + ε) / λ + μ in float64 (Eq. 10, with the ε that the paper drops there)."""
    lam, beta, mu, var = (p.detach().double() for p in (norm.weight, norm.bias, norm.running_mean, norm.running_var))
    return ((v_th - beta) * torch.sqrt(var + norm.eps) / lam + mu).view(norm.shape)


@torch.no_grad()
def threshold_of(layer: SpikingNeuron, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """(θ, sign) with  layer fires  <=>  sign · u > θ. Raises ValueError if a parameter is not finite."""
    norm, own, fire = layer.normalise, layer.threshold, layer.fire
    assert isinstance(fire, Fire)
    if isinstance(norm, MPBN) and own is None and fire.strict:
        return folded_threshold(norm, fire.v_th)
    if not all(torch.isfinite(p).all() for p in layer.parameters()):
        raise ValueError("a parameter of a neuron is not finite: nothing to fold")
    sign = (falls(norm) * (1.0 if own is None else falls(own))).to(dtype)
    z = norm.evaluate if isinstance(norm, MPBN) else norm
    theta = last_silent(lambda w: fire(z(sign * w) if own is None else own(z(sign * w), w)), 0.5, sign)
    return theta, sign


@singledispatch
def falls(part: nn.Module) -> Tensor:
    """-1 where what `part` makes of a potential falls as that rises, else 1: (C, 1, 1) or (C, H, W)."""
    raise TypeError(f"no rule folds {type(part).__name__} into a threshold; add one with @falls.register")


@falls.register
def _(part: nn.Identity) -> Tensor:
    return torch.ones(())


@falls.register
def _(part: MPBN) -> Tensor:
    return torch.where(part.weight < 0, -1.0, 1.0).view(part.shape)


@falls.register
def _(part: Rectificator) -> Tensor:
    return torch.ones(part.channels, 1, 1)


@falls.register
def _(part: Learned) -> Tensor:
    return torch.ones(part.channels, 1, 1, device=part.w.device)


@falls.register
def _(part: Scaled) -> Tensor:
    return torch.where(part.value() < 0, -1.0, 1.0).expand(part.channels, 1, 1)


@torch.no_grad()
def folded_threshold(norm: MPBN, v_th: float) -> tuple[Tensor, Tensor]:
    """(θ, sign) with  z(u) > V  <=>  sign · u > θ  for every float u of the module's precision.

    Eq. 10 gives θ up to rounding; here it is the very float where z(u), as the network computes it, passes V. So λ
    of any size, zero included (θ = ±inf: always or never), needs no case of its own, and no tie is decided otherwise.
    Raises ValueError if a parameter is not finite.
    """
    if not all(torch.isfinite(p).all() for p in (norm.weight, norm.bias, norm.running_mean, norm.running_var)):
        raise ValueError("an MPBN parameter or statistic is not finite: nothing to fold")
    sign = torch.where(norm.weight < 0, -1.0, 1.0).to(norm.weight.dtype).view(norm.shape)
    training = norm.training
    theta = last_silent(lambda w: norm.evaluate(sign * w), v_th, sign)
    norm.train(training)
    return theta, sign


def last_silent(z: Callable[[Tensor], Tensor], v_th: float, like: Tensor) -> Tensor:
    """The largest float w with z(w) <= V, by bisection over the floats themselves; z must not decrease in w.

    -inf where z exceeds V everywhere, +inf where it never does. Shape, precision and device of `like`.
    """
    largest = torch.full_like(like, torch.finfo(like.dtype).max)
    high = _ordinal(largest)
    low = -high
    always, never = z(-largest) > v_th, z(largest) <= v_th
    for _ in range(torch.finfo(like.dtype).bits):
        middle = (low >> 1) + (high >> 1) + (low & high & 1)  # (low + high) // 2 without overflow
        silent = z(_float(middle, like.dtype)) <= v_th
        low, high = torch.where(silent, middle, low), torch.where(silent, high, middle)
    theta = _float(low, like.dtype)
    theta = torch.where(never, torch.inf, theta)
    return torch.where(always, -torch.inf, theta)


_INTEGER = {torch.float32: torch.int32, torch.float64: torch.int64}


def _ordinal(w: Tensor) -> Tensor:
    """Floats numbered in their order: neighbours differ by one, both zeros are 0. int64."""
    bits = w.view(_INTEGER[w.dtype])
    lowest = torch.iinfo(bits.dtype).min
    return torch.where(bits < 0, lowest - bits, bits).long()


def _float(ordinal: Tensor, dtype: torch.dtype) -> Tensor:
    """The inverse of `_ordinal`."""
    integer = _INTEGER[dtype]
    bits = torch.where(ordinal < 0, torch.iinfo(integer).min - ordinal, ordinal)
    return bits.to(integer).view(dtype)
