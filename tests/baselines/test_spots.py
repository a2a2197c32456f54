"""Numbers that the cited code of each method computed, in float32 (its authors' own, run elsewhere): to 1e-5.

Single neurons from v(0) = 0 unless said otherwise; gradients are those of the sum of t · s(t), later steps weigh more.
Which spike fires at the threshold, and which end of a window counts, is exact.
"""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from baselines.parts import leaks, thresholds
from baselines.parts.gated import GLIF
from baselines.parts.neurons import HardReset, Leak, Neuron, SoftReset
from baselines.parts.normalisations import TEBN, TdBN
from baselines.parts.rectified import Rectificator, Rectified
from baselines.parts.surrogates import ArcTan, Rectangle, Sharpening, SoftStep, Surrogate, Tanh, Triangle, spike


def near(found: Tensor, expected: list[float]) -> None:
    torch.testing.assert_close(found.detach().flatten(), torch.tensor(expected, dtype=torch.float32), rtol=0, atol=1e-5)


def run(neuron: Neuron | GLIF, surrogate: Surrogate, *currents: list[float]) -> tuple[nn.Module, Tensor, Tensor]:
    """(layer, spikes (T, C), gradient of the currents (T, C)) for `currents` of T steps, a list a channel."""
    x = torch.tensor(currents).t().contiguous().requires_grad_()
    layer = neuron.build((len(currents), 1, 1), len(x), surrogate)
    s = layer(x[:, :, None, None])
    (s[:, :, 0, 0] * torch.arange(1, len(x) + 1)[:, None]).sum().backward()
    assert x.grad is not None
    return layer, s[:, :, 0, 0], x.grad


# --- surrogates -------------------------------------------------------------------------------------------------------


def slope(surrogate: Surrogate, z: list[float], v_th: float = 0.0) -> Tensor:
    return surrogate.derivative(torch.tensor(z), v_th)


def test_arctan() -> None:
    near(slope(ArcTan(), [-1, -0.25, 0, 0.5, 2]), [0.0919997, 0.6184864, 1, 0.2884004, 0.0247045])


def test_triangle() -> None:
    """BNTT's, of u / V - 1: the tip at V, nothing at a distance of 1."""
    assert slope(Triangle(0.3), [-1.5, 0, 1, 2]).tolist() == [0, pytest.approx(0.3), 0, 0]
    near(slope(Triangle(0.3), [-1.5, -0.5, 0, 0.25, 1, 2]), [0, 0.15, 0.3, 0.225, 0, 0])


def test_rectangle_leaves_its_ends_out() -> None:
    above, below = math.nextafter(0.5, 1), math.nextafter(0.5, 0)
    z = torch.tensor([0.5, below, -below, -0.5, above, -above, 0.0], dtype=torch.float64)
    assert Rectangle().derivative(z, 0.0).tolist() == [0, 1, 1, 0, 0, 0, 1]
    assert Rectangle(2.0).derivative(z, 0.0).tolist() == [0.5] * 7


@pytest.mark.parametrize(
    ("b", "values"),
    [
        (1, [0.9257812, 1.0170741, 1.0819767, 1.0170741]),
        (2, [0.7340592, 1.0326335, 1.3130352, 1.0326335]),
        (3, [0.5054751, 0.9886543, 1.6571871, 0.9886543]),
        (5, [0.1790234, 0.7105483, 2.5339184, 0.7105483]),
    ],
)
def test_dspike(b: float, values: list[float]) -> None:
    near(slope(Tanh(b), [0.1, 0.25, 0.5, 0.75], 0.5), values)
    assert slope(Tanh(b), [-0.001, 1.001], 0.5).tolist() == [0, 0]
    assert spike(torch.tensor([0.5, 0.5 + 6e-8, 0.4]), 0.5, Tanh(b)).tolist() == [0, 1, 0]


def test_im_loss_sharpens_from_1_to_10() -> None:
    """K(i) is a function of the epoch alone; at K = 1 the slope at V is 1/2."""
    schedule = Sharpening()
    assert [schedule.at(i, 100).k for i in (0, 100)] == pytest.approx([1, 10], abs=1e-12)
    assert schedule.at(50, 100).k == pytest.approx(((10**0.5 - 1) * 10 + (10 - 10**0.5)) / 9)
    z = torch.linspace(-2, 3, 11, dtype=torch.float64, requires_grad=True)
    (0.5 * torch.tanh(4 * (z - 0.5)) + 0.5).sum().backward()
    torch.testing.assert_close(SoftStep(4.0).derivative(z.detach(), 0.5), z.grad)


# --- neurons ----------------------------------------------------------------------------------------------------------


