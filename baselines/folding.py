"""Re-parameterisation for inference: which part folds into which, by the type of the module.

`fold_thresholds` puts every MPBN into its neuron's threshold (Eq. 10), `fold_leaks` one whose neuron carries the
normalised potential into threshold, leak and bias, `fold_norms` every normalisation into the convolution before it.
They return a folded copy in evaluation mode and leave the network as it was. They are apart because they are not alike:
the first is exact to the last spike, the others round.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import singledispatch

import torch
from torch import Tensor, nn

from baselines.method import ConvNorm
from baselines.network import Network
from baselines.parts.joint import NormOfEach, SharedConv2d
from baselines.parts.neurons import Fire, FoldedFire, Leak, SoftReset, SpikingNeuron
from baselines.parts.normalisations import TemporalEffectiveBatchNorm, ThresholdDependentBatchNorm
from baselines.parts.per_step import BatchNormThroughTime, SecondMomentNorm
from baselines.parts.potential import MPBN
from baselines.parts.rectified import Rectificator
from baselines.parts.standardised import StandardisedConv2d
from baselines.parts.thresholds import Learned, Scaled


class FoldedLeak(nn.Module):
    """y(t) = α v(t-1) + x(t) + b, one α and b a channel or element; b would join the bias of the convolution before."""

    decay: Tensor
    offset: Tensor

    def __init__(self, decay: Tensor, offset: Tensor) -> None:
        super().__init__()
        self.register_buffer("decay", decay)
        self.register_buffer("offset", offset)

    def forward(self, v: Tensor, x: Tensor) -> Tensor:
        return self.decay * v + (x + self.offset)


class ConvPerStep(nn.Module):
    """T convolutions, one a step: what a normalisation that differs over time folds into."""

    def __init__(self, convs: list[nn.Conv2d]) -> None:
        super().__init__()
        self.convs = nn.ModuleList(convs)

    def forward(self, x: Tensor) -> Tensor:
        steps = x.unflatten(0, (len(self.convs), -1))
        return torch.cat([conv(step) for conv, step in zip(self.convs, steps, strict=True)])


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

    return _folded(network, fold)


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


def fold_leaks(network: Network) -> Network:
    """A copy in which MPBN whose neuron carries z(t) has become leak, offset and threshold. Equal up to rounding."""

    def fold(module: nn.Module) -> None:
        if has_foldable_leak(module):
            assert isinstance(module, SpikingNeuron) and isinstance(module.normalise, MPBN)
            assert isinstance(module.charge, Leak) and isinstance(module.fire, Fire)
            leak, module.fire = folded_leak(module.normalise, module.charge.tau, module.fire.v_th)
            module.charge, module.normalise, module.carry = leak, nn.Identity(), "raw"

    return _folded(network, fold)


def has_foldable_leak(module: nn.Module) -> bool:
    """A layer of neurons with MPBN that carries z(t)."""
    return isinstance(module, SpikingNeuron) and isinstance(module.normalise, MPBN) and module.carry == "normalised"


def has_foldable_norm(module: nn.Module) -> bool:
    """A convolution with a normalisation after it, or with weights that are standardised."""
    if not isinstance(module, ConvNorm):
        return False
    return not isinstance(module.norm, nn.Identity) or isinstance(module.conv, StandardisedConv2d)


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


# --- MPBN that is carried into leak, offset and threshold -------------------------------------------------------------


@torch.no_grad()
def folded_leak(norm: MPBN, tau: float, v_th: float) -> tuple[FoldedLeak, FoldedFire]:
    """The neuron that fires as one which carries z(t), without MPBN.

    With the slope a = λ / sqrt(σ² + ε), z = a (u - μ) + β. In y = z / a, u(t) = τ z(t-1) (1 - s(t-1)) + x(t) becomes
    y(t) = aτ · y(t-1) (1 - s(t-1)) + x(t) + (β/a - μ): a leak of aτ and an offset. It fires where z > V, which is
    sign(a) · y > V / |a|. Where a is zero, or so small that this overflows, z = β: the neuron fires always or never.
    Raises ValueError if a parameter is not finite.
    """
    if not all(torch.isfinite(p).all() for p in (norm.weight, norm.bias, norm.running_mean, norm.running_var)):
        raise ValueError("an MPBN parameter or statistic is not finite: nothing to fold")
    lam, beta, mu, var = (
        p.double().view(norm.shape) for p in (norm.weight, norm.bias, norm.running_mean, norm.running_var)
    )
    a = lam / torch.sqrt(var + norm.eps)
    decay, offset, theta = (p.to(norm.weight.dtype) for p in (a * tau, beta / a - mu, v_th / a.abs()))
    constant = ~(torch.isfinite(offset) & torch.isfinite(theta))
    decay, offset = decay.masked_fill(constant, 0.0), offset.masked_fill(constant, 0.0)
    always_or_never = torch.where(beta > v_th, -torch.inf, torch.inf).to(theta)
    sign = torch.where(a < 0, -1.0, 1.0).to(theta)
    return FoldedLeak(decay, offset), FoldedFire(torch.where(constant, always_or_never, theta), sign)


# --- normalisation into the convolution -------------------------------------------------------------------------------


@singledispatch
def fold_norm(norm: nn.Module, conv: nn.Module) -> nn.Module:
    """One module that computes norm(conv(x)) with the running statistics. Raises TypeError for an unknown pair."""
    raise TypeError(f"no rule folds {type(norm).__name__} into {type(conv).__name__}; add one with @fold_norm.register")


@fold_norm.register
def _(norm: nn.Identity, conv: nn.Module) -> nn.Module:
    return conv.plain() if isinstance(conv, StandardisedConv2d) else conv


@fold_norm.register
def _(norm: nn.BatchNorm2d, conv: nn.Module) -> nn.Module:
    return _scaled(_convolution(conv, norm.weight), *affine(norm, norm.weight))


@fold_norm.register
def _(norm: ThresholdDependentBatchNorm, conv: nn.Module) -> nn.Module:
    return _scaled(_convolution(conv, norm.weight), *affine(norm, norm.weight * norm.scale))


@fold_norm.register
def _(norm: TemporalEffectiveBatchNorm, conv: nn.Module) -> nn.Module:
    slope, shift = affine(norm.norm, norm.norm.weight)
    conv = _convolution(conv, norm.norm.weight)
    return ConvPerStep([_scaled(conv, slope * p, shift * p) for p in norm.p.detach().double()])


@fold_norm.register
def _(norm: BatchNormThroughTime, conv: nn.Module) -> nn.Module:
    slopes, shifts = (p.view(norm.timesteps, -1) for p in affine(norm.norm, norm.norm.weight))
    conv = _convolution(conv, norm.norm.weight.view(norm.timesteps, -1)[0])
    return ConvPerStep([_scaled(conv, slope, shift) for slope, shift in zip(slopes, shifts, strict=True)])


@fold_norm.register
def _(norm: NormOfEach, conv: nn.Module) -> nn.Module:
    return fold_norm(norm.snn, conv.plain() if isinstance(conv, SharedConv2d) else conv)


@fold_norm.register
def _(norm: SecondMomentNorm, conv: nn.Module) -> nn.Module:
    slopes = norm.weight.detach().double() / torch.sqrt(norm.running_moment.double() + norm.eps)
    conv = _convolution(conv, norm.weight)
    convs = [_scaled(conv, slope, torch.zeros_like(slope)) for slope in slopes]
    return convs[0] if len(convs) == 1 else ConvPerStep(convs)


def _convolution(conv: nn.Module, like: Tensor) -> nn.Conv2d:
    """`conv`; where a normalisation stands alone, the 1x1 convolution a channel that changes nothing."""
    if not isinstance(conv, nn.Identity):
        assert isinstance(conv, nn.Conv2d)
        return conv
    channels = len(like)
    unit = nn.utils.skip_init(
        nn.Conv2d, channels, channels, 1, groups=channels, bias=False, device=like.device, dtype=like.dtype
    )
    assert isinstance(unit, nn.Conv2d)
    nn.init.ones_(unit.weight)
    return unit


def affine(norm: nn.BatchNorm2d, weight: Tensor) -> tuple[Tensor, Tensor]:
    """(slope, shift), float64, with norm(x) = slope · x + shift under the running statistics."""
    assert norm.running_mean is not None and norm.running_var is not None
    slope = weight.detach().double() / torch.sqrt(norm.running_var.double() + norm.eps)
    bias = 0.0 if norm.bias is None else norm.bias.detach().double()
    return slope, bias - slope * norm.running_mean.double()


def _scaled(conv: nn.Conv2d, slope: Tensor, shift: Tensor) -> nn.Conv2d:
    """`conv` followed by slope · x + shift, as one convolution; computed in float64, rounded once."""
    folded = copy.deepcopy(conv).requires_grad_(False)
    bias = 0.0 if conv.bias is None else conv.bias.double()
    folded.weight.copy_(conv.weight.double() * slope.view(-1, 1, 1, 1))
    folded.bias = nn.Parameter((bias * slope + shift).to(conv.weight), requires_grad=False)
    return folded
