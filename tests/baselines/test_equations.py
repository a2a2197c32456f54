"""Every registered neuron and normaliser against its equations written out with plain autograd, in float64.

A method registered with a neuron or normaliser of a new kind fails here until its equations are added.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import pytest
import torch
from torch import Tensor, nn

from baselines import METHODS
from baselines.parts import leaks
from baselines.parts.neurons import HardReset, Neuron
from baselines.parts.per_step import BNTT
from baselines.parts.rectifier import Rectifier
from baselines.parts.surrogates import STE, ArcTan
from baselines.procedures.bptt import BPTT

T, B, C, H, W = 4, 6, 5, 4, 3
DOUBLE = torch.float64
Parameters: TypeAlias = dict[str, Tensor]


class Step(torch.autograd.Function):
    """H(y), 1 at zero or not; dH/dy = 1 for -1/2 <= y <= 1/2."""

    @staticmethod
    def forward(ctx, y, at_zero=False):  # type: ignore[override]
        ctx.save_for_backward(y)
        return (y >= 0).double() if at_zero else (y > 0).double()

    @staticmethod
    def backward(ctx, grad):  # type: ignore[override]
        (y,) = ctx.saved_tensors
        return grad * ((y >= -0.5) & (y <= 0.5)), None


def step(y: Tensor, at_zero: bool = False) -> Tensor:
    return Step.apply(y, at_zero)  # type: ignore[return-value]


def sigmoid(w: Tensor) -> Tensor:
    return 1 / (1 + torch.exp(-w))


def lif(p: Parameters, currents: Tensor) -> list[Tensor]:
    v, spikes = 0.0, []
    for x in currents:
        u = 0.25 * v + x
        s = step(u - 0.5)
        v = u * (1 - s)
        spikes.append(s)
    return spikes


def lif_detached(p: Parameters, currents: Tensor) -> list[Tensor]:
    v, spikes = 0.0, []
    for x in currents:
        u = 0.25 * v + x
        spikes.append(step(u - 0.5))
        v = u * (1 - spikes[-1].detach())
    return spikes


def plif(p: Parameters, currents: Tensor) -> list[Tensor]:
    v, spikes = torch.zeros_like(currents[0]), []
    for x in currents:
        u = v + (x - v) * sigmoid(p["charge.w"])
        s = step(u - 0.5, at_zero=True)
        v = u * (1 - s.detach())
        spikes.append(s)
    return spikes


def liaf(p: Parameters, currents: Tensor) -> list[Tensor]:
    """Its spikes, which reset the potential that it passes on."""
    v, spikes = torch.zeros_like(currents[0]), []
    for x in currents:
        u = sigmoid(p["charge.d"]) * v + x
        spikes.append(step(u - 0.5))
        v = u * (1 - spikes[-1].detach())
    return spikes


def glif(p: Parameters, currents: Tensor) -> list[Tensor]:
    """As the paper has it: u(t-1) is carried as it is, the reset acts when the next step begins."""
    a, b, c, tau, leak, by = (sigmoid(p[f"charge.{n}"]) for n in ("alpha", "beta", "gamma", "tau", "leak", "reset_by"))
    conductance, v_th = sigmoid(p["charge.conductance"]), sigmoid(p["threshold.w"])
    u = s = torch.zeros_like(currents[0])
    spikes = []
    for x, g in zip(currents, conductance, strict=True):
        u = (1 - a * (1 - tau)) * u * (1 - c * s) - (1 - a) * leak + x * (1 - b * (1 - g)) - (1 - c) * by * s
        s = step(u - v_th)
        spikes.append(s)
    return spikes


def diet(p: Parameters, currents: Tensor) -> list[Tensor]:
    """The window of u / V - 1 is scaled by V₀, so that it is the baseline's where V = V₀."""
    lam, v_th = p["charge.lam"], p["threshold.w"]
    v, spikes = 0.0, []
    for x in currents:
        u = lam * v + x
        s = step(0.5 * (u / v_th - 1))
        v = u - v_th * s.detach()
        spikes.append(s)
    return spikes


def ltmd(p: Parameters, currents: Tensor) -> list[Tensor]:
    v, spikes = 0.0, []
    for x in currents:
        u = 0.25 * v + x
        s = step(u - torch.tanh(p["threshold.w"]))
        v = u * (1 - s)
        spikes.append(s)
    return spikes


def lsnn(p: Parameters, currents: Tensor) -> list[Tensor]:
    rho, beta = math.exp(-1 / 200), 0.5 * 1.6 / 0.03
    v, a, spikes = 0.0, torch.zeros_like(currents[0]), []
    for x in currents:
        u = 0.25 * v + x
        s = step(0.5 * (u / (0.5 + beta * a) - 1))
        v = u * (1 - s)
        a = rho * a + (1 - rho) * s
        spikes.append(s)
    return spikes