def test_plif() -> None:
    neuron = Neuron(charge=leaks.Sigmoid(tau=0.5), v_th=1.0, strict=False, reset=HardReset(detach=True))
    layer, s, gx = run(neuron, ArcTan(), [1.6, 0.9, 2.5, -0.4, 1.0])
    assert s.flatten().tolist() == [0, 0, 1, 0, 0]
    near(gx, [0.8358426, 0.9547284, 0.2728841, 0.4060139, 0.5490816])
    near(layer.charge.w.grad, [1.1897861])  # type: ignore[union-attr, arg-type]


def test_plif_fires_at_the_threshold() -> None:
    for strict, fires in ((False, 1.0), (True, 0.0)):
        neuron = Neuron(charge=leaks.Sigmoid(tau=0.5), v_th=1.0, strict=strict)
        assert neuron.build((1, 1, 1), 1, ArcTan())(torch.full((1, 1, 1, 1), 2.0)).item() == fires


def test_glif() -> None:
    layer, s, gx = run(GLIF(), Rectangle(), [0.9, 0.6, 1.5, 0.2], [0.4, 1.2, -0.3, 2.0])
    assert s.tolist() == [[1, 0], [0, 1], [1, 0], [0, 1]]
    near(gx, [0.4475701, 1.0588645, 1.5383976, 1.3499999, 0.7138124, 0, 2.6999998, 0])
    gated = layer.charge
    for parameter, gradient in (
        (gated.alpha, [-0.4352194, -0.0345929]),
        (gated.beta, [-0.4948665, -0.3443753]),
        (gated.gamma, [-0.0917364, 0]),
        (gated.tau, [0.3105358, 0.0498867]),
        (layer.threshold.w, [-1.4295886, -0.5984221]),
        (gated.leak, [-0.2109289, -0.0940963]),
        (gated.reset_by, [-0.7063996, 0]),
        (gated.conductance, [0.0969735, 0.1019647, 0.2222130, 0.39, 0.2577656, 0, 0.13, 0]),
    ):
        near(parameter.grad, gradient)  # type: ignore[union-attr, arg-type]


def test_glif_potentials() -> None:
    layer = GLIF().build((2, 1, 1), 4, Rectangle())
    seen: list[Tensor] = []
    layer.normalise.register_forward_hook(lambda module, inputs, output: seen.append(output))
    layer(torch.tensor([[0.9, 0.4], [0.6, 1.2], [1.5, -0.3], [0.2, 2.0]])[:, :, None, None])
    near(
        torch.cat(seen),
        [0.5793750, 0.2418750, 0.3050472, 0.9239765, 1.1635902, -0.2113487, 0.1894991, 1.1977075],
    )
    near(layer.charge.alpha[0], [0.2006707])  # type: ignore[union-attr, index]
    near(layer.charge.beta[0], [0.6190392])  # type: ignore[union-attr, index]


def test_inflor() -> None:
    u = torch.tensor([-2, -0.5, 0, 0.1, 0.25, 0.5, 0.75, 1, 1.5, 3])
    expected = [-0.4422495, -0.1447142, 0, 0.0394928, 0.1491465, 0.5, 0.8508536, 1, 1.1447142, 1.4422495]
    near(Rectificator(1)(u), expected)
    neuron = Neuron(charge=Leak(1.0), normalise=Rectified(), reset=SoftReset(amount=1.0))
    _, s, gx = run(neuron, Rectangle(), [0.3, 0.4, 0.9, -0.2])
    assert s.flatten().tolist() == [0, 1, 1, 0]
    near(gx, [0.9026747, 1.5430570, 4.5496597, 0])


def test_inflor_surrogate() -> None:
    """Of spike and rectificator together: Dspike's of b = 3, and nothing at 0, at 1 and beyond."""
    u = torch.tensor([0.1, 0.25, 0.5, 0.75, 0, 1, -0.5, 1.5], requires_grad=True)
    spike(Rectificator(1)(u), 0.5, Rectangle()).sum().backward()
    assert u.grad is not None
    near(u.grad, [0.5054751, 0.9886543, 1.6571871, 0.9886543, 0, 0, 0, 0])
    assert u.grad[4:].tolist() == [0, 0, 0, 0]


