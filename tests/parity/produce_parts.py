"""Runs the cited code of other methods' neurons and normalisers, and writes what it computed: `parts.npz`.

    mkdir cited && cd cited
    git clone https://github.com/Ikarosy/Gated-LIF && git -C Gated-LIF checkout 60638b2
    git clone https://github.com/yfguo91/Re-Loss && git -C Re-Loss checkout 0937f36
    git clone https://github.com/sq117/LTMD && git -C LTMD checkout 1766d5e
    git clone https://github.com/fangwei123456/Parametric-Leaky-Integrate-and-Fire-Spiking-Neuron PLIF
    git -C PLIF checkout f644ff6
    git clone https://github.com/fangwei123456/spikingjelly && git -C spikingjelly checkout 73f94ab
    cd .. && python tests/parity/produce_parts.py cited

None of that code is in this repository; it is executed from the checkouts, in float64, on the CPU. Of each method it
computes one small network: convolution, normaliser, neurons, convolution, normaliser, neurons, mean over the map,
linear layer, mean over time; convolutions and linear layer are torch's own, normalisers and neurons the cited classes
(`PLACES`), torch's batch norm over time where the method has none of its own. What is done to the code, from outside:

- `Tensor.float` does nothing while it runs: it would cut float64 down to float32.
- Gated-LIF's backward reads `input = ctx.saved_tensors`, a tuple: it is given the comma that it lacks.
- IPython, matplotlib and the like, imported for other purposes, are stood in for by empty modules.

Every parameter is moved at random from where it begins, then SGD of rate 0.1 and momentum 0.9 takes STEPS steps on
cross-entropy. The file holds, by METHOD:
    METHOD/names, start           of the parameters, in the cited order; their values, flat
    METHOD/spikes                 of both layers in the first pass, in training mode, (2, T, B, C, H, W), a bit each
    METHOD/logits, gradients      of that pass: (T, B, classes); as in start
    METHOD/losses                 of STEPS steps
    METHOD/parameters, statistics after them; running means, then running variances, layer after layer
    METHOD/evaluated              logits in evaluation mode then
"""

from __future__ import annotations

import argparse
import sys
import types
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from small import BATCH, CHANNELS, CLASSES, INPUTS, STEPS, TIMESTEPS, inputs
from torch import Tensor, nn


def executed(path: Path, *changes: tuple[str, str]) -> dict[str, Any]:
    """The names that a file of the cited code defines."""
    source = path.read_text()
    for old, new in changes:
        assert old in source, f"{path} has no {old!r}: another commit?"
        source = source.replace(old, new)
    namespace: dict[str, Any] = {"__name__": path.stem}
    exec(compile(source, str(path), "exec"), namespace)
    return namespace


class InSteps(nn.Module):
    """A cited module for (T, B, C, H, W), on (T·B, C, H, W)."""

    def __init__(self, layer: nn.Module, axes: tuple[int, ...] = (0, 1, 2, 3, 4)) -> None:
        super().__init__()
        self.layer, self.axes = layer, axes

    def forward(self, x: Tensor) -> Tensor:
        back = [self.axes.index(i) for i in range(5)]
        return self.layer(x.unflatten(0, (TIMESTEPS, -1)).permute(self.axes)).permute(back).flatten(0, 1)


class StepByStep(nn.Module):
    """A cited neuron that keeps its state between calls."""

    def __init__(self, layer: nn.Module, reset: Callable[[], None]) -> None:
        super().__init__()
        self.layer, self.reset = layer, reset

    def forward(self, x: Tensor) -> Tensor:
        self.reset()
        return torch.cat([self.layer(step) for step in x.unflatten(0, (TIMESTEPS, -1))])


Parts = tuple[nn.Module, nn.Module, nn.Module, nn.Module]
"""(normaliser, neurons, normaliser, neurons)."""


def glif(cited: Path) -> Parts:
    layers = executed(cited / "Gated-LIF/layers.py", ("input = ctx.saved_tensors", "input, = ctx.saved_tensors"))
    said = {
        "t": TIMESTEPS,
        "soft_mode": True,
        "static_gate": False,
        "static_param": False,
        "time_wise": False,
        "gate": [0.6, 0.8, 0.6],
        "param": [0.25, 0.5, 0.0625, 0.5],
    }

    def neuron() -> nn.Module:
        return InSteps(layers["LIFSpike_CW"](CHANNELS, **said))

    return layers["tdBatchNorm"](CHANNELS), neuron(), layers["tdBatchNorm"](CHANNELS, alpha=2**-0.5), neuron()


