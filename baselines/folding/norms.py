"""Every normalisation into the convolution before it, or into one a step: equal up to rounding."""

from __future__ import annotations

import copy
from functools import singledispatch

import torch
from torch import Tensor, nn

from baselines.folding.copied import copied
from baselines.method import ConvNorm
from baselines.network import Network
from baselines.parts.joint import NormOfEach, SharedConv2d
from baselines.parts.normalisations import TemporalEffectiveBatchNorm, ThresholdDependentBatchNorm
from baselines.parts.per_step import BatchNormThroughTime, SecondMomentNorm
from baselines.parts.standardised import StandardisedConv2d


class ConvPerStep(nn.Module):
    """T convolutions, one a step: what a normalisation that differs over time folds into."""

    def __init__(self, convs: list[nn.Conv2d]) -> None:
        super().__init__()
        self.convs = nn.ModuleList(convs)

    def forward(self, x: Tensor) -> Tensor:
        steps = x.unflatten(0, (len(self.convs), -1))
        return torch.cat([conv(step) for conv, step in zip(self.convs, steps, strict=True)])


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

    return copied(network, fold)


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