def test_ltmd() -> None:
    layer = Neuron(threshold=thresholds.Tanh()).build((1, 1, 1), 4, Rectangle())
    with torch.no_grad():
        layer.threshold.w.fill_(0.5)  # type: ignore[union-attr]
    x = torch.tensor([0.3, 0.45, 0.9, -0.1], requires_grad=True)
    s = layer(x[:, None, None, None])
    (s.flatten() * torch.arange(1, 5)).sum().backward()
    assert s.flatten().tolist() == [0, 1, 1, 0] and x.grad is not None
    near(layer.threshold.value(), [0.4621172])  # type: ignore[union-attr]
    near(x.grad, [1.2810938, 1.6062500, 3, 0])
    near(layer.threshold.w.grad, [-4.3142800])  # type: ignore[union-attr, arg-type]


def diet(leak: float, v_th: float, channels: int, side: int) -> nn.Module:
    """Its triangle is one of u / V - 1; ours are of z - V₀, with z = V₀ u / V."""
    neuron = Neuron(charge=leaks.Free(leak), v_th=v_th, threshold=thresholds.Free(), reset=SoftReset(detach=True))
    return neuron.build((channels, side, side), 5, Triangle(0.3 / v_th, v_th))


def test_diet_snn() -> None:
    """A convolution of 1x1, neurons, a pool, a linear layer, neurons, a linear layer; loss the first output's sum."""
    conv, first, last = nn.Conv2d(1, 2, 1, bias=False), nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        conv.weight.copy_(torch.tensor([0.6, -0.4]).view(2, 1, 1, 1))
        first.weight.copy_(torch.tensor([[1.1, 0.2], [0.5, -0.3]]))
        last.weight.copy_(torch.tensor([[1.0, -1.0], [0.5, 2.0]]))
    early, late = diet(0.9, 0.5, 2, 2), diet(0.8, 0.4, 2, 1)
    seen: list[tuple[Tensor, Tensor]] = []
    late.fire.register_forward_hook(lambda module, inputs, s: seen.append((inputs[0], s)))
    images = torch.tensor([[1, 0.5], [-1, 0.25]]).view(1, 1, 2, 2).repeat(5, 1, 1, 1)
    hidden = first(nn.functional.avg_pool2d(early(conv(images)), 2).flatten(1))
    out = last(late(hidden[:, :, None, None]).flatten(1)).sum(0)
    out[0].backward()
    near(out, [3, 4])
    near(conv.weight.grad, [-0.5835686, -0.4457635])  # type: ignore[arg-type]
    near(first.weight.grad, [0.3400124, 0.1172812, -2.1328492, -0.8808308])  # type: ignore[arg-type]
    near(early.threshold.w.grad, [0.3436716])  # type: ignore[union-attr, arg-type]
    near(late.threshold.w.grad, [1.0117636])  # type: ignore[union-attr, arg-type]
    near(early.charge.lam.grad, [-0.1086432])  # type: ignore[union-attr, arg-type]
    near(late.charge.lam.grad, [-0.6246125])  # type: ignore[union-attr, arg-type]
    z, s = seen[-1]
    near(z - 0.4 * s, [0.4220401, 0.2178000])


def test_lsnn() -> None:
    """The adaptive threshold, in the cited order: it fires from the potential of the step before, and the reset comes a
    step later still. Which is their neuron, not ours: so leak and reset are written out here.
    """
    neuron = thresholds.Adaptive(tau=200.0).build((1, 1, 1), 0.03)
    decay = math.exp(-1 / 20)
    v, z, b = torch.zeros(1), torch.zeros(1), torch.zeros(1)
    found: dict[str, list[float]] = {"z": [], "v": [], "thr": [], "b": []}
    for x in (1, 1, 0.5, 1, 0, 1):
        b = neuron.remember(b, z)
        thr = 0.03 + neuron.beta * b
        new = spike(neuron(v, b), 0.03, Triangle(0.3))
        v = decay * v + (1 - decay) * x - z * thr
        z = new
        for name, value in (("z", z), ("v", v), ("thr", thr), ("b", b)):
            found[name].append(value.item())
    assert neuron.beta == pytest.approx(1.6) and neuron.rho == pytest.approx(0.9950125)
    assert found["z"] == [0, 1, 1, 1, 1, 0]
    assert found["v"] == pytest.approx([0.0487706, 0.0951626, 0.0769267, 0.0760253, 0.0184966, 0.0046829], abs=1e-5)
    assert found["thr"] == pytest.approx([0.03, 0.03, 0.0379800, 0.0459203, 0.0538209, 0.0616821], abs=1e-5)
    assert found["b"] == pytest.approx([0, 0, 0.0049875, 0.0099502, 0.0148881, 0.0198013], abs=1e-5)


