"""Neurons and normalisations against SpikingJelly and against the written-out equations, in float64."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from baselines import METHODS
from baselines.parts.neurons import LIF, Carry, HardReset
from baselines.parts.normalisations import TEBN, BatchNorm, TdBN
from baselines.parts.surrogates import STE, SURROGATES, Tanh, spike

T, B, C, H, W = 4, 6, 5, 4, 3
DOUBLE = torch.float64


def currents(seed: int = 0, timesteps: int = T) -> Tensor:
    """Random input (T·B, C, H, W) that makes about a third of the neurons fire."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(timesteps * B, C, H, W, generator=generator, dtype=DOUBLE).mul(0.7).add(0.2)


def close(ours: Tensor, theirs: Tensor) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


# --- surrogates -------------------------------------------------------------------------------------------------------


def gradient(surrogate: STE | Tanh, z: Tensor, v_th: float = 0.5) -> Tensor:
    z = z.clone().requires_grad_()
    spike(z, v_th, surrogate).sum().backward()
    assert z.grad is not None
    return z.grad


GRID = torch.linspace(-1, 2, 3001, dtype=DOUBLE)


def test_ste_is_one_on_the_closed_unit_interval() -> None:
    grid = torch.cat([GRID, torch.tensor([0.0, 1.0, -1e-12, 1 + 1e-12], dtype=DOUBLE)])
    assert gradient(STE(), grid).tolist() == [1.0 if 0 <= z <= 1 else 0.0 for z in grid.tolist()]


