"""How blocks are wired: numbers of the cited code, and every wiring in every residual architecture."""

from __future__ import annotations

import pytest
import torch
from test_spots import near, run
from torch import Tensor, nn

from baselines import ARCHITECTURES, METHODS, build
from baselines.method import Method, Parts
from baselines.parts.coefficient import Coefficients
from baselines.parts.neurons import HardReset, Leak, Neuron
from baselines.parts.normalisations import BatchNorm, Unnormalised
from baselines.parts.surrogates import ArcTan, Rectangle
from baselines.parts.wiring import (
    AddAfter,
    AddAfterBlock,
    AddThenFire,
    BasicBlock,
    Plan,
    PreActivation,
    PreActivationBlock,
)
from harness.train.proof import prove

IF = Neuron(charge=Leak(1.0), v_th=1.0, strict=False, reset=HardReset(detach=True))
WIRINGS = {"vanilla": BasicBlock, "sew-resnet": AddAfterBlock, "ms-resnet": PreActivationBlock}


def blocks(body: nn.Module) -> list[nn.Module]:
    return [module for module in body.modules() if isinstance(module, tuple(WIRINGS.values()))]


def residual() -> list[str]:
    """The architectures that have blocks to wire."""
    with torch.device("meta"):
        parts = {"shape": (2, 32, 32), "classes": 3, "timesteps": 1, "width": 0.04}
        return [name for name in ARCHITECTURES if blocks(build("vanilla", name, **parts).body)]  # type: ignore[arg-type]


def test_if_of_sew() -> None:
    _, s, g = run(IF, ArcTan(2.0), [0.6, 0.5, 1.4, -0.3, 0.9])
    assert s.flatten().tolist() == [0, 1, 1, 0, 0]
    near(g, [2.2080662, 1.8203396, 1.1631801, 2.1648819, 1.9386328])


def test_lif_of_ms_resnet() -> None:
    neuron = Neuron(reset=HardReset(detach=True))
    _, s, g = run(neuron, Rectangle(), [0.4, 0.45, 0.9, -0.1, 0.6, 0.55])
    assert s.flatten().tolist() == [0, 1, 1, 0, 1, 1]
    near(g, [1.5, 2, 3, 1.25, 5, 6])


def test_norm_of_ms_resnet() -> None:
    norm = BatchNorm().build(1, 1, 0.5, 1)
    nn.init.constant_(norm.weight, 0.5)  # type: ignore[arg-type]
    near(norm(torch.tensor([1.0, 2, 3, 6]).view(4, 1, 1, 1)), [-0.5345217, -0.2672608, 0, 0.8017825])


SEW = [5.4608774, 3.5191395, 3.0480924, 6.3649082, 7.3261690, 7.1228600, 7.5618138, 8.0311022]
REAL = [12.3353691, 5.8687453, 3.1243386, 9.6181364, 11.0141144, 8.9030590, 7.5842867, 8.0804119]


@pytest.mark.parametrize(
    ("coefficients", "y", "gradient", "taps", "learned"),
    [
        (None, [0.5, 0, 3, 0.4, 1.3, 2, 0.4, 4], SEW, [3.6075530, 6.3448091], None),
        ((1.0, 1.0), [0.5, 0, 3, 0.4, 1.3, 2, 0.4, 4], SEW, [3.6075530, 6.3448091], [9.5172138, 22]),
        ((0.8, 1.3), [0.5, 0, 3.3, 0.4, 1.6, 2.3, 0.4, 4.3], REAL, [8.8972397, 16.4039688], [30.7574406, 22]),
    ],
)
def test_block_of_sew_and_of_real_spike(
    coefficients: tuple[float, float] | None,
    y: list[float],
    gradient: list[float],
    taps: list[float],
    learned: list[float] | None,
) -> None:
    """One channel, two steps, 2 x 2 pixels; both convolutions pass 1.5 times their centre; sum of (1..8) · y."""
    after = Coefficients() if coefficients else None
    method = Method(neuron=IF, wiring=AddAfter(), normalisation=Unnormalised(), after=after)
    parts = Parts(method=method, timesteps=2, surrogate=ArcTan(2.0))
    block = method.wiring.block(parts, Plan(source=(1, 2, 2), shape=(1, 2, 2)), nn.Identity())
    convolutions = [module for module in block.modules() if isinstance(module, nn.Conv2d)]
    factors = [p for name, p in block.named_parameters() if name.endswith(".a")]
    with torch.no_grad():
        for convolution in convolutions:
            convolution.weight.zero_()[0, 0, 1, 1] = 1.5
        for factor, value in zip(factors, coefficients or (), strict=True):
            factor.fill_(value)
    x = torch.tensor([[0.5, 0, 2, 0.4], [0.3, 1, 0.4, 3]]).view(2, 1, 2, 2).requires_grad_()
    out = block(x)
    near(out, y)
    (out.flatten() * torch.arange(1, 9)).sum().backward()
    near(x.grad, gradient)  # type: ignore[arg-type]
    near(torch.stack([c.weight.grad[0, 0, 1, 1] for c in convolutions]), taps)  # type: ignore[index]
    if learned:
        near(torch.cat([factor.grad for factor in factors]), learned)  # type: ignore[arg-type]


