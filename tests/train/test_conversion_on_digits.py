"""What an ANN of the digits comes to when it is converted: more steps, soft resets, rates for activations.

Small here, and as wholes cells of the smoke preset with `--long`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
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
from harness.spec import Cell, Recipe
from harness.store import Store
from harness.train.checkpoint import Checkpoint
from harness.train.loop import train
from harness.train.tally import evaluate
from harness.train.worker import run_cell

T = 128
RECIPE = Recipe(epochs=8, batch=32, optimiser="adam", lr=1e-2, weight_decay=0.0, size=8, test_samples=200)


def small(method: Method, timesteps: int, data: Data) -> Network:
    parts = Parts(method=method, timesteps=timesteps, surrogate=STE())
    return Network(method, vgg(parts, data.shape, data.classes, 1.0, layers=(8, 8, POOL, 16)), timesteps)


@pytest.fixture(scope="module")
def data() -> Data:
    return load("digits", None, RECIPE, 1, device=torch.device("cpu"))


@pytest.fixture(scope="module")
def ann(data: Data, tmp_path_factory: pytest.TempPathFactory) -> Network:
    torch.manual_seed(0)
    network = small(METHODS.get("ann"), 1, data)
    train(network, data, RECIPE, 0, Checkpoint(tmp_path_factory.mktemp("ann")))
    return network.eval()


@pytest.fixture(scope="module")
def converted(ann: Network, data: Data) -> Callable[[Method], Network]:
    def convert(method: Method) -> Network:
        network = small(method, T, data)
        images = (images for images, _ in data.train.epoch(0, 0, RECIPE.batch))
        weights = dict(ann.state_dict())
        network.method.procedure.begin(network, Start(weights=weights, images=lambda: images, tell=lambda words: None))
        return network.eval()

    return convert


@pytest.mark.parametrize("encoder", [Repeat(), Poisson()], ids=["frames", "Poisson"])
def test_accuracy_approaches_the_ann_s_and_soft_resets_are_nearer_than_hard_ones(
    encoder: Repeat | Poisson, ann: Network, converted: Callable[[Method], Network], data: Data
) -> None:
    """A pixel cannot fire more than once a step: an image of Poisson spikes is one of at most 1."""
    most = 1.0 if isinstance(encoder, Poisson) else torch.inf
    wanted = evaluate(ann, ((images.clamp(-most, most), y) for images, y in data.test.batches(100))).accuracy
    soft, hard = (
        evaluate(converted(replace(METHODS.get(name), encoder=encoder)), data.test.batches(100)).after
        for name in ("rmp", "spikenorm")
    )
    assert wanted > 80
    assert soft[1] < soft[3] < soft[5] <= soft[7] + 1  # after 2, 8, 32, 128
    assert abs(soft[7] - wanted) <= 3
    assert sum(soft[3:]) > sum(hard[3:]) and soft[7] > hard[7]


def test_every_rate_is_the_clipped_activation(ann: Network, converted: Callable[[Method], Network], data: Data) -> None:
    network = converted(replace(METHODS.get("rmp"), encoder=Repeat()))
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
def test_whole_cells_of_a_deep_network_come_to_their_ann_in_many_steps(tmp_path: Path) -> None:
    recipe = msgspec.structs.replace(RECIPE, epochs=6, lr=2e-3, size=16, width=0.1, test_samples=100)
    ann = Cell(method="ann", architecture="resnet20", dataset="digits", timesteps=1, seed=0, recipe=recipe)
    after = {}
    for cell in (ann, *(whole(ann, name) for name in ("rmp", "spikenorm"))):
        assert run_cell(cell, tmp_path) == "done"
        result = Store(tmp_path).result(cell)
        assert result is not None
        after[cell.method] = result.curve.by_timesteps[-1]
    print(after)
    soft, hard = after["rmp"], after["spikenorm"]
    assert soft[7] < soft[8] < soft[10] and soft[10] > after["ann"][-1] - 10  # after 128, 256, 1024
    assert all(s > h for s, h in zip(soft[8:], hard[8:], strict=True))


def whole(ann: Cell, method: str) -> Cell:
    recipe = msgspec.structs.replace(ann.recipe, epochs=1)
    return msgspec.structs.replace(ann, method=method, timesteps=1024, recipe=recipe, origin=ann)
