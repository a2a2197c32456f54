"""Folding: thresholds exact to the last spike in both precisions, convolutions exact in float64."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from baselines import ARCHITECTURES, METHODS, build
from baselines.folding import (
    ConvPerStep,
    FoldedFire,
    FoldedLeak,
    affine,
    eq10,
    fold_leaks,
    fold_norm,
    fold_norms,
    fold_thresholds,
    folded_leak,
    folded_threshold,
    has_foldable_leak,
    has_foldable_threshold,
    last_silent,
)
from baselines.method import ConvNorm
from baselines.network import Network
from baselines.parts.gated import Gated
from baselines.parts.leaks import FreeLeak, SigmoidLeak
from baselines.parts.neurons import LIF
from baselines.parts.normalisations import TemporalEffectiveBatchNorm
from baselines.parts.per_step import SecondMomentNorm
from baselines.parts.potential import MPBN
from baselines.parts.rectified import Rectificator
from baselines.parts.surrogates import STE
from baselines.parts.thresholds import Learned

FOLDABLE = [method for method in METHODS if METHODS.get(method).procedure.trains]
"""All but conversions, which have neither norms nor a threshold before they are converted."""
SILENT = ("ann", "liaf-net-conv3d", "hybrid-train", "diet-snn-converted", "spike-basedbp")
"""Without a norm to wake deep layers that have not learned yet, or without neurons."""
MPBN_METHODS = ["mpbn", "mpbn-element"]


def scrambled(network: Network, seed: int = 0, scale: float = 1.0) -> Network:
    """Every parameter drawn at random, λ of normalisers some 0, some 1e-6, half negative: training could lead anywhere.

    Weights of convolutions and linear layers are random as they are.
    """
    generator = torch.Generator().manual_seed(seed)

    def draw(p: Tensor) -> Tensor:
        return torch.randn(p.shape, generator=generator).to(p)

    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, MPBN | nn.BatchNorm2d):
                module.weight.copy_(draw(module.weight) * scale)
                if module.bias is not None:
                    module.bias.copy_(draw(module.bias) * 0.5)
                module.running_mean.copy_(draw(module.running_mean) * 0.3)
                module.running_var.copy_(draw(module.running_var).square() + 0.05)
            if isinstance(module, MPBN):
                module.weight[::7], module.weight[1::7] = 0.0, 1e-6
            if isinstance(module, SecondMomentNorm):
                module.weight.copy_(draw(module.weight) * scale)
                module.running_moment.copy_(draw(module.running_moment).square() + 0.05)
            if isinstance(module, Learned | Gated | SigmoidLeak | FreeLeak):
                for parameter in module.parameters():
                    parameter.add_(draw(parameter) * 0.3)
            if isinstance(module, TemporalEffectiveBatchNorm):
                module.p.copy_(draw(module.p))
    return network.eval()


def spikes(network: Network, images: Tensor) -> list[Tensor]:
    kept: list[Tensor] = []
    hooks = [
        layer.register_forward_hook(lambda module, inputs, output: kept.append(output))
        for layer in network.spiking_layers().values()
    ]
    with torch.no_grad():
        network(images)
    for hook in hooks:
        hook.remove()
    return kept


def tiny(
    method: str, architecture: str = "resnet20", timesteps: int = 3, size: int = 16, width: float = 0.1
) -> Network:
    torch.manual_seed(1)
    return build(method, architecture, shape=(2, size, size), classes=5, timesteps=timesteps, width=width)


# --- one layer, everything hypothesis can think of --------------------------------------------------------------------

finite = st.floats(-4, 4, allow_nan=False, width=32)
scales = st.one_of(finite, st.sampled_from([0.0, 1e-6, -1e-6, 1e-30, -1e-38, 1.0, -1.0]))


@st.composite
def layers(draw: st.DrawFn) -> tuple[nn.Module, Tensor]:
    """An MPBN neuron layer with arbitrary parameters, in either precision, and currents for it."""
    timesteps, channels, side = draw(st.integers(1, 5)), draw(st.integers(1, 4)), draw(st.integers(1, 3))
    method, dtype = draw(st.sampled_from(MPBN_METHODS)), draw(st.sampled_from([torch.float32, torch.float64]))
    shape = (channels, side, side)
    layer = METHODS.get(method).neuron.build(shape, timesteps, STE()).to(dtype).eval()
    norm = layer.normalise
    assert isinstance(norm, MPBN)
    count = norm.weight.numel()
    with torch.no_grad():
        for target, values in (
            (norm.weight, scales),
            (norm.bias, finite),
            (norm.running_mean, finite),
            (norm.running_var, st.floats(0, 9, width=32)),
        ):
            target.copy_(torch.tensor(draw(st.lists(values, min_size=count, max_size=count)), dtype=dtype))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    x = torch.randn(timesteps * 16, *shape, generator=generator, dtype=dtype) * draw(st.sampled_from([0.1, 1.0, 30.0]))
    return layer, x


def fold_layer(layer: nn.Module) -> nn.Module:
    network = Network(METHODS.get("vanilla"), layer, layer.timesteps)  # type: ignore[arg-type]
    return fold_thresholds(network).body


@given(layers())
@settings(max_examples=300, deadline=None)
def test_not_one_spike_differs(case: tuple[nn.Module, Tensor]) -> None:
    layer, x = case
    folded = fold_layer(layer)
    assert isinstance(folded.fire, FoldedFire) and isinstance(folded.normalise, nn.Identity)
    with torch.no_grad():
        assert torch.equal(layer(x), folded(x))


@given(layers())
@settings(max_examples=150, deadline=None)
def test_not_one_spike_differs_on_the_threshold_itself(case: tuple[nn.Module, Tensor]) -> None:
    """Potentials are put on θ and on its two neighbouring floats, where a rounded threshold would decide wrongly."""
    layer, _ = case
    norm = layer.normalise
    theta, sign = folded_threshold(norm, 0.5)  # type: ignore[arg-type]
    at = (theta * sign).where(theta.isfinite(), 0.0)
    for u in (at, torch.nextafter(at, at + 1), torch.nextafter(at, at - 1)):
        with torch.no_grad():
            assert torch.equal(norm.evaluate(u) > 0.5, sign * u > theta)  # type: ignore[union-attr, operator]


@given(layers())
@settings(max_examples=150, deadline=None)
def test_the_threshold_is_equation_10(case: tuple[nn.Module, Tensor]) -> None:
    """Where λ is not tiny, the float found is Eq. 10 (with ε) up to the rounding of z itself."""
    norm = case[0].normalise
    assert isinstance(norm, MPBN)
    theta, sign = folded_threshold(norm, 0.5)
    usual = norm.weight.view(norm.shape).abs() > 1e-2
    slope = (norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)).view(norm.shape)
    error = torch.finfo(norm.weight.dtype).eps * (
        4 / slope.abs() * (1 + norm.bias.double().view(norm.shape).abs()) + 32
    )
    assert ((theta * sign - eq10(norm, 0.5)).abs() <= error)[usual].all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_zero_scale_is_a_constant(dtype: torch.dtype) -> None:
    norm = MPBN((3, 1, 1)).to(dtype)
    with torch.no_grad():
        norm.weight.zero_(), norm.bias.copy_(torch.tensor([0.5, 0.6, -3.0]))
    theta, sign = folded_threshold(norm, 0.5)
    assert theta.flatten().tolist() == [math.inf, -math.inf, math.inf] and sign.flatten().tolist() == [1, 1, 1]


def test_the_sign_matters() -> None:
    """The paper's rule, u > θ whatever the sign of λ, gets most of the spikes of the negative channels wrong."""
    torch.manual_seed(0)
    layer = METHODS.get("mpbn").neuron.build((64, 4, 4), 4, STE()).eval()
    norm = layer.normalise
    with torch.no_grad():
        norm.weight.normal_(), norm.bias.normal_()
    u = torch.randn(32, 64, 4, 4)
    theta = eq10(norm, 0.5)  # type: ignore[arg-type]
    with torch.no_grad():
        wrong = ((u > theta) != (norm(u) > 0.5)).float().mean((0, 2, 3))
    assert wrong[norm.weight < 0].mean() > 0.5 and wrong[norm.weight > 0].max() == 0