def test_tanh_is_the_derivative_of_the_released_formula() -> None:
    grid = GRID[(GRID > 0) & (GRID < 1)].clone().requires_grad_()
    k = 3.0
    g = (torch.tanh(k * (grid - 0.5)) + math.tanh(k / 2)) / (2 * math.tanh(k / 2))
    (expected,) = torch.autograd.grad(g.sum(), grid)
    torch.testing.assert_close(gradient(Tanh(k), grid.detach()), expected, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize(
    ("z", "value"),
    [(0.5, 1.6572), (0.25, 0.9887), (0.75, 0.9887), (0.0, 0.2995), (1.0, 0.2995), (-1e-9, 0), (1.001, 0)],
)
def test_tanh_at_the_points_of_the_fact_sheet(z: float, value: float) -> None:
    assert gradient(Tanh(3.0), torch.tensor([z], dtype=DOUBLE)).item() == pytest.approx(value, abs=5e-5)


@pytest.mark.parametrize("surrogate", SURROGATES.values(), ids=SURROGATES)
def test_a_surrogate_integrates_to_one_and_follows_the_threshold(surrogate: STE | Tanh) -> None:
    points = torch.linspace(0, 1, 20001, dtype=DOUBLE)
    assert torch.trapezoid(gradient(surrogate, points), points).item() == pytest.approx(1.0, abs=1e-6)
    inner = GRID[(GRID > 0.001) & (GRID < 0.999)]  # away from the edges, where 0.5 + z rounds
    close(gradient(surrogate, inner, v_th=0.5), gradient(surrogate, inner + 0.5, v_th=1.0))


def test_firing_is_strict() -> None:
    z = torch.tensor([0.5, math.nextafter(0.5, 1), math.nextafter(0.5, 0)], dtype=DOUBLE)
    assert spike(z, 0.5, STE()).tolist() == [0.0, 1.0, 0.0]


# --- the neuron -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("timesteps", [1, 2, 4])
def test_lif_equals_spikingjelly(timesteps: int) -> None:
    from spikingjelly.activation_based import neuron, surrogate

    theirs = neuron.LIFNode(
        tau=4 / 3,  # they divide by it: 1 - 3/4 is the decay of 0.25
        decay_input=False,
        v_threshold=0.5,
        v_reset=0.0,
        surrogate_function=surrogate.Rect(alpha=1.0),
        detach_reset=False,
        step_mode="m",
    )
    x, g = currents(timesteps=timesteps), torch.randn(timesteps * B, C, H, W, dtype=DOUBLE)
    ours_x, theirs_x = x.clone().requires_grad_(), x.clone().requires_grad_()
    ours_s = LIF.build((C, H, W), timesteps, STE())(ours_x)
    theirs_s = theirs(theirs_x.unflatten(0, (timesteps, B))).flatten(0, 1)
    assert 0.1 < ours_s.mean() < 0.9
    assert torch.equal(ours_s, theirs_s)
    ours_s.backward(g), theirs_s.backward(g)
    close(ours_x.grad, theirs_x.grad)  # type: ignore[arg-type]


def by_hand(
    x: Tensor,
    lam: Tensor,
    beta: Tensor,
    dims: tuple[int, ...],
    h: type[Step],
    detach: bool = False,
    carry: Carry = "raw",
) -> tuple[Tensor, Tensor, Tensor]:
    """Eq. 6-8 and 2 written out for one layer, plain autograd throughout: spikes, running mean, running variance."""
    mean_r, var_r, spikes, v = torch.zeros_like(lam), torch.ones_like(lam), [], 0.0
    for x_t in x.unflatten(0, (T, B)):
        u = 0.25 * v + x_t
        n = math.prod(u.shape[d] for d in dims)
        mu = u.mean(dims, keepdim=True)
        var = ((u - mu) ** 2).mean(dims, keepdim=True)
        z = lam * (u - mu) / torch.sqrt(var + 1e-5) + beta
        s = h.apply(z)
        v = (u if carry == "raw" else z) * (1 - (s.detach() if detach else s))
        spikes.append(s)
        with torch.no_grad():
            mean_r = 0.9 * mean_r + 0.1 * mu.view_as(lam)
            var_r = 0.9 * var_r + 0.1 * var.view_as(lam) * n / (n - 1)
    return torch.cat(spikes), mean_r, var_r


class Step(torch.autograd.Function):
    """H(z - 0.5) whose derivative is Eq. 12, written again without our code."""

    @staticmethod
    def forward(ctx, z):  # type: ignore[override]
        ctx.save_for_backward(z)
        return (z > 0.5).double()

    @staticmethod
    def backward(ctx, grad):  # type: ignore[override]
        (z,) = ctx.saved_tensors
        return grad * ((z >= 0) & (z <= 1))


class TanhStep(Step):
    @staticmethod
    def backward(ctx, grad):  # type: ignore[override]
        (z,) = ctx.saved_tensors
        with torch.enable_grad():
            c = z.clone().requires_grad_()
            g = (torch.tanh(3 * (c - 0.5)) + math.tanh(1.5)) / (2 * math.tanh(1.5))
            (dg,) = torch.autograd.grad(g.sum(), c)
        return grad * dg * ((z >= 0) & (z <= 1))


@pytest.mark.parametrize("carry", ["raw", "normalised"])
@pytest.mark.parametrize("detach", [False, True])
@pytest.mark.parametrize(("surrogate", "step"), [("ste", Step), ("tanh", TanhStep)])
@pytest.mark.parametrize(
    ("method", "shape", "dims"), [("mpbn", (C, 1, 1), (0, 2, 3)), ("mpbn-element", (C, H, W), (0,))]
)
def test_mpbn_equals_autograd_of_its_equations(
    method: str,
    shape: tuple[int, ...],
    dims: tuple[int, ...],
    surrogate: str,
    step: type[Step],
    detach: bool,
    carry: Carry,
) -> None:
    neuron = replace(METHODS.get(method).neuron, reset=HardReset(detach), carry=carry)
    layer = neuron.build((C, H, W), T, SURROGATES[surrogate]).double()
    with torch.no_grad():
        layer.normalise.weight.normal_(), layer.normalise.bias.normal_()
    lam, beta = (p.detach().clone().view(shape).requires_grad_() for p in layer.parameters())
    x, g = currents(), torch.randn(T * B, C, H, W, dtype=DOUBLE)
    ours_x, their_x = x.clone().requires_grad_(), x.clone().requires_grad_()

    ours = layer(ours_x)
    theirs, mean, var = by_hand(their_x, lam, beta, dims, step, detach, carry)
    assert torch.equal(ours, theirs)
    ours.backward(g), theirs.backward(g)
    close(ours_x.grad, their_x.grad)  # type: ignore[arg-type]
    close(layer.normalise.weight.grad.view(shape), lam.grad)  # type: ignore[union-attr]
    close(layer.normalise.bias.grad.view(shape), beta.grad)  # type: ignore[union-attr]
    close(layer.normalise.running_mean.view(shape), mean)
    close(layer.normalise.running_var.view(shape), var)


def test_mpbn_carries_the_raw_potential() -> None:
    """With λ = 1/2, β = -9 nothing ever fires, so v(t) = u(t) must be the plain leaky sum of the currents."""
    layer = METHODS.get("mpbn").neuron.build((1, 1, 1), 3, STE()).double().eval()
    with torch.no_grad():
        layer.normalise.weight.fill_(0.5), layer.normalise.bias.fill_(-9.0)
    seen: list[float] = []
    layer.normalise.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0].item()))
    layer(torch.tensor([0.4, 0.2, 0.1], dtype=DOUBLE).view(3, 1, 1, 1))
    assert seen == pytest.approx([0.4, 0.3, 0.175], abs=1e-15)


