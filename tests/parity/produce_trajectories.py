"""Trains whole networks of other papers' code for twenty steps, in small, and writes their losses: `trajectories.npz`.

    mkdir cited && cd cited
    git clone https://github.com/Gus-Lab/temporal_efficient_training TET && git -C TET checkout f9bde41
    git clone https://github.com/Ikarosy/Gated-LIF && git -C Gated-LIF checkout 60638b2
    git clone https://github.com/fangwei123456/Parametric-Leaky-Integrate-and-Fire-Spiking-Neuron PLIF
    git -C PLIF checkout f644ff6
    git clone https://github.com/fangwei123456/spikingjelly sj-plif && git -C sj-plif checkout 73f94ab
    git clone https://github.com/yfguo91/Re-Loss && git -C Re-Loss checkout 0937f36
    git clone https://github.com/fangwei123456/Spike-Element-Wise-ResNet SEW && git -C SEW checkout cfc547c
    git clone https://github.com/fangwei123456/spikingjelly sj-sew && git -C sj-sew checkout 2958519
    cd .. && for name in tet glif plif inflor sew; do python tests/parity/produce_trajectories.py cited $name; done

One process a name, since two commits of SpikingJelly are among them; each adds its arrays to the file. Ten epochs of
two batches, float64, nothing is augmented: the optimiser, its groups and the scheduler are made as the cited script
makes them, whose lines stand beside; T_max is 10, or 4 where it is shorter than the training there (PLIF). Initial
weights are the cited network's, moved as `cited.py` does it. Channel counts stand in the source as numbers: they are
replaced by smaller ones before it is executed; PLIF's dropout is left out, and two neurons vote for a class.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from cited import GLIF, executed, moved, prepared, saved
from small import CLASSES, TIMESTEPS, images
from summary import summarise
from torch import Tensor, nn
from torch.nn import functional as F

EPOCHS, BATCHES = 10, 2
THINNER = (("512", "6"), ("256", "5"), ("128", "4"), ("64", "3"))


class Training(NamedTuple):
    model: nn.Module
    optimiser: torch.optim.Optimizer
    scheduler: Any
    loss: Callable[[Tensor, Tensor], Tensor]
    batches: Callable[[int], tuple[np.ndarray, np.ndarray]]
    after: Callable[[], object] = lambda: None
    """What the cited script does after a step."""


def cosine(optimiser: torch.optim.Optimizer, most: int = EPOCHS) -> Any:
    return torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=most)


def tet(cited: Path) -> Training:
    sys.path.insert(0, str(cited / "TET"))
    file = executed(cited / "TET/models/resnet_models.py", *[(a, b) for a, b in THINNER if a != "64"])
    model = file["ResNet"](file["BasicBlock"], [1, 1, 1], num_classes=CLASSES)
    model.T = TIMESTEPS
    functions = executed(cited / "TET/functions.py")
    optimiser = torch.optim.Adam(model.parameters(), lr=0.001)  # main_training_distribute.py:152

    def loss(logits: Tensor, labels: Tensor) -> Tensor:
        return functions["TET_loss"](logits, labels, nn.CrossEntropyLoss(), 1.0, 0.05)

    return Training(model, optimiser, cosine(optimiser), loss, partial(images, size=8))


def glif(cited: Path) -> Training:
    folder = cited / "Gated-LIF"
    sys.path[:0] = [str(folder), str(cited / "sj-sew")]
    layers = executed(folder / "layers.py", ("input = ctx.saved_tensors", "input, = ctx.saved_tensors"))
    sys.modules["layers"] = module("layers", layers)
    sys.modules["blocks"] = module("blocks", executed(folder / "blocks.py"))
    file = executed(folder / "networks_for_CIFAR.py", ("[3, 3, 2]", "[1, 1, 1]"), *THINNER[:3])
    model = file["ResNet_19_cifar_CW"](GLIF, input_size=32, n_class=CLASSES).double()
    gates, others, rest = [], [], []
    for name, p in model.named_parameters():  # train.py:285-317
        last = name.rpartition(".")[2]
        kinds = ({"alpha", "beta", "gamma"}, gates), ({"tau", "Vth", "leak", "conduct", "reVth"}, others)
        next((into for names, into in kinds if last in names), rest).append(p)
    optimiser = torch.optim.SGD(
        [{"params": rest}, {"params": others, "weight_decay": 0.0}, {"params": gates, "weight_decay": 0.0, "lr": 0.01}],
        lr=0.1,
        momentum=0.9,
        weight_decay=4e-5,
    )
    kind = executed(folder / "schedulers.py")["CosineAnnealingLR_Multi_Params_soft"]
    scheduler = kind(optimiser, T_max=[EPOCHS] * 3)
    return Training(model, optimiser, scheduler, F.cross_entropy, partial(images, size=8))


def module(name: str, names: dict[str, Any]) -> Any:
    import types

    made = types.ModuleType(name)
    made.__dict__.update(names)
    return made


def plif(cited: Path) -> Training:
    sys.path.insert(0, str(cited / "sj-plif"))
    sizes = (("256 * 8 * 8", "5 * 2 * 2"), ("128 * 4 * 4", "12"), ("nn.AvgPool1d(10, 10)", "nn.AvgPool1d(2, 2)"))
    sizes += (("layer.Dropout(0.5, dropout_spikes=use_max_pool)", "nn.Identity()"), ("12, 100,", f"12, {2 * CLASSES},"))
    file = executed(cited / "PLIF/codes/models.py", *sizes, ("256", "5"))
    model = file["Cifar10Net"](TIMESTEPS, 2.0, True, True, False, True)
    functional = sys.modules["spikingjelly.clock_driven.functional"]
    with torch.no_grad():  # else so few channels never fire
        for layer in model.modules():
            if isinstance(layer, nn.BatchNorm2d | nn.Linear):
                layer.weight.mul_(3.0 if isinstance(layer, nn.BatchNorm2d) else 8.0)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)  # codes/train.py:282

    def loss(counts: Tensor, labels: Tensor) -> Tensor:  # codes/train.py:324-325
        return F.mse_loss(counts / TIMESTEPS, F.one_hot(labels, CLASSES).double())

    return Training(
        model, optimiser, cosine(optimiser, 4), loss, partial(images, size=8), lambda: functional.reset_net(model)
    )


def inflor(cited: Path) -> Training:
    from produce_networks import inflor as network

    model, _, batches = network(cited)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)  # main_train.py:156

    def loss(logits: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(logits.mean(1) if logits.dim() == 3 else logits, labels)

    return Training(model, optimiser, cosine(optimiser), loss, batches)


def sew(cited: Path) -> Training:
    from produce_networks import sew as network

    model, _, batches = network(cited / "SEW/imagenet/sew_resnet.py", cited)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.0)  # imagenet/train.py:251
    return Training(model, optimiser, cosine(optimiser), F.cross_entropy, batches)


PLACES: dict[str, Callable[[Path], Training]] = {"tet": tet, "glif": glif, "plif": plif, "inflor": inflor, "sew": sew}


def trajectory(training: Training, name: str) -> dict[str, np.ndarray]:
    """Where it begins, the loss of each step, the rate of each epoch, and what is left of the parameters."""
    model = training.model.double()
    start, losses, rates = moved(model, name), [], []
    model.train()
    for epoch in range(EPOCHS):
        rates.append([group["lr"] for group in training.optimiser.param_groups])
        for batch in range(BATCHES):
            frames, labels = map(torch.from_numpy, training.batches(epoch * BATCHES + batch))
            training.optimiser.zero_grad()
            loss = training.loss(model(frames.clone()), labels)
            loss.backward()
            training.optimiser.step()
            training.after()
            losses.append(loss.item())
        training.scheduler.step()
    left = [summarise(each, p.detach().numpy().ravel()) for each, p in model.named_parameters()]
    print(name, losses[0], losses[-1])
    return {
        f"{name}/names": np.array([each for each, _ in model.named_parameters()]),
        f"{name}/start": start,
        f"{name}/losses": np.array(losses),
        f"{name}/rates": np.array(rates),
        f"{name}/parameters": np.concatenate(left),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("cited", type=Path, help="the folder of the checkouts")
    parser.add_argument("name", choices=PLACES)
    asked = parser.parse_args()
    prepared()
    torch.manual_seed(5), np.random.seed(5)
    path = Path(__file__).with_name("trajectories.npz")
    arrays = dict(np.load(path)) if path.exists() else {}
    training = PLACES[asked.name](asked.cited.resolve())
    saved(path, arrays | trajectory(training, asked.name))
