"""Runs the released code of the MPBN paper at a small width and writes what it computed: `resnet20.npz`, `vgg16.npz`.

    git clone https://github.com/yfguo91/MPBN released && git -C released checkout 149379d
    python tests/parity/produce.py released

None of its code is in this repository, for it carries no licence; it is imported from the checkout, built by its own
classes and run on the CPU in float64. It was run under torch 2.15, where these files came out of commit
149379dc01c28a9cd44d34f173060c06d72efb37. What is done to it, all from outside:

- IPython, which it imports for debugging, is stood in for by an empty module.
- Its models hard-code their channel counts. While a model is built, the `torch.nn` that its module sees has a
  Conv2d, BatchNorm2d and Linear that divide channel counts of 64 and more by THIN; layers, order and
  initialisation stay its own.
- The baseline has no switch: there, the batch norm in every neuron is replaced by the identity.
- Its initial weights are rounded to half precision and the scales and shifts of its normalisers, which begin at 1
  and 0, are drawn at random (some scales negative), so that a forgotten or misplaced one cannot go unseen.

A training step is that of its `main_train.py`: cross-entropy of the mean over time, SGD of rate 0.1, momentum 0.9,
and a decay of 1e-4 on what its `split_weights` calls decayed.

Each file holds, under the released names:
    start/NAME                    initial parameters, half precision; METHOD vanilla has none of the neurons' `.bn.`
    layers                        names of the neurons' layers, in the order of the network
    images (B, 3, 32, 32) int8    to be divided by 64; step k sees them rolled by k pixels (`summary.batch`)
    labels (STEPS, B)
    METHOD/T/spikes               first forward pass in training mode: a bit a spike, layer after layer, (T, B, C, H, W)
    METHOD/T/logits               of that pass, (T, B, classes)
    METHOD/T/gradients            of its loss, parameter after parameter as in start, each as `summarise` keeps it
    METHOD/T/losses               of STEPS training steps, the first of which is that pass
    METHOD/T/parameters           after them, kept as the gradients are
    METHOD/T/statistics           running means and variances after them, whole, in the order of the released buffers
    METHOD/T/evaluated, fired     logits and spikes a layer in evaluation mode then, on the images of step 0
    METHOD/T/saved                bytes that a forward pass of training keeps for its backward pass
    statistics/METHOD             names of those buffers
"""

from __future__ import annotations

import argparse
import importlib
import sys
import types
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from summary import batch, summarise
from torch import Tensor, nn

from harness.measure.memory import saved_bytes

THIN = 16
CLASSES, BATCH, STEPS = 10, 3, 3
TIMESTEPS = (1, 2, 4)
MODELS = {"resnet20": ("models.resnet", "resnet20_cifar_modified"), "vgg16": ("models.vggcifar", "vgg16_bn")}


def thin(channels: int) -> int:
    return channels // THIN if channels >= 64 else channels


class ThinConv2d(nn.Conv2d):
    def __init__(self, inputs: int, outputs: int, *args: Any, **kwargs: Any) -> None:
        super().__init__(thin(inputs), thin(outputs), *args, **kwargs)


class ThinBatchNorm2d(nn.BatchNorm2d):
    def __init__(self, channels: int) -> None:
        super().__init__(thin(channels))


class ThinLinear(nn.Linear):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(thin(inputs), outputs)


def thin_nn() -> types.ModuleType:
    """`torch.nn` with three classes exchanged."""
    module = types.ModuleType("torch.nn")
    module.__dict__.update(vars(nn))
    module.__dict__.update(Conv2d=ThinConv2d, BatchNorm2d=ThinBatchNorm2d, Linear=ThinLinear)
    return module


def build(architecture: str, method: str, timesteps: int) -> nn.Module:
    """A spiking model of the released code, thin, with fresh weights."""
    place, constructor = MODELS[architecture]
    module = importlib.import_module(place)
    whole, module.nn = module.nn, thin_nn()  # type: ignore[attr-defined]
    try:
        ann = getattr(module, constructor)(num_classes=CLASSES)
    finally:
        module.nn = whole  # type: ignore[attr-defined]
    released = importlib.import_module("models")
    model = released.SpikeModel(ann, timesteps)
    model.set_spike_state(True)
    if method == "vanilla":
        for layer in neurons(model).values():
            layer.bn = nn.Identity()
    return model.double()


def neurons(model: nn.Module) -> dict[str, Any]:
    kind = importlib.import_module("models.spike_layer").LIFAct
    return {name: module for name, module in model.named_modules() if isinstance(module, kind)}


def start(model: nn.Module, random: np.random.RandomState) -> dict[str, np.ndarray]:
    """What every run begins from: rounded weights, random scales and shifts."""
    state = {}
    for name, p in model.named_parameters():
        value = p.detach().numpy()
        if value.ndim == 1 and name.endswith(".bn.weight"):
            value = random.uniform(0.6, 1.4, value.shape) * np.where(random.rand(*value.shape) < 0.15, -1, 1)
        elif value.ndim == 1:
            value = random.uniform(-0.3, 0.3, value.shape)
        state[name] = value.astype(np.float16)
    return state


