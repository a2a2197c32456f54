"""Re-parameterisation for inference: which part folds into which, by the type of the module.

`fold_thresholds` puts every MPBN into its neuron's threshold (Eq. 10), `fold_norms` every normalisation into the
convolution before it. Both return a folded copy in evaluation mode and leave the network as it was. They are apart
because they are not alike: the first is exact to the last spike, the second rounds.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import singledispatch

import torch
from torch import Tensor, nn

from baselines.method import ConvNorm
from baselines.network import Network
from baselines.parts.neurons import Fire, SpikingNeuron
from baselines.parts.normalisations import TemporalEffectiveBatchNorm, ThresholdDependentBatchNorm
from baselines.parts.potential import MPBN


class FoldedFire(nn.Module):
    """s(t) = 1 iff sign · u(t) > θ, one θ and sign a channel or element. For inference: it has no gradient.

    The sign is -1 where λ < 0, since there the comparison turns round, which the paper leaves out.
    """

    threshold: Tensor
    sign: Tensor | None

    def __init__(self, threshold: Tensor, sign: Tensor) -> None:
        super().__init__()
        self.register_buffer("threshold", threshold)
        self.register_buffer("sign", sign if (sign < 0).any() else None)

    def forward(self, u: Tensor) -> Tensor:
        oriented = u if self.sign is None else self.sign * u
        return (oriented > self.threshold).to(u.dtype)


class ConvPerStep(nn.Module):
    """T convolutions, one a step: what a normalisation that differs over time folds into."""

    def __init__(self, convs: list[nn.Conv2d]) -> None:
        super().__init__()
        self.convs = nn.ModuleList(convs)

    def forward(self, x: Tensor) -> Tensor:
        steps = x.unflatten(0, (len(self.convs), -1))
        return torch.cat([conv(step) for conv, step in zip(self.convs, steps, strict=True)])


def fold_thresholds(network: Network) -> Network:
    """A copy whose MPBN modules have become thresholds: the same spikes, to the last one, in any precision."""

    def fold(module: nn.Module) -> None:
        if isinstance(module, SpikingNeuron) and isinstance(module.normalise, MPBN):
            assert isinstance(module.fire, Fire)
            module.fire = FoldedFire(*folded_threshold(module.normalise, module.fire.v_th))
            module.normalise = nn.Identity()

    return _folded(network, fold)


def fold_norms(network: Network) -> Network:
    """A copy whose convolutions carry the normalisation after them. Equal up to rounding."""

    def fold(module: nn.Module) -> None:
        if isinstance(module, ConvNorm):
            module.conv = fold_norm(module.norm, module.conv)
            module.norm = nn.Identity()

    return _folded(network, fold)


def _folded(network: Network, fold: Callable[[nn.Module], None]) -> Network:
    copied = copy.deepcopy(network).eval().requires_grad_(False)
    for module in list(copied.modules()):
        fold(module)
    return copied


# --- MPBN into the threshold ------------------------------------------------------------------------------------------


def eq10(norm: MPBN, v_th: float) -> Tensor:
    """θ = (V - β) sqrt(σ² + ε) / λ + μ in float64 (Eq. 10, with the ε that the paper drops there)."""
    lam, beta, mu, var = (p.detach().double() for p in (norm.weight, norm.bias, norm.running_mean, norm.running_var))
    return ((v_th - beta) * torch.sqrt(var + norm.eps) / lam + mu).view(norm.shape)


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


# --- normalisation into the convolution -------------------------------------------------------------------------------


@singledispatch
def fold_norm(norm: nn.Module, conv: nn.Module) -> nn.Module:
    """One module that computes norm(conv(x)) with the running statistics. Raises TypeError for an unknown pair."""
    raise TypeError(f"no rule folds {type(norm).__name__} into {type(conv).__name__}; add one with @fold_norm.register")


@fold_norm.register
def _(norm: nn.Identity, conv: nn.Module) -> nn.Module:
    return conv


@fold_norm.register
def _(norm: nn.BatchNorm2d, conv: nn.Conv2d) -> nn.Module:
    return _scaled(conv, *affine(norm, norm.weight))


@fold_norm.register
def _(norm: ThresholdDependentBatchNorm, conv: nn.Conv2d) -> nn.Module:
    return _scaled(conv, *affine(norm, norm.weight * norm.scale))


@fold_norm.register
def _(norm: TemporalEffectiveBatchNorm, conv: nn.Conv2d) -> nn.Module:
    slope, shift = affine(norm.norm, norm.norm.weight)
    return ConvPerStep([_scaled(conv, slope * p, shift * p) for p in norm.p.detach().double()])


def affine(norm: nn.BatchNorm2d, weight: Tensor) -> tuple[Tensor, Tensor]:
    """(slope, shift), float64, with norm(x) = slope · x + shift under the running statistics."""
    assert norm.running_mean is not None and norm.running_var is not None
    slope = weight.detach().double() / torch.sqrt(norm.running_var.double() + norm.eps)
    return slope, norm.bias.detach().double() - slope * norm.running_mean.double()


def _scaled(conv: nn.Conv2d, slope: Tensor, shift: Tensor) -> nn.Conv2d:
    """`conv` followed by slope · x + shift, as one convolution; computed in float64, rounded once."""
    folded = copy.deepcopy(conv).requires_grad_(False)
    bias = 0.0 if conv.bias is None else conv.bias.double()
    folded.weight.copy_(conv.weight.double() * slope.view(-1, 1, 1, 1))
    folded.bias = nn.Parameter((bias * slope + shift).to(conv.weight), requires_grad=False)
    return folded