def inflor(p: Parameters, currents: Tensor) -> list[Tensor]:
    v, spikes = 0.0, []
    for x in currents:
        u = 0.25 * v + x
        roots = torch.sign(u - 0.5) * ((u - 0.5).abs() + 0.5) ** (1 / 3) + (u < 0.5)
        between = torch.tanh(3 * (u - 0.5)) / math.tanh(1.5) / 2 + 0.5
        s = step(torch.where((u - 0.5).abs() > 0.5, roots, between) - 0.5)
        v = u - s
        spikes.append(s)
    return spikes


NEURONS: dict[str, Callable[[Parameters, Tensor], list[Tensor]]] = {
    "vanilla": lif,
    "vanilla-detached-reset": lif_detached,
    "plif": plif,
    "glif": glif,
    "glif-random-gates": glif,
    "diet-snn": diet,
    "ltmd": ltmd,
    "lsnn": lsnn,
    "inflor-snn": inflor,
    "liaf-net": liaf,
}
"""By the method that brings the neuron; those with MPBN are in `test_parts.py`."""


def batch_norm(p: Parameters, x: Tensor, dims: tuple[int, ...], eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """x̂, the mean and the unbiased variance over `dims` of (T, B, C, H, W)."""
    mean = x.mean(dims, keepdim=True)
    var = ((x - mean) ** 2).mean(dims, keepdim=True)
    n = math.prod(x.shape[d] for d in dims)
    return (x - mean) / torch.sqrt(var + eps), mean, var * n / (n - 1)


def along(p: Tensor) -> Tensor:
    """(C,) or (T, C) -> broadcastable to (T, B, C, H, W)."""
    return p.reshape(-1, 1, C, 1, 1)


Normalised: TypeAlias = tuple[Tensor, dict[str, Tensor]]


def bn(p: Parameters, x: Tensor) -> Normalised:
    y, mean, var = batch_norm(p, x, (0, 1, 3, 4), 1e-5)
    return along(p["weight"]) * y + along(p["bias"]), {"running_mean": 0.1 * mean, "running_var": 0.9 + 0.1 * var}


def tdbn(p: Parameters, x: Tensor) -> Normalised:
    y, mean, var = batch_norm(p, x, (0, 1, 3, 4), 1e-5)
    y = along(p["weight"]) * 0.5 / math.sqrt(2) * y + along(p["bias"])
    return y, {"running_mean": 0.1 * mean, "running_var": 0.9 + 0.1 * var}


def tebn(p: Parameters, x: Tensor) -> Normalised:
    y, kept = bn({"weight": p["norm.weight"], "bias": p["norm.bias"]}, x)
    return p["p"].view(-1, 1, 1, 1, 1) * y, {f"norm.{name}": value for name, value in kept.items()}


def of_each_step(p: Parameters, x: Tensor) -> Normalised:
    y, means, variances = batch_norm(p, x, (1, 3, 4), 1e-5)
    mean, var = torch.zeros(C, dtype=DOUBLE), torch.ones(C, dtype=DOUBLE)
    for m, v in zip(means.reshape(T, C), variances.reshape(T, C), strict=True):
        mean, var = 0.9 * mean + 0.1 * m, 0.9 * var + 0.1 * v
    return along(p["weight"]) * y + along(p["bias"]), {"running_mean": mean, "running_var": var}


def bntt(p: Parameters, x: Tensor) -> Normalised:
    y, mean, var = batch_norm(p, x, (1, 3, 4), 1e-4)
    kept = {"norm.running_mean": 0.1 * mean, "norm.running_var": 0.9 + 0.1 * var}
    return along(p["norm.weight"]) * y, kept


def psp_bn(p: Parameters, x: Tensor) -> Normalised:
    moment = (x**2).mean((1, 3, 4), keepdim=True)
    return along(p["weight"]) * x / torch.sqrt(moment + 1e-5), {"running_moment": 0.9 + 0.1 * moment}


def psp_bn_joint(p: Parameters, x: Tensor) -> Normalised:
    moment = (x**2).mean((0, 1, 3, 4), keepdim=True)
    return along(p["weight"]) * x / torch.sqrt(moment + 1e-5), {"running_moment": 0.9 + 0.1 * moment}


NORMALISATIONS: dict[str, Callable[[Parameters, Tensor], Normalised]] = {
    "vanilla": bn,
    "vanilla-norm-of-each-step": of_each_step,
    "tdbn": tdbn,
    "tebn": tebn,
    "bntt": bntt,
    "psp-bn": psp_bn,
    "psp-bn-joint": psp_bn_joint,
    "diet-snn": lambda p, x: (x, {}),
}


def drawn(layer: nn.Module) -> tuple[nn.Module, Parameters]:
    """In float64, every parameter moved at random, and a copy of them."""
    layer = layer.double()
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for p in layer.parameters():
            p.add_(torch.randn(p.shape, generator=generator, dtype=DOUBLE) * 0.2)
    return layer, {name: p.detach().clone().requires_grad_() for name, p in layer.named_parameters()}


def currents() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    x, g = torch.randn(2, T * B, C, H, W, generator=generator, dtype=DOUBLE).unbind()
    return x * 0.7 + 0.2, g


def close(ours: Tensor | None, theirs: Tensor | None) -> None:
    assert ours is not None and theirs is not None
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


def alike(layer: nn.Module, parameters: Parameters, equation: Callable[[Parameters, Tensor], Tensor]) -> Tensor:
    """Outputs and all gradients of `layer` are those of `equation`; the output."""
    x, g = currents()
    ours_x, theirs_x = x.clone().requires_grad_(), x.clone().requires_grad_()
    ours, theirs = layer(ours_x), equation(parameters, theirs_x.unflatten(0, (T, B)))
    close(ours, theirs)
    ours.backward(g), theirs.backward(g)
    close(ours_x.grad, theirs_x.grad)
    for name, p in layer.named_parameters():
        close(p.grad, parameters[name].grad)
    return ours


@pytest.mark.parametrize("method", NEURONS)
def test_a_neuron_is_its_equations(method: str) -> None:
    layer, parameters = drawn(METHODS.get(method).neuron.build((C, H, W), T, STE()))
    s = alike(layer, parameters, lambda p, x: torch.cat(NEURONS[method](p, x)))
    assert set(s.unique().tolist()) == {0.0, 1.0} and 0.1 < s.mean() < 0.9


@pytest.mark.parametrize("method", NORMALISATIONS)
def test_a_normalisation_is_its_equations(method: str) -> None:
    layer, parameters = drawn(METHODS.get(method).normalisation.build(C, T, 0.5, 2))
    kept: dict[str, Tensor] = {}

    def equation(p: Parameters, x: Tensor) -> Tensor:
        y, statistics = NORMALISATIONS[method](p, x)
        kept.update(statistics)
        return y.flatten(0, 1)

    alike(layer, parameters, equation)
    buffers = {name: buffer for name, buffer in layer.named_buffers() if "running" in name}
    assert set(buffers) == set(kept)
    for name, buffer in buffers.items():
        close(buffer.flatten(), kept[name].detach().flatten())


def test_every_registered_part_is_written_out() -> None:
    """Of what is trained by back-propagation from fresh weights; what is not, in `test_conversion.py` and beside it."""
    neurons = {METHODS.get(method).neuron for method in NEURONS}
    normalisations = {METHODS.get(method).normalisation for method in NORMALISATIONS}
    for name in METHODS:
        method = METHODS.get(name)
        if METHODS.builtin(name) and type(method.procedure) is BPTT:
            known = method.neuron in neurons or "mpbn" in name or isinstance(method.neuron, Rectifier)
            assert known, f"{name}: write out its neuron"
            assert method.normalisation in normalisations, f"{name}: write out its normalisation"


# --- SpikingJelly -----------------------------------------------------------------------------------------------------


def test_plif_equals_spikingjelly() -> None:
    from spikingjelly.activation_based import neuron, surrogate

    theirs = neuron.ParametricLIFNode(
        init_tau=2.0, surrogate_function=surrogate.ATan(alpha=2.0), detach_reset=True, step_mode="m"
    ).double()
    spec = Neuron(charge=leaks.Sigmoid(0.5), v_th=1.0, strict=False, reset=HardReset(detach=True))
    ours = spec.build((C, H, W), T, ArcTan()).double()
    with torch.no_grad():
        ours.charge.w.fill_(0.3), theirs.w.fill_(0.3)  # type: ignore[union-attr, operator]
    x, g = currents()
    x = x * 2
    ours_x, theirs_x = x.clone().requires_grad_(), x.clone().requires_grad_()
    s, r = ours(ours_x), theirs(theirs_x.unflatten(0, (T, B))).flatten(0, 1)
    assert torch.equal(s, r) and 0.1 < s.mean() < 0.9
    s.backward(g), r.backward(g)
    close(ours_x.grad, theirs_x.grad)
    close(ours.charge.w.grad, theirs.w.grad)  # type: ignore[union-attr, arg-type]


def test_bntt_equals_spikingjelly() -> None:
    """Which has T batch norms of its own."""
    from spikingjelly.activation_based import layer

    ours, parameters = drawn(BNTT().build(C, T, 0.5, 1))
    theirs = layer.BatchNormThroughTime2d(T, C, eps=1e-4, step_mode="m").double()
    with torch.no_grad():
        for norm, weight in zip(theirs.bn_list, parameters["norm.weight"].view(T, C), strict=True):
            norm.weight.copy_(weight)
    x, g = currents()
    ours_x, theirs_x = x.clone().requires_grad_(), x.clone().requires_grad_()
    y, r = ours(ours_x), theirs(theirs_x.unflatten(0, (T, B))).flatten(0, 1)
    close(y, r)
    y.backward(g), r.backward(g)
    close(ours_x.grad, theirs_x.grad)
    close(ours.norm.weight.grad, torch.cat([norm.weight.grad for norm in theirs.bn_list]))  # type: ignore[union-attr]
    for name in ("running_mean", "running_var"):
        close(getattr(ours.norm, name), torch.cat([getattr(norm, name) for norm in theirs.bn_list]))
