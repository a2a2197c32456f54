"""Layer lists: every count of the fact sheet's section 4.9 for the networks that are built here."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from baselines import ARCHITECTURES, METHODS, UnknownName, build
from baselines.network import Network

COUNTS = [
    # architecture, input, classes: conv + FC, BN, MACs a step (millions), LIF layers, their channels, their elements
    ("resnet20", (3, 32, 32), 10, 11_238_090, 9_856, 215.68, 19, 4_032, 319_488),
    ("resnet20", (3, 32, 32), 100, 11_284_260, 9_856, 215.73, 19, 4_032, 319_488),
    ("resnet19", (3, 32, 32), 10, 12_558_730, 10_496, 2285.25, 17, 4_480, 1_441_792),
    ("resnet19", (3, 32, 32), 100, 12_604_900, 10_496, 2285.29, 17, 4_480, 1_441_792),
    ("vgg16", (3, 32, 32), 10, 14_719_818, 8_448, 313.20, 13, 4_224, 276_480),
    ("vgg16", (3, 32, 32), 100, 14_765_988, 8_448, 313.25, 13, 4_224, 276_480),
    ("vgg11", (3, 32, 32), 10, 9_225_610, 5_504, 152.77, 8, 2_752, 151_552),
    ("resnet20", (2, 48, 48), 10, 11_237_514, 9_856, 483.96, 19, 4_032, 718_848),
    ("resnet19", (2, 48, 48), 10, 12_557_578, 10_496, 5139.14, 17, 4_480, 3_244_032),
    ("resnet18", (3, 224, 224), 1000, 11_679_912, 9_600, 1814.07, 17, 3_904, 2_308_096),
    ("resnet34", (3, 224, 224), 1000, 21_780_648, 17_024, 3663.76, 33, 7_616, 3_562_496),
]
IDS = [f"{name}-{shape[0]}x{shape[1]}-{classes}" for name, shape, classes, *_ in COUNTS]


def parameters(network: Network) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("row", COUNTS, ids=IDS)
def test_counts_of_the_fact_sheet(row: tuple) -> None:
    name, shape, classes, kernels, norms, macs, layers, channels, elements = row
    with torch.device("meta"):  # shapes only: nothing is computed
        network = build("vanilla", name, shape=shape, classes=classes, timesteps=1).eval()
    kernel_modules = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert sum(p.numel() for m in kernel_modules for p in m.parameters()) == kernels
    assert parameters(network) == kernels + norms

    seen, multiplications = [], 0

    def count(module: nn.Module, inputs: tuple, output: torch.Tensor) -> None:
        nonlocal multiplications
        multiplications += output[0].numel() * module.weight[0].numel()  # type: ignore[union-attr, index]

    for module in kernel_modules:
        module.register_forward_hook(count)
    for layer in network.spiking_layers().values():
        layer.register_forward_hook(lambda m, inputs, output: seen.append(output.shape[1:]))
    with torch.no_grad():
        assert network(torch.zeros(1, *shape, device="meta")).shape == (1, 1, classes)
    assert len(seen) == layers
    assert sum(s[0] for s in seen) == channels
    assert sum(s.numel() for s in seen) == elements
    assert multiplications / 1e6 == pytest.approx(macs, abs=0.006)

    # MPBN adds λ and β a channel, or an element.
    for method, sites in (("mpbn", channels), ("mpbn-element", elements)):
        with torch.device("meta"):
            added = parameters(build(method, name, shape=shape, classes=classes, timesteps=1))
        assert added == kernels + norms + 2 * sites


@pytest.mark.parametrize("method", list(METHODS))
@pytest.mark.parametrize("architecture", list(ARCHITECTURES))
def test_every_pair_trains_a_step(method: str, architecture: str) -> None:
    """Still images and event frames; every parameter gets a gradient."""
    torch.manual_seed(0)
    for images in (torch.randn(4, 2, 32, 32), torch.rand(2, 4, 2, 32, 32)):
        network = build(method, architecture, shape=(2, 32, 32), classes=3, timesteps=2, width=0.02)
        logits = network(images)
        assert logits.shape == (2, 4, 3)
        network.method.objective(logits, torch.tensor([0, 1, 2, 0])).backward()
        missing = [name for name, p in network.named_parameters() if p.grad is None]
        assert not missing
        assert network.predict(images).shape == (4, 3)


def test_a_still_image_is_repeated_in_time_major_order() -> None:
    network = build("vanilla", "vgg11", shape=(1, 32, 32), classes=3, timesteps=3, width=0.02).eval()
    images = torch.randn(2, 1, 32, 32)
    repeated = images.expand(3, 2, 1, 32, 32)
    with torch.no_grad():
        assert torch.equal(network(images), network(repeated))


def test_frames_of_another_t_are_refused() -> None:
    network = build("vanilla", "vgg11", shape=(2, 32, 32), classes=3, timesteps=3, width=0.02)
    with pytest.raises(ValueError, match="input has 5 frames, the network 3 timesteps"):
        network(torch.zeros(5, 1, 2, 32, 32))


def test_too_small_an_input_says_so() -> None:
    with pytest.raises(ValueError, match="32 pixels"):
        build("vanilla", "vgg16", shape=(3, 16, 16), classes=3, timesteps=1, width=0.1)


def test_initialisation_follows_the_released_code() -> None:
    """Convolutions N(0, 2 / (k² C_out)), linear N(0, 1 / fan_in) as standard deviation, scales 1 and shifts 0."""
    torch.manual_seed(0)
    network = build("mpbn", "resnet20", shape=(3, 32, 32), classes=100, timesteps=1)
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.weight.numel() > 30_000:
            expected = (2 / (module.kernel_size[0] ** 2 * module.out_channels)) ** 0.5
            assert module.weight.std().item() == pytest.approx(expected, rel=0.02)
        if isinstance(module, nn.Linear):
            assert module.weight.std().item() == pytest.approx(1 / module.in_features, rel=0.02)
            assert not module.bias.any()
        if type(module).__name__ in ("MPBN", "BatchNorm2d"):
            assert (module.weight == 1).all() and not module.bias.any()  # type: ignore[union-attr, operator]


@pytest.mark.parametrize(
    ("kwargs", "kind"), [({"method": "mpnb"}, "method"), ({"architecture": "resnet02"}, "architecture")]
)
def test_an_unknown_name_lists_what_is_known(kwargs: dict[str, str], kind: str) -> None:
    names = {"method": "mpbn", "architecture": "resnet20"} | kwargs
    with pytest.raises(UnknownName, match=f"unknown {kind} `{kwargs[kind]}`; known: "):
        build(names["method"], names["architecture"], shape=(3, 8, 8), classes=2, timesteps=1)


def test_an_unknown_surrogate_lists_what_is_known() -> None:
    with pytest.raises(UnknownName, match="known: ste, tanh"):
        build("mpbn", "resnet20", shape=(3, 8, 8), classes=2, timesteps=1, surrogate="stee")
