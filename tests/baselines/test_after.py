"""What follows a layer of neurons: numbers of the cited code, and coefficients folded into all that receives them."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from test_spots import near
from torch import Tensor, nn

from baselines import METHODS, build
from baselines.folding import ConvPerStep, absorbed, coefficients, fold_coefficients, fold_norms, has_foldable_threshold
from baselines.method import ConvNorm
from baselines.network import Network
from baselines.parts.after import Followed
from baselines.parts.analog import SCALE, Analog
from baselines.parts.coefficient import Coefficient
from baselines.parts.leaks import Squashed
from baselines.parts.neunorm import NeuNormalisation
from baselines.parts.neurons import HardReset, Neuron
from baselines.parts.potential import ChannelMPBN
from baselines.parts.surrogates import STE


def test_neunorm() -> None:
    """Two channels of 2 x 1, k = 0.9, w = 0.5 and -1."""
    layer = NeuNormalisation((2, 2, 1), 2, 0.9)
    with torch.no_grad():
        layer.w.copy_(torch.tensor([0.5, -1]).view(2, 1, 1).expand(2, 2, 1))
    s = torch.tensor([[1.0, 0, 1, 1], [0, 1, 1, 0]]).view(2, 2, 2, 1)
    near(layer(s), [0.975, -0.0125, 1.05, 1.025, -0.035, 0.9762500, 1.07, 0.0475])


def test_neunorm_starts_as_spikingjellys() -> None:
    from spikingjelly.activation_based.layer import NeuNorm

    torch.manual_seed(0)
    theirs = NeuNorm(3, 4, 5, step_mode="m")
    torch.manual_seed(0)
    ours = NeuNormalisation((3, 4, 5), 2, 0.9)
    assert torch.equal(ours.w, theirs.w.view_as(ours.w))
    s = (torch.randn(2, 6, 3, 4, 5) > 0).float()
    torch.testing.assert_close(ours(s.flatten(0, 1)), theirs(s).flatten(0, 1))


def test_liaf() -> None:
    """A dense layer of two, four steps; gradients of the sum of all it passes on."""
    neuron = Neuron(charge=Squashed(1 / (1 + math.exp(-0.5))), reset=HardReset(detach=True))
    layer = Followed(neuron.build((2, 1, 1), 4, STE()), Analog())
    dense = nn.Linear(1, 2)
    with torch.no_grad():
        dense.weight.copy_(torch.tensor([[1.0], [-0.7]])), dense.bias.copy_(torch.tensor([0.1, 0.2]))
    x = torch.tensor([[0.3], [0.6], [-0.4], [0.9]], requires_grad=True)
    y = layer(dense(x)[:, :, None, None])
    near(y, [0.4202804, 0, 0.9970982, 0, 0, 0.3563814, 0.8544955, 0])
    y.sum().backward()
    near(x.grad, [1.4197497, 0.5928879, -0.0814720, 1.0507010])  # type: ignore[arg-type]
    near(layer.neuron.charge.d.grad, [-0.0327042])  # type: ignore[union-attr]
    near(dense.weight.grad, [1.8258600, 0.0942608])  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_an_analog_output_is_selu_to_the_bit(dtype: torch.dtype) -> None:
    """As the cited code writes it, clamped: of its exponential no value and no gradient is left, at 0 neither."""
    torch.manual_seed(0)
    edges = torch.tensor([0.0, -0.0, 1.0, -1e-45, 1e-45, -200.0, math.inf, -math.inf], dtype=dtype)
    last = torch.full((1,), 1 / SCALE, dtype=dtype)  # that is not clamped, or the first that is
    around = [torch.nextafter(last, torch.full_like(last, to)) for to in (0.0, 2.0)]
    z = torch.cat([edges, last, *around, torch.randn(9989, dtype=dtype)])
    g, outcomes = torch.randn_like(z), list[Tensor]()
    for way in (lambda z: nn.functional.selu(z).clamp(0, 1), lambda z: Analog()(showing(z))):
        x = z.clone().requires_grad_()
        y = way(x)
        outcomes += [y.detach(), *torch.autograd.grad(y, x, g)]
    words = [found.view(torch.int32).tolist() for found in outcomes]  # -0 is not 0
    assert words[0] == words[2] and words[1] == words[3]
    assert not outcomes[3][0] and outcomes[3][9:].any()


def showing(z: Tensor) -> Tensor:
    s = torch.zeros_like(z)
    s.potential = z  # type: ignore[attr-defined]
    return s


def test_a_potential_that_is_passed_on_does_not_fold_into_a_threshold() -> None:
    neuron = Neuron(normalise=ChannelMPBN()).build((2, 1, 1), 1, STE())
    assert has_foldable_threshold(neuron)
    Followed(neuron, Analog())
    assert not has_foldable_threshold(neuron)


# --- coefficients -----------------------------------------------------------------------------------------------------


def coefficiented(architecture: str, **slots: object) -> tuple[Network, Tensor]:
    """Float64, folded but for its coefficients, which are of both signs; images."""
    torch.manual_seed(2)
    method = replace(METHODS.get("real-spike"), **slots)  # type: ignore[arg-type]
    network = build(method, architecture, shape=(2, 32, 32), classes=3, timesteps=2, width=0.08).double()
    images = torch.randn(4, 2, 32, 32, dtype=torch.double)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, Coefficient):
                module.a.normal_()
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 1.0
        network(images)
    return fold_norms(network), images


ARCHITECTURES = [
    "resnet20",
    "resnet11",
    "resnet18",
    "resnet19-glif",
    "resnet19-tet",
    "vgg9-bntt",
    "vgg11-hybrid",
    "plifnet",
]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_coefficients_go_into_all_that_receives_them(architecture: str) -> None:
    """Convolutions, linear layers of a flattened map, bare and other shortcuts, lone norms.

    Not maximum pools (of either sign here), nor votes.
    """
    network, images = coefficiented(architecture)
    folded = fold_coefficients(network)
    left = [name for name, module in folded.body.named_modules() if isinstance(module, Coefficient)]
    assert len(coefficients(network.body)) > 5
    assert len(left) == {"plifnet": 3}.get(architecture, 0)
    with torch.no_grad():
        torch.testing.assert_close(folded(images), network(images), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("wiring", ["ms-resnet", "sew-resnet"])
def test_a_bare_path_to_a_sum_takes_one_weight_a_channel(wiring: str) -> None:
    """SEW's first shortcut, and behind its second neurons; MS-ResNet's sums are of currents, and take none."""
    network, images = coefficiented("resnet20", wiring=METHODS.get(wiring).wiring)
    folded = fold_coefficients(network)
    assert not any(isinstance(module, Coefficient) for module in folded.modules())
    weights = [name for name, m in folded.body.named_modules() if isinstance(m, nn.Conv2d) and m.groups > 1]
    assert weights == ([] if wiring == "ms-resnet" else ["7.shortcut"] + [f"{b}.dropout2" for b in range(7, 15)])
    with torch.no_grad():
        torch.testing.assert_close(folded(images), network(images), rtol=1e-10, atol=1e-10)


def test_t_weight_sets_take_them_too() -> None:
    network, images = coefficiented("resnet20", normalisation=METHODS.get("tebn").normalisation)
    folded = fold_coefficients(network)
    assert any(isinstance(module, ConvPerStep) for module in folded.modules())
    assert not any(isinstance(module, Coefficient) for module in folded.modules())
    with torch.no_grad():
        torch.testing.assert_close(folded(images), network(images), rtol=1e-10, atol=1e-10)


def test_a_maximum_pool_lets_positive_ones_through() -> None:
    network, images = coefficiented("plifnet")
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, Coefficient):
                module.a.abs_()
        folded = fold_coefficients(network)
        assert [name for name, m in folded.body.named_modules() if isinstance(m, Coefficient)] == ["16.neuron.after"]
        torch.testing.assert_close(folded(images), network(images), rtol=1e-10, atol=1e-10)


def test_norms_come_first() -> None:
    with pytest.raises(TypeError, match="BatchNorm2d must be folded before"):
        absorbed(ConvNorm(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1)), torch.ones(1))