def inflor(cited: Path) -> Parts:
    layers = executed(cited / "Re-Loss/models/spike_layer.py")
    parts = []
    for alpha in (1.0, 2**-0.5):
        parts += [layers["tdBatchNorm2d"](nn.BatchNorm2d(CHANNELS), alpha), layers["LIFAct"](TIMESTEPS)]
    for part in parts:
        part.set_spike_state(True)
    return tuple(InSteps(part) for part in parts)  # type: ignore[return-value]


def ltmd(cited: Path) -> Parts:
    layers = executed(cited / "LTMD/cifar10/layersnew.py")
    time_last = (1, 2, 3, 4, 0)
    parts = []
    for _ in range(2):
        parts += [InSteps(layers["tdNorm"](nn.BatchNorm3d(CHANNELS)), (1, 2, 3, 4, 0))]
        parts += [InSteps(layers["LIFSpike"](), time_last)]
    return tuple(parts)  # type: ignore[return-value]


def plif(cited: Path) -> Parts:
    sys.path.insert(0, str(cited / "spikingjelly"))
    layers = executed(cited / "PLIF/codes/models.py")
    parts: list[nn.Module] = []
    for _ in range(2):
        neuron = layers["PLIFNode"]()
        parts += [nn.BatchNorm2d(CHANNELS), StepByStep(neuron, neuron.reset)]
    return tuple(parts)  # type: ignore[return-value]


PLACES: dict[str, Callable[[Path], Parts]] = {"glif": glif, "inflor": inflor, "ltmd": ltmd, "plif": plif}


def network(parts: Parts) -> nn.Sequential:
    norm1, neuron1, norm2, neuron2 = parts
    return nn.Sequential(
        nn.Conv2d(INPUTS, CHANNELS, 3, padding=1, bias=False),
        norm1,
        neuron1,
        nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, bias=False),
        norm2,
        neuron2,
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(CHANNELS, CLASSES),
    )


def flat(tensors: Iterable[Tensor | None]) -> np.ndarray:
    return torch.cat([tensor.detach().flatten() for tensor in tensors if tensor is not None]).numpy()


def run(model: nn.Sequential) -> dict[str, np.ndarray]:
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn(p.shape) * (0.5 if p.dim() > 1 else 0.2))
    spikes: dict[int, Tensor] = {}
    for place in (2, 5):
        model[place].register_forward_hook(lambda m, i, s, place=place: spikes.__setitem__(place, s.detach()))
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    out: dict[str, np.ndarray] = {"names": np.array([name for name, _ in model.named_parameters()])}
    out["start"] = flat(model.parameters())
    losses = []
    for step in range(STEPS):
        images, labels = inputs(step)
        logits = model(torch.from_numpy(images)).unflatten(0, (TIMESTEPS, BATCH))
        loss = nn.functional.cross_entropy(logits.mean(0), torch.from_numpy(labels))
        optimiser.zero_grad()
        loss.backward()
        losses.append(loss.item())
        if step == 0:
            both = torch.stack([spikes[2], spikes[5]]).contiguous()
            assert ((both - both.round()).abs() < 1e-12).all()  # some cited spikes are 0 and 1 up to rounding
            out["spikes"] = np.packbits(both.round().numpy().astype(bool))
            out["logits"] = logits.detach().numpy()
            out["gradients"] = flat(p.grad for p in model.parameters())
        optimiser.step()
    out["losses"] = np.array(losses)
    out["parameters"] = flat(model.parameters())
    out["statistics"] = flat(b for end in ("mean", "var") for name, b in model.named_buffers() if name.endswith(end))
    model.eval()
    with torch.no_grad():
        logits = model(torch.from_numpy(inputs(0)[0])).unflatten(0, (TIMESTEPS, BATCH))
    out["evaluated"] = logits.numpy()
    return out


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("cited", type=Path, help="the folder of the checkouts")
    cited = parser.parse_args().cited.resolve()
    torch.set_default_dtype(torch.float64)
    torch.Tensor.float = lambda self: self if self.dtype != torch.bool else self.double()  # type: ignore
    for absent in ("IPython", "matplotlib", "matplotlib.pyplot"):
        sys.modules.setdefault(absent, types.SimpleNamespace(embed=None))  # type: ignore[arg-type]
    arrays: dict[str, np.ndarray] = {}
    torch.manual_seed(5)
    for method, parts in PLACES.items():
        model = network(parts(cited)).double()
        arrays |= {f"{method}/{what}": array for what, array in run(model).items()}
        print(method, arrays[f"{method}/losses"])
    path = Path(__file__).with_name("parts.npz")
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")
