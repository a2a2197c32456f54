"""What an ANN of the digits comes to when it is converted: more steps, soft resets, rates for activations.

With `--long`, of other seeds and in four times as many steps.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from baselines import METHODS
from baselines.architectures._vgg import POOL, vgg
from baselines.method import Method, Parts
from baselines.network import Network
from baselines.parts.poisson import Poisson
from baselines.parts.readout import Repeat
from baselines.parts.surrogates import STE
from baselines.procedures.procedure import Start
from harness.data import Data, load
from harness.spec import Recipe
from harness.train.checkpoint import Checkpoint
from harness.train.loop import train
from harness.train.tally import evaluate

T = 128
RECIPE = Recipe(epochs=8, batch=32, optimiser="adam", lr=1e-2, weight_decay=0.0, size=8, test_samples=200)


def small(method: Method, timesteps: int, data: Data) -> Network:
    parts = Parts(method=method, timesteps=timesteps, surrogate=STE())
    return Network(method, vgg(parts, data.shape, data.classes, 1.0, layers=(8, 8, POOL, 16)), timesteps)


@pytest.fixture(scope="module")
def data() -> Data:
    return load("digits", None, RECIPE, 1, device=torch.device("cpu"))


def trained(data: Data, folder: Path, seed: int = 0) -> Network:
    torch.manual_seed(seed)
    network = small(METHODS.get("ann"), 1, data)
    train(network, data, RECIPE, seed, Checkpoint(folder))
    return network.eval()


@pytest.fixture(scope="module")
def ann(data: Data, tmp_path_factory: pytest.TempPathFactory) -> Network:
    return trained(data, tmp_path_factory.mktemp("ann"))


def converted(ann: Network, method: Method, data: Data, timesteps: int = T) -> Network:
    network = small(method, timesteps, data)
    images = (images for images, _ in data.train.epoch(0, 0, RECIPE.batch))
    start = Start(weights=dict(ann.state_dict()), images=lambda: images, tell=lambda words: None)
    network.method.procedure.begin(network, start)
    return network.eval()


def after(ann: Network, name: str, encoder: Repeat | Poisson, data: Data, timesteps: int = T) -> tuple[float, ...]:
    """Accuracy after 1, 2, 4, … timesteps."""
    network = converted(ann, replace(METHODS.get(name), encoder=encoder), data, timesteps)
    return evaluate(network, data.test.batches(100)).after


@pytest.mark.parametrize("encoder", [Repeat(), Poisson()], ids=["frames", "Poisson"])
def test_accuracy_approaches_the_ann_s_and_soft_resets_are_nearer_than_hard_ones(
    encoder: Repeat | Poisson, ann: Network, data: Data
) -> None:
    """A pixel cannot fire more than once a step: an image of Poisson spikes is one of at most 1."""
    most = 1.0 if isinstance(encoder, Poisson) else torch.inf
    wanted = evaluate(ann, ((images.clamp(-most, most), y) for images, y in data.test.batches(100))).accuracy
    soft, hard = (after(ann, name, encoder, data) for name in ("rmp", "spikenorm"))
    assert wanted > 80
    assert soft[1] < soft[3] < soft[5] <= soft[7] + 1  # after 2, 8, 32, 128
    assert abs(soft[7] - wanted) <= 3
    assert sum(soft[3:]) > sum(hard[3:]) and soft[7] >= hard[7]


def test_every_rate_is_the_clipped_activation(ann: Network, data: Data) -> None:
    network = converted(ann, replace(METHODS.get("rmp"), encoder=Repeat()), data)
    images, _ = next(iter(data.test.batches(100)))
    relus = [module for module in ann.modules() if isinstance(module, nn.ReLU)]
    active: list[Tensor] = []
    for relu in relus:
        relu.register_forward_hook(lambda m, x, y: active.append(y))
    with torch.no_grad():
        ann(images)
    layers, total = list(network.spiking_layers().values()), dict[nn.Module, Tensor]()

    def add(layer: nn.Module, x: tuple[Tensor, ...], s: Tensor) -> None:
        total[layer] = total.get(layer, torch.zeros(())) + s.unflatten(0, (-1, len(images))).sum(0)

    for layer in layers:
        layer.register_forward_hook(add)
    with torch.no_grad():
        list(network.walk(images, 16))
    for layer, y in zip(layers, active, strict=True):
        v = float(layer.threshold.w)  # type: ignore[union-attr, arg-type]
        away = (total[layer] * v / T - y.clamp(max=v)).abs() / v
        assert away.max() < 0.1 and away.mean() < 0.02


@pytest.mark.long
@pytest.mark.parametrize("seed", [1, 2])
def test_longer_is_nearer_still_whatever_the_seed(seed: int, data: Data, tmp_path: Path) -> None:
    ann = trained(data, tmp_path, seed)
    wanted = evaluate(ann, data.test.batches(100)).accuracy
    soft, hard = (after(ann, name, Repeat(), data, 4 * T) for name in ("rmp", "spikenorm"))
    assert soft[3] < soft[5] <= soft[9] + 1 and abs(soft[9] - wanted) <= 2
    assert sum(soft[3:]) > sum(hard[3:]) and soft[9] >= hard[9]
