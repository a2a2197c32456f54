"""Runs the cited code of other methods' neurons, normalisers and objectives, and writes what it computed: `parts.npz`.

    mkdir cited && cd cited
    git clone https://github.com/Ikarosy/Gated-LIF && git -C Gated-LIF checkout 60638b2
    git clone https://github.com/yfguo91/Re-Loss && git -C Re-Loss checkout 0937f36
    git clone https://github.com/sq117/LTMD && git -C LTMD checkout 1766d5e
    git clone https://github.com/fangwei123456/Parametric-Leaky-Integrate-and-Fire-Spiking-Neuron PLIF
    git -C PLIF checkout f644ff6
    git clone https://github.com/fangwei123456/spikingjelly sj-plif && git -C sj-plif checkout 73f94ab
    git clone https://github.com/Gus-Lab/temporal_efficient_training TET && git -C TET checkout f9bde41
    git clone https://github.com/yfguo91/IM-Loss-Information-Maximization-Loss-for-Spiking-Neural-Networks IM-Loss
    git -C IM-Loss checkout c12bca3
    cd .. && python tests/parity/produce_parts.py cited

None of that code is in this repository; it is executed from the checkouts, in float64, on the CPU. Of each method it
computes one small network: convolution, normaliser, neurons, convolution, normaliser, neurons, mean over the map,
linear layer, mean over time; convolutions and linear layer are torch's own, normalisers, neurons and objective the
cited ones (`PLACES`), torch's batch norm over time where the method has none of its own. What is done to the code, from
outside:

- `Tensor.float` does nothing while it runs: it would cut float64 down to float32.
- Gated-LIF's backward reads `input = ctx.saved_tensors`, a tuple: it is given the comma that it lacks.
- IPython, matplotlib and the like, imported for other purposes, are stood in for by empty modules.
- LTMD's moderate dropout draws from `small.uniform` in the place of torch's stream, and so does ours; its features are
  doubled before it, as in its network, whose layers of analog output are left out. Its training does not import that
  network, whose `__all__` names what is not there.
- IM-Loss's neurons are listened to, for the potentials that they compare; each layer of them is given to its
  `Distrloss_layer` as one step, whose 0.5 / T is then the threshold.

Every parameter is moved at random from where it begins, then SGD of rate 0.1 and momentum 0.9 takes STEPS steps on
cross-entropy of the mean, or on the cited objective. The file holds, by METHOD:
    METHOD/names, start           of the parameters, in the cited order; their values, half precision, flat
    METHOD/spikes                 of both layers in the first pass, in training mode, (2, T, B, C, H, W), a bit each
    METHOD/logits, gradients      of that pass: (T, B, classes); parameter after parameter, each as `summarise` keeps it
    METHOD/losses                 of STEPS steps
    METHOD/parameters, statistics after them, kept as gradients are; running means, then running variances, whole
    METHOD/evaluated              logits in evaluation mode then
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from cited import BATCH_FIRST, GLIF, TIME_LAST, InSteps, arrays_of, executed, produced
from small import CHANNELS, CLASSES, INPUTS, TIMESTEPS, Loss, cross_entropy, inputs, uniform, watched
from torch import Tensor, nn


class StepByStep(nn.Module):
    """A cited neuron that keeps its state between calls."""

    def __init__(self, layer: nn.Module, reset: Callable[[], None]) -> None:
        super().__init__()
        self.layer, self.reset = layer, reset

    def forward(self, x: Tensor) -> Tensor:
        self.reset()
        return torch.cat([self.layer(step) for step in x.unflatten(0, (TIMESTEPS, -1))])


Parts = tuple[tuple[nn.Module, ...], Loss]
"""(normaliser, neurons, normaliser, neurons), and a linear layer of its own where it has one; the objective."""


def glif(cited: Path) -> Parts:
    layers = executed(cited / "Gated-LIF/layers.py", ("input = ctx.saved_tensors", "input, = ctx.saved_tensors"))

    def neuron() -> nn.Module:
        return InSteps(layers["LIFSpike_CW"](CHANNELS, **GLIF))

    norms = layers["tdBatchNorm"](CHANNELS), layers["tdBatchNorm"](CHANNELS, alpha=2**-0.5)
    return (norms[0], neuron(), norms[1], neuron()), cross_entropy


def inflor(cited: Path) -> Parts:
    layers = executed(cited / "Re-Loss/models/spike_layer.py")
    parts = []
    for alpha in (1.0, 2**-0.5):
        parts += [layers["tdBatchNorm2d"](nn.BatchNorm2d(CHANNELS), alpha), layers["LIFAct"](TIMESTEPS)]
    for part in parts:
        part.set_spike_state(True)
    return tuple(InSteps(part) for part in parts), cross_entropy  # type: ignore[return-value]


def ltmd(cited: Path) -> Parts:
    layers = executed(cited / "LTMD/cifar10/layersnew.py")
    parts = []
    for _ in range(2):
        parts += [InSteps(layers["tdNorm"](nn.BatchNorm3d(CHANNELS)), TIME_LAST)]
        parts += [InSteps(layers["LIFSpike"](), TIME_LAST)]
    return tuple(parts), cross_entropy  # type: ignore[return-value]


class DroppedBefore(nn.Linear):
    """The last layer of a cited network, and the dropout before it: (T·B, C) -> (T·2B, classes)."""

    def __init__(self, dropout: Callable[[nn.Module, Tensor], Tensor]) -> None:
        super().__init__(CHANNELS, CLASSES)
        self.drop_rate, self.dropout = 0.2, dropout

    def forward(self, input: Tensor) -> Tensor:
        if self.training:
            twice = torch.cat([input.unflatten(0, (TIMESTEPS, -1)).permute(1, 2, 0)] * 2)
            input = self.dropout(self, twice).permute(2, 0, 1).flatten(0, 1)
        return super().forward(input)


def ltmd_moderate_dropout(cited: Path) -> Parts:
    sys.path.insert(0, str(cited / "LTMD/cifar10"))
    network = executed(cited / "LTMD/cifar10/modelnew.py")
    training = executed(cited / "LTMD/cifar10/trialnew.py", ("from modelnew import *", ""))
    torch.bernoulli = lambda p: (uniform(tuple(p.shape)) < p).to(p)  # type: ignore[assignment]

    def objective(logits: Tensor, labels: Tensor) -> Tensor:
        one, other = logits.mean(0).chunk(2)
        hard = nn.functional.cross_entropy(one, labels) + nn.functional.cross_entropy(other, labels)
        return 0.5 * hard + 0.5 * training["kl_div_p12"](one, other)

    return (*ltmd(cited)[0], DroppedBefore(network["DenseNet"].dropout_layer)), objective


def plif(cited: Path) -> Parts:
    sys.path.insert(0, str(cited / "sj-plif"))
    layers = executed(cited / "PLIF/codes/models.py")
    parts: list[nn.Module] = []
    for _ in range(2):
        neuron = layers["PLIFNode"]()
        parts += [nn.BatchNorm2d(CHANNELS), StepByStep(neuron, neuron.reset)]
    return tuple(parts), cross_entropy  # type: ignore[return-value]


def tet(cited: Path) -> Parts:
    layers, functions = executed(cited / "TET/models/layers.py"), executed(cited / "TET/functions.py")

    def objective(logits: Tensor, labels: Tensor) -> Tensor:
        return functions["TET_loss"](logits.transpose(0, 1), labels, nn.CrossEntropyLoss(), 1.0, 0.05)

    def pair() -> list[nn.Module]:
        return [
            InSteps(layers[name](*of), BATCH_FIRST) for name, of in (("tdBatchNorm", (CHANNELS,)), ("LIFSpike", ()))
        ]

    return (*pair(), *pair()), objective  # type: ignore[return-value]


def im_loss(cited: Path) -> Parts:
    layers = executed(cited / "IM-Loss/models/spike_layer.py")
    term = executed(cited / "IM-Loss/models/distrloss_layer.py")["Distrloss_layer"]()
    compared, activation = [], layers["spike_activation"]

    def listened(x: Tensor, **rest: float) -> Tensor:
        compared.append(x)
        return activation(x, **rest)

    layers["spike_activation"] = listened

    def objective(logits: Tensor, labels: Tensor) -> Tensor:
        """2 · the sum of both layers' terms: the steps of a layer are one long batch of one step."""
        steps = [compared.pop(0) for _ in range(2 * TIMESTEPS)]
        potentials = [torch.cat(steps[:TIMESTEPS]), torch.cat(steps[TIMESTEPS:])]
        return cross_entropy(logits, labels) + 2.0 * sum(term(u[None]) for u in potentials)

    parts: list[nn.Module] = []
    for _ in range(2):
        parts += [layers["myBatchNorm3d"](nn.BatchNorm2d(CHANNELS), TIMESTEPS), layers["LIFAct"](TIMESTEPS)]
    for part in parts:
        part.set_spike_state(True)  # type: ignore[operator]
    return tuple(InSteps(part) for part in parts), objective  # type: ignore[return-value]


PLACES: dict[str, Callable[[Path], Parts]] = {
    "glif": glif,
    "inflor": inflor,
    "ltmd": ltmd,
    "ltmd-moderate-dropout": ltmd_moderate_dropout,
    "plif": plif,
    "tet": tet,
    "im-loss": im_loss,
}


def network(
    norm1: nn.Module, neuron1: nn.Module, norm2: nn.Module, neuron2: nn.Module, last: nn.Module | None = None
) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(INPUTS, CHANNELS, 3, padding=1, bias=False),
        norm1,
        neuron1,
        nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, bias=False),
        norm2,
        neuron2,
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        last or nn.Linear(CHANNELS, CLASSES),
        nn.Unflatten(0, (TIMESTEPS, -1)),
    )


def arrays_at(method: str, found: Parts) -> dict[str, np.ndarray]:
    parts, loss = found
    model = network(*parts).double()
    return arrays_of(model, method, inputs, watched([model[2], model[5]]), loss)


if __name__ == "__main__":
    produced(__doc__, PLACES, arrays_at, Path(__file__).with_name("parts.npz"))