def load(model: nn.Module, state: dict[str, np.ndarray]) -> None:
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.copy_(torch.from_numpy(state[name].astype(np.float64)))


def watch(model: nn.Module) -> tuple[dict[str, Tensor], Callable[[], Tensor]]:
    """(layer -> spikes of the last pass, a function that returns its logits at every step)."""
    seen: dict[str, Tensor] = {}
    final = [module for name, module in model.named_modules() if name in ("model.fc", "model.classifier")]

    def keep(name: str) -> Callable[..., None]:
        return lambda module, inputs, output: seen.__setitem__(name, output.detach())

    for name, layer in neurons(model).items():
        layer.register_forward_hook(keep(name))
    final[0].register_forward_hook(keep("logits"))
    return seen, lambda: seen.pop("logits")


def bits(layers: Iterable[Tensor]) -> np.ndarray:
    """The released spikes are 0 and 1 up to rounding, (s - g) + g; they are packed as bits."""
    flat = torch.cat([spikes.flatten() for spikes in layers])
    assert ((flat - flat.round()).abs() < 1e-12).all()
    return np.packbits(flat.round().bool().numpy())


def summaries(parameters: Iterable[tuple[str, Tensor]]) -> np.ndarray:
    return np.concatenate([summarise(name, p.numpy()) for name, p in parameters])


def run(model: nn.Module, images: np.ndarray, labels: Tensor) -> dict[str, np.ndarray]:
    """All that one (method, T) is asked for."""
    out: dict[str, np.ndarray] = {}
    split_weights = importlib.import_module("models").split_weights
    optimiser = torch.optim.SGD(split_weights(model), lr=0.1, momentum=0.9, weight_decay=1e-4)
    seen, logits = watch(model)
    losses = []
    model.train()
    for step in range(STEPS):
        loss = nn.functional.cross_entropy(model(torch.from_numpy(batch(images, step))), labels[step])
        optimiser.zero_grad()
        loss.backward()
        if step == 0:
            out["logits"], out["spikes"] = logits().numpy(), bits(seen.values())
            gradients = [(name, p.grad) for name, p in model.named_parameters()]
            out["gradients"] = summaries((name, g) for name, g in gradients if g is not None)
        optimiser.step()
        losses.append(loss.item())
    out["losses"] = np.array(losses)
    out["parameters"] = summaries((name, p.detach()) for name, p in model.named_parameters())
    out["statistics"] = np.concatenate([buffer.numpy() for _, buffer in statistics(model)])
    model.eval()
    with torch.no_grad():
        model(torch.from_numpy(batch(images, 0)))
    out["evaluated"] = logits().numpy()
    out["fired"] = np.array([int(spikes.sum().round()) for spikes in seen.values()])
    model.train()
    first, target = torch.from_numpy(batch(images, 0)), labels[0].clone()  # a storage of its own
    out["saved"] = np.array(saved_bytes(lambda: nn.functional.cross_entropy(model(first), target), model))
    return out


def statistics(model: nn.Module) -> list[tuple[str, Tensor]]:
    return [(name, buffer) for name, buffer in model.named_buffers() if "running" in name]


def produce(architecture: str) -> dict[str, np.ndarray]:
    random = np.random.RandomState(7)
    torch.manual_seed(3)
    images = np.clip(random.normal(0, 64, (BATCH, 3, 32, 32)), -127, 127).astype(np.int8)
    labels = random.randint(CLASSES, size=(STEPS, BATCH))
    model = build(architecture, "mpbn", 1)
    state = start(model, random)
    arrays = {"images": images, "labels": labels.astype(np.int8), "layers": np.array(list(neurons(model)))}
    arrays |= {f"start/{name}": value for name, value in state.items()}
    for method in ("vanilla", "mpbn"):
        for timesteps in TIMESTEPS:
            model = build(architecture, method, timesteps)
            load(model, state)
            arrays[f"statistics/{method}"] = np.array([name for name, _ in statistics(model)])
            for what, array in run(model, images, torch.from_numpy(labels)).items():
                arrays[f"{method}/{timesteps}/{what}"] = array
    return arrays


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("released", type=Path, help="a checkout of the released code")
    checkout = parser.parse_args().released
    if not (checkout / "models" / "spike_model.py").is_file():
        parser.error(f"{checkout} holds no models/spike_model.py; clone the released code there")
    sys.path.insert(0, str(checkout.resolve()))
    sys.modules.setdefault("IPython", types.SimpleNamespace(embed=None))  # type: ignore[arg-type]
    for name in MODELS:
        path = Path(__file__).with_name(f"{name}.npz")
        np.savez_compressed(path, **produce(name))  # type: ignore[arg-type]
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")