def test_an_infinite_parameter_is_refused() -> None:
    norm = MPBN((2, 1, 1))
    with torch.no_grad():
        norm.weight[0] = math.nan
    with pytest.raises(ValueError, match="not finite"):
        folded_threshold(norm, 0.5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_bisection_finds_the_last_float(dtype: torch.dtype) -> None:
    wanted = torch.tensor([0.0, -0.0, 1e-45, -1e-30, 0.1, -7.5, 3e38, -3e38], dtype=dtype)
    assert torch.equal(last_silent(lambda w: (w > wanted).to(dtype), 0.5, wanted), wanted)


# --- whole networks ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("method", MPBN_METHODS)
@pytest.mark.parametrize("architecture", ["resnet20", "vgg11", "resnet18"])
def test_thresholds_fold_exactly_in_a_network(method: str, architecture: str, dtype: torch.dtype) -> None:
    network = scrambled(tiny(method, architecture, size=32).to(dtype))
    folded = fold_thresholds(network)
    assert not any(isinstance(module, MPBN) for module in folded.modules())
    images = torch.randn(8, 2, 32, 32, dtype=dtype)
    for before, after in zip(spikes(network, images), spikes(folded, images), strict=True):
        assert torch.equal(before, after)


@pytest.mark.parametrize("method", FOLDABLE)
def test_every_registered_method_folds_its_norms(method: str) -> None:
    """Float64, random normalisers: the same spikes, and no normalisation is left."""
    network = scrambled(fold_thresholds(scrambled(tiny(method)).double()))
    folded = fold_norms(network)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    images = torch.randn(8, 2, 16, 16, dtype=torch.float64)
    pairs = list(zip(spikes(network, images), spikes(folded, images), strict=True))
    fires = sum(0 < before.sum() < before.numel() for before, _ in pairs)
    assert fires > len(pairs) / 2 or method in SILENT
    assert all(torch.equal(before, after) for before, after in pairs)
    with torch.no_grad():
        torch.testing.assert_close(network(images), folded(images), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("method", FOLDABLE)
def test_a_conv_and_its_norm_fold(method: str) -> None:
    """One pair, outputs compared directly: float64 to 1e-12, float32 to rounding."""
    for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 2e-5)):
        pair = next(m for m in scrambled(tiny(method).to(dtype)).modules() if isinstance(m, ConvNorm))
        x = torch.randn(3 * 4, 2, 16, 16, dtype=dtype)
        with torch.no_grad():
            torch.testing.assert_close(fold_norm(pair.norm, pair.conv)(x), pair(x), rtol=tolerance, atol=tolerance)