@pytest.mark.parametrize(
    ("neuron", "surrogate", "currents", "spikes", "gradients"),
    [
        (Neuron(v_th=0.2), Rectangle(), [0.15, 0.18, 0.6, -0.1], [0, 1, 1, 0], [1.3972688, 1.8695000, 2.4000001, 4]),
        (
            Neuron(charge=Leak(0.5), v_th=1.0),
            Triangle(),
            [0.8, 0.7, 1.4, 0.3, 0.9],
            [0, 1, 1, 0, 1],
            [1.0894047, 1.6078038, 0.3882750, 3.3612499, 4.75],
        ),
        (
            Neuron(charge=Leak(1.0), v_th=1.0, strict=False, reset=HardReset(detach=True)),
            ArcTan(),
            [0.6, 0.5, 1.4, -0.3, 0.9],
            [0, 1, 1, 0, 0],
            [2.2080662, 1.8203396, 1.1631801, 2.1648819, 1.9386328],
        ),
        (
            Neuron(reset=HardReset(detach=True)),
            Rectangle(),
            [0.4, 0.45, 0.9, -0.1, 0.6, 0.55],
            [0, 1, 1, 0, 1, 1],
            [1.5, 2, 3, 1.25, 5, 6],
        ),
        (Neuron(), Tanh(3.0), [0.3, 0.5, 0.9, 0.2], [0, 1, 1, 0], [1.6463965, 2.8916986, 1.1493386, 3.2276525]),
        (
            Neuron(strict=False),
            Rectangle(),
            [0.45, 0.4, 0.9, -0.2, 0.6],
            [0, 1, 1, 0, 1],
            [1.2271032, 1.6516602, 2.71875, 1.25, 5],
        ),
    ],
    ids=["STBP-simple", "TET", "SEW-ResNet", "MS-ResNet", "IM-Loss", "Joint A-SNN"],
)
def test_neurons_of_other_methods(
    neuron: Neuron, surrogate: Surrogate, currents: list[float], spikes: list[float], gradients: list[float]
) -> None:
    _, s, gx = run(neuron, surrogate, currents)
    assert s.flatten().tolist() == spikes
    near(gx, gradients)


# --- normalisations ---------------------------------------------------------------------------------------------------


def test_tdbn_of_glif() -> None:
    norm = TdBN().build(2, 1, 0.5, 2)
    x = torch.tensor([1.0, 2, 3, 4, 0, -1, 2, 5]).view(2, 2, 2, 1)
    expected = [0.1581133, 0.4743398, -0.1581133, 0.1581133, -0.1581133, -0.4743398, -0.4743398, 0.4743398]
    near(norm(x), expected)
    near(norm.running_mean, [0.05, 0.35])  # type: ignore[arg-type]
    near(norm.running_var, [1.0666666, 1.0666666])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("v_th", "branches", "expected"),
    [
        (0.5, 1, [-0.5345217, -0.2672608, 0, 0.8017826]),
        (0.2, 2, [-0.1511856, -0.0755928, 0, 0.2267784]),
    ],
    ids=["InfLoR, MS-ResNet", "STBP-simple"],
)
def test_tdbn_of_one_channel(v_th: float, branches: int, expected: list[float]) -> None:
    norm = TdBN().build(1, 1, v_th, branches)
    near(norm(torch.tensor([1.0, 2, 3, 6]).view(4, 1, 1, 1)), expected)
    near(norm.running_mean, [0.3])  # type: ignore[arg-type]
    near(norm.running_var, [1.3666667])  # type: ignore[arg-type]


def test_tebn() -> None:
    norm = TEBN().build(1, 4, 1.0, 1)
    p = torch.tensor([1.0, 0.5, 2, -1])
    with torch.no_grad():
        norm.norm.weight.fill_(1.2), norm.norm.bias.fill_(0.1), norm.p.copy_(p)  # type: ignore[union-attr, operator]
    samples = torch.tensor([[0.1, 0.5, -0.3, 0.9], [1.1, 0, 0.4, 0.2]])
    y = norm(samples.t().reshape(8, 1, 1, 1)).view(4, 2).t()
    near(
        y,
        [-0.6229379, 0.2393409, -3.4491150, -1.5803013, 2.1311110, -0.4491714, 0.4065537, 0.3475330],
    )
    near(norm.norm.running_mean, [0.03625])  # type: ignore[union-attr, arg-type]
    near(norm.norm.running_var, [0.9216964])  # type: ignore[union-attr, arg-type]
    (y * torch.arange(8).view(2, 4)).sum().backward()
    near(norm.p.grad, [8.5244446, -4.0130324, -2.2294540, 2.3081734])  # type: ignore[union-attr, arg-type]
    near(norm.norm.weight.grad, [-1.2909610])  # type: ignore[union-attr, arg-type]
    near(norm.norm.bias.grad, [13])  # type: ignore[union-attr, arg-type]