@pytest.mark.parametrize("architecture", residual())
def test_every_wiring_in_every_residual_architecture(architecture: str) -> None:
    """SEW adds a layer of neurons a shortcut that computes; MS-ResNet's stand elsewhere, as many; all else is equal."""

    def built(method: str) -> tuple[list[Tensor], int, int]:
        with torch.device("meta"):
            network = build(method, architecture, shape=(2, 37, 45), classes=3, timesteps=1, width=0.05).eval()
            assert {type(block) for block in blocks(network.body)} == {WIRINGS[method]}
            assert network(torch.zeros(2, 2, 37, 45)).shape == (1, 2, 3)
        paths = [block.shortcut for block in blocks(network.body)]
        return (
            list(network.parameters()),
            len(network.spiking_layers()),
            sum(any(True for _ in p.parameters()) for p in paths),
        )

    (plain, layers, paths), (sew, fired, _), (ms, moved, _) = (built(method) for method in WIRINGS)
    assert sorted(p.numel() for p in plain) == sorted(p.numel() for p in sew) == sorted(p.numel() for p in ms)
    assert fired == layers + paths and moved == layers and paths >= 2


def test_residual_architectures_were_found() -> None:
    assert {"resnet20", "resnet19", "resnet18", "resnet34", "resnet11", "resnet19-glif"} <= set(residual())
    assert not {"vgg16", "plifnet", "nf-resnet34", "densenet-ltmd"} & set(residual())


@pytest.mark.parametrize("method", ["sew-resnet", "ms-resnet"])
@pytest.mark.parametrize("architecture", ["resnet20", "resnet11", "resnet19-tebn"])
def test_a_wiring_folds_where_the_papers_does(method: str, architecture: str) -> None:
    torch.manual_seed(1)
    network = build(method, architecture, shape=(2, 16, 16), classes=3, timesteps=2, width=0.1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, 0.0, 4 * module.in_features**-0.5)
    images, labels = torch.randn(6, 2, 16, 16), torch.tensor([0, 1, 2] * 2)
    with torch.no_grad():
        network(images)
    assert [proof.why for proof in prove(network, [(images, labels)]) if not proof.passed] == []


def test_what_travels_between_blocks() -> None:
    """Spikes; small whole numbers; currents."""
    torch.manual_seed(0)
    seen = {}
    for method in WIRINGS:
        network = build(method, "resnet19", shape=(2, 8, 8), classes=3, timesteps=2, width=0.1)
        out: list[Tensor] = []
        blocks(network.body)[2].register_forward_hook(lambda m, i, y, out=out: out.append(y))  # type: ignore[misc]
        network(torch.randn(4, 2, 8, 8))
        seen[method] = out[0].detach()
    assert set(seen["vanilla"].unique().tolist()) == {0, 1}
    assert seen["sew-resnet"].max() > 1 and torch.equal(seen["sew-resnet"], seen["sew-resnet"].round())
    assert not torch.equal(seen["ms-resnet"], seen["ms-resnet"].round())
    assert METHODS.get("vanilla").wiring == AddThenFire() and METHODS.get("ms-resnet").wiring == PreActivation()