# --- normalisations after the convolution -----------------------------------------------------------------------------


def pair(ours: torch.nn.Module, theirs: torch.nn.Module, link: dict[str, str], factor: dict[str, float]) -> None:
    """Same output, input gradient, linked parameter gradients (times `factor`) and running statistics."""
    x, g = currents(3), torch.randn(T * B, C, H, W, dtype=DOUBLE)
    ours_x, theirs_x = x.clone().requires_grad_(), x.clone().requires_grad_()
    a, b = ours(ours_x), theirs(theirs_x)
    close(a, b)
    a.backward(g), b.backward(g)
    close(ours_x.grad, theirs_x.grad)  # type: ignore[arg-type]
    mine, other = dict(ours.named_parameters()), dict(theirs.named_parameters())
    assert set(link) == set(mine)
    for name, name_there in link.items():
        close(mine[name].grad, factor.get(name, 1.0) * other[name_there].grad.view_as(mine[name]))  # type: ignore
    for (name, buffer), (_, there) in zip(
        sorted(b for b in ours.named_buffers() if "running" in b[0]),
        sorted(b for b in theirs.named_buffers() if "running" in b[0]),
        strict=True,
    ):
        close(buffer, there)
        assert name.endswith(("mean", "var"))


class InSteps(torch.nn.Module):
    """A multi-step layer of SpikingJelly, which takes (T, B, C, H, W), for our (T·B, C, H, W)."""

    def __init__(self, layer: torch.nn.Module) -> None:
        super().__init__()
        self.bn = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(x.unflatten(0, (T, B))).flatten(0, 1)


def test_vanilla_bn_is_joint_over_time() -> None:
    """Against BatchNorm3d over (B, C, T, H, W), the released code's own view."""
    ours, theirs = BatchNorm().build(C, T, 0.5, 1).double(), torch.nn.BatchNorm3d(C).double()

    class Viewed(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bn = theirs

        def forward(self, x: Tensor) -> Tensor:
            return self.bn(x.unflatten(0, (T, B)).permute(1, 2, 0, 3, 4)).permute(2, 0, 1, 3, 4).flatten(0, 1)

    pair(ours, Viewed(), {"weight": "bn.weight", "bias": "bn.bias"}, {})


def test_vanilla_bn_equals_spikingjelly() -> None:
    from spikingjelly.activation_based import layer

    ours, theirs = BatchNorm().build(C, T, 0.5, 1).double(), layer.BatchNorm2d(C, step_mode="m").double()
    pair(ours, InSteps(theirs), {"weight": "bn.weight", "bias": "bn.bias"}, {})


@pytest.mark.parametrize("branches", [1, 2])
def test_tdbn_equals_spikingjelly(branches: int) -> None:
    """They start λ at αV instead of keeping the factor: same function, our gradient of λ is αV times theirs."""
    from spikingjelly.activation_based import layer

    ours = TdBN().build(C, T, 0.5, branches).double()
    theirs = layer.ThresholdDependentBatchNorm2d(1 / math.sqrt(branches), 0.5, C).double()
    theirs.step_mode = "m"
    assert torch.equal(ours.weight, torch.ones(C, dtype=DOUBLE))
    torch.testing.assert_close(theirs.weight, torch.full((C,), 0.5 / math.sqrt(branches), dtype=DOUBLE))
    with torch.no_grad():
        theirs.weight.fill_(0.5 / math.sqrt(branches))  # they rounded it to float32

    pair(ours, InSteps(theirs), {"weight": "bn.weight", "bias": "bn.bias"}, {"weight": 0.5 / math.sqrt(branches)})


def test_tebn_equals_spikingjelly() -> None:
    from spikingjelly.activation_based import layer

    ours, theirs = TEBN().build(C, T, 0.5, 1).double(), layer.TemporalEffectiveBatchNorm2d(T, C).double()
    theirs.step_mode = "m"
    with torch.no_grad():
        p = torch.tensor([1.2, -0.4, 0.0, 0.9], dtype=DOUBLE)
        ours.p.copy_(p)
        theirs.scale.copy_(p.view_as(theirs.scale))
        for norm in (ours.norm, theirs.bn if hasattr(theirs, "bn") else theirs):
            norm.weight.copy_(torch.linspace(-1, 1, C)), norm.bias.copy_(torch.linspace(0, 2, C))

    names = {name.rpartition(".")[2]: name for name, _ in InSteps(theirs).named_parameters()}
    link = {"norm.weight": names["weight"], "norm.bias": names["bias"], "p": names["scale"]}
    pair(ours, InSteps(theirs), link, {})