def test_folding_leaves_the_network_alone() -> None:
    network = scrambled(tiny("mpbn"))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network.train()
    fold_norms(fold_thresholds(network))
    assert network.training and all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_an_unknown_normalisation_says_what_to_do() -> None:
    with pytest.raises(TypeError, match=r"no rule folds GroupNorm into Conv2d; add one with @fold_norm\.register"):
        fold_norm(nn.GroupNorm(1, 4), nn.Conv2d(4, 4, 1))


def test_affine_is_batch_norm() -> None:
    norm = nn.BatchNorm2d(3).double().eval()
    with torch.no_grad():
        norm.weight.normal_(), norm.bias.normal_(), norm.running_mean.normal_()
    slope, shift = affine(norm, norm.weight)
    x = torch.randn(2, 3, 1, 1, dtype=torch.float64)
    torch.testing.assert_close(norm(x), x * slope.view(1, 3, 1, 1) + shift.view(1, 3, 1, 1))


def test_lif_without_mpbn_keeps_its_threshold() -> None:
    layer = LIF.build((2, 2, 2), 2, STE())
    assert fold_layer(layer).fire.v_th == 0.5


# --- thresholds that are learned, potentials that are rectified -------------------------------------------------------

COMPARING = ["ltmd", "diet-snn", "glif", "inflor-snn"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("method", COMPARING)
def test_a_learned_threshold_or_a_rectified_potential_folds_exactly(method: str, dtype: torch.dtype) -> None:
    """Into one comparison of u with a number, on potentials at the threshold and beside it too."""
    network = scrambled(tiny(method, timesteps=4).to(dtype))
    folded = fold_thresholds(network)
    for layer in folded.spiking_layers().values():
        assert isinstance(layer.fire, FoldedFire) and isinstance(layer.normalise, nn.Identity)
        assert layer.threshold is None
    assert not any(isinstance(module, Learned | Rectificator) for module in folded.modules())
    images = torch.randn(8, 2, 16, 16, dtype=dtype)
    pairs = list(zip(spikes(network, images), spikes(folded, images), strict=True))
    fires = sum(0 < before.sum() < before.numel() for before, _ in pairs)
    assert fires > len(pairs) / 2 or method in SILENT
    assert all(torch.equal(before, after) for before, after in pairs)
    with torch.no_grad():
        assert torch.equal(network(images), folded(images))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("v_th", [0.3, 0.1, 1e-3, 7.0, -0.4])
def test_the_very_float_at_which_a_learned_threshold_is_passed(v_th: float, dtype: torch.dtype) -> None:
    """One step, so that u = x: on θ silent, on the next float above (below, where V is negative) a spike."""
    layer = METHODS.get("diet-snn").neuron.build((3, 1, 1), 1, STE()).to(dtype).eval()
    with torch.no_grad():
        layer.threshold.w.fill_(v_th)  # type: ignore[union-attr, operator]
    folded = fold_thresholds(Network(METHODS.get("vanilla"), layer, 1)).body
    theta = (folded.fire.threshold * (1 if folded.fire.sign is None else folded.fire.sign)).view(1, 3, 1, 1)  # type: ignore
    beyond = torch.nextafter(theta, theta + math.copysign(1, v_th))
    for form in (layer, folded):
        with torch.no_grad():
            assert form(theta).tolist() != form(beyond).tolist() and not form(theta).any()
    assert float(theta.max()) == pytest.approx(v_th, rel=1e-6)
    assert folded.reset.amount == float(layer.threshold.w.detach())  # type: ignore[union-attr, operator, arg-type]


def test_a_neuron_that_fires_on_the_threshold_folds_to_the_float_below() -> None:
    spec = replace(METHODS.get("ltmd").neuron, strict=False)
    layer = spec.build((1, 1, 1), 1, STE()).eval()
    folded = fold_thresholds(Network(METHODS.get("vanilla"), layer, 1)).body
    theta = folded.fire.threshold.view(1, 1, 1, 1)  # type: ignore[union-attr]
    with torch.no_grad():
        assert folded(theta).item() == layer(theta).item() == 0
        above = torch.nextafter(theta, theta + 1)
        assert folded(above).item() == layer(above).item() == 1


def test_a_rectified_potential_is_compared_with_a_half() -> None:
    """φ rises and φ(1/2) = 1/2: nothing is left of it (the fact sheet's note)."""
    layer = METHODS.get("inflor-snn").neuron.build((2, 1, 1), 1, STE()).eval()
    for dtype in (torch.float32, torch.float64):
        folded = fold_thresholds(Network(METHODS.get("vanilla"), layer.to(dtype), 1)).body
        assert folded.fire.threshold.flatten().tolist() == [0.5, 0.5]  # type: ignore[union-attr]
    grid = torch.linspace(-5, 5, 100_001).view(1, 1, 1, -1)
    assert torch.equal(layer.float()(grid), (grid > 0.5).float())


def test_an_adaptive_threshold_stays() -> None:
    layer = METHODS.get("lsnn").neuron.build((2, 2, 2), 2, STE())
    assert not has_foldable_threshold(layer) and fold_layer(layer).threshold is not None


def test_a_learned_threshold_that_is_not_finite_is_refused() -> None:
    layer = METHODS.get("ltmd").neuron.build((2, 1, 1), 2, STE())
    with torch.no_grad():
        layer.threshold.w.fill_(math.nan)  # type: ignore[union-attr, operator]
    with pytest.raises(ValueError, match="not finite"):
        fold_layer(layer)


@pytest.mark.parametrize("method", ["bntt", "psp-bn"])
def test_statistics_of_each_step_fold_into_weights_of_each(method: str) -> None:
    network = fold_norms(scrambled(tiny(method)))
    assert any(isinstance(module, ConvPerStep) for module in network.modules())
    assert not any(isinstance(m, ConvPerStep) for m in fold_norms(scrambled(tiny("psp-bn-joint"))).modules())


def test_a_neuron_that_carries_the_normalised_potential_does_not_fold_into_its_threshold_alone() -> None:
    layer = replace(METHODS.get("mpbn").neuron, carry="normalised").build((2, 2, 2), 2, STE())
    assert not has_foldable_threshold(layer) and isinstance(fold_layer(layer).normalise, MPBN)


# --- MPBN that is carried ---------------------------------------------------------------------------------------------


def carrying(method: str, dtype: torch.dtype) -> tuple[Network, Tensor, Tensor]:
    """One layer of 64 × 4 × 4 neurons over 5 steps that carries z(t), random λ as in `scrambled`; its currents, its
    spikes."""
    torch.manual_seed(0)
    layer = replace(METHODS.get(method).neuron, carry="normalised").build((64, 4, 4), 5, STE())
    network = scrambled(Network(METHODS.get("vanilla"), layer, 5).to(dtype))
    x = torch.randn(5 * 32, 64, 4, 4, dtype=dtype)
    with torch.no_grad():
        return network, x, layer(x)


@pytest.mark.parametrize("method", MPBN_METHODS)
def test_carried_mpbn_folds_into_leak_offset_and_threshold(method: str) -> None:
    """Float64: not one of 163,840 spikes differs. Float32: few do, as z and y round differently."""
    for dtype, most in ((torch.float64, 0.0), (torch.float32, 1e-4)):
        network, x, spikes = carrying(method, dtype)
        assert has_foldable_leak(network.body) and not has_foldable_threshold(network.body)
        folded = fold_leaks(network).body
        assert isinstance(folded.normalise, nn.Identity) and isinstance(folded.charge, FoldedLeak)
        with torch.no_grad():
            assert (folded(x) != spikes).float().mean() <= most
        assert 0.2 < spikes.mean() < 0.8


@pytest.mark.parametrize("part", ["decay", "offset", "threshold"])
def test_every_part_of_the_folded_leak_matters(part: str) -> None:
    network, x, spikes = carrying("mpbn", torch.float64)
    folded = fold_leaks(network).body
    with torch.no_grad():
        (folded.fire.threshold if part == "threshold" else getattr(folded.charge, part)).mul_(1.1)
        assert (folded(x) != spikes).double().mean() > 1e-3


def test_a_carried_scale_that_is_zero_or_tiny_is_a_constant() -> None:
    norm = MPBN((4, 1, 1))
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([0.0, 0.0, 1e-44, -1e-44]))
        norm.bias.copy_(torch.tensor([0.6, 0.5, 0.6, -3.0]))
    leak, fire = folded_leak(norm, 0.25, 0.5)
    assert fire.threshold.flatten().tolist() == [-math.inf, math.inf, -math.inf, math.inf]
    assert not leak.decay.any() and not leak.offset.any()
    assert fire(leak(torch.zeros(1, 4, 1, 1), torch.randn(9, 4, 1, 1))).mean((0, 2, 3)).tolist() == [1, 0, 1, 0]


def test_a_network_that_carries_folds_whole() -> None:
    network = scrambled(tiny("mpbn-normalised-potential").double())
    assert len(list(fold_thresholds(network).modules())) == len(list(network.modules()))
    folded = fold_norms(fold_leaks(fold_thresholds(network)))
    assert not any(isinstance(module, MPBN | nn.BatchNorm2d) for module in folded.modules())
    images = torch.randn(8, 2, 16, 16, dtype=torch.float64)
    pairs = list(zip(spikes(network, images), spikes(folded, images), strict=True))
    fires = sum(0 < before.sum() < before.numel() for before, _ in pairs)
    assert fires > len(pairs) / 2
    assert all(torch.equal(before, after) for before, after in pairs)


def test_the_registry_was_enumerated() -> None:
    assert {"vanilla", "tdbn", "tebn", "mpbn", "mpbn-element"} <= set(FOLDABLE)
    assert {"resnet20", "resnet19", "vgg16", "resnet18", "resnet34"} <= set(ARCHITECTURES)
