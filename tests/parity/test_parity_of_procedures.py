"""Our online, joint and converted training as other papers' code does it (`produce_procedures.py`).

float64, 1e-9: every spike, logits, losses, all gradients, and after three steps all parameters, running statistics and
the evaluated network; of Hybrid-Train and Diet-SNN the thresholds that they begin with, too. As cited, but for what
stands here:

- Of a residual network the cited search looks at the stem alone (`model.module.pre_process.named_children()`,
  hybrid-snn-conversion snn.py:100 and DIET-SNN snn.py:91) and every other threshold stays at a constant; ours searches
  all layers, so those networks begin at constants here, and a search is compared of the networks without blocks.
- The exponential of Hybrid-Train's gradient (`torch.exp(-1*last_spike)**STDB.beta`, vgg_spiking.py:50) is one of
  float32 in ours in every precision, for there it underflows; the cited one is taken so here.
- Joint A-SNN's squared differences of features are summed over the batch (`torch.abs(loss).sum()`, main.py:93); the
  weight of ours, which is that of a mean, is as much larger here.
- Spike-basedBP's Poisson spikes need r < |x|, ours r <= |x|; neither draws here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from ours import compared, kept, of_cited
from small import BATCH, CLASSES, TIMESTEPS, Hand, images
from torch import Tensor, nn

from baselines import ARCHITECTURES, METHODS
from baselines.architectures._layers import classifier, hidden_classifier
from baselines.architectures._resnet import resnet, same_size_stem, strided_shortcut
from baselines.architectures._vgg import POOL, vgg
from baselines.architectures.nf_resnet34 import nf_resnet34
from baselines.method import Architecture, Method, Parts
from baselines.network import Network
from baselines.parts.dropout import DropoutOverTime
from baselines.parts.neurons import SpikingNeuron
from baselines.parts.readout import Repeat
from baselines.parts.spike_time import Delay
from baselines.procedures.balancing import Balance, set_threshold
from baselines.procedures.finetuning import FineTuning
from baselines.procedures.joint import Distillation, Joint
from baselines.procedures.procedure import Start

ARRAYS = Path(__file__).with_name("procedures.npz")


def of_method(name: str) -> Method:
    """The registered one, without Poisson spikes."""
    return replace(METHODS.get(name), encoder=Repeat())


def sum_of_steps(logits: Tensor) -> Tensor:
    return logits.sum(0)


def each_step(logits: Tensor) -> Tensor:
    return logits


@dataclass(frozen=True, kw_only=True)
class System:
    method: Method
    body: Architecture
    timesteps: int = TIMESTEPS
    size: int
    classes: int = CLASSES
    width: float = 1.0
    said: Callable[[Tensor], Tensor] = sum_of_steps
    """What the cited code returns of the logits of every step."""
    heard: type[nn.Module] = SpikingNeuron
    """What gives out the cited spikes."""
    order: Callable[[list[str], list[str]], list[str]] = lambda ours, cited: ours
    """Our parameters in the order of the cited ones, from both as they come."""
    rate: float = 0.1


def neurons_last(ours: list[str], cited: list[str]) -> list[str]:
    """Weights, then thresholds, then leaks; both are sorted by the letters of their layer's number there."""
    thresholds, leaks = ([name for name in ours if name.endswith(end)] for end in ("threshold.w", "charge.lam"))
    numbers = [int(name.removeprefix("threshold.t")) for name in cited if name.startswith("threshold.t")]
    layers = [sorted(numbers).index(number) for number in numbers]
    weights = [name for name in ours if name not in thresholds + leaks]
    return weights + [thresholds[layer] for layer in layers] + [leaks[layer] for layer in layers]


def heads_between(names: list[str], cited: list[str]) -> list[str]:
    """The network's own linear layer last; of every linear layer its bias and the ANN's weight first."""
    linear = [name.removesuffix("_ann") for name in names if name.endswith("weight_ann")]
    for weight in linear:
        mine = [name for name in names if name.startswith(weight.removesuffix("weight"))]
        bias, ann = weight.replace("weight", "bias"), f"{weight}_ann"
        place = names.index(mine[0])
        names = [name for name in names if name not in mine]
        names[place:place] = [bias, ann, weight]
    own = [name for name in names if name.startswith(linear[0].removesuffix("weight"))]
    return [name for name in names if name not in own] + own


VGG5 = partial(vgg, layers=(3, POOL, 4, 4, POOL), bias=False, tail=hidden_classifier(6, 6))
STAGES = ((3, 1, 1), (4, 1, 2), (5, 1, 2), (6, 1, 2))
RESNET12 = partial(
    resnet,
    stem=same_size_stem(convolutions=3, pool=True),
    stem_channels=3,
    stages=STAGES,
    shortcut=strided_shortcut,
    tail=classifier(bias=False),
)
JOINT = partial(
    resnet,
    stem=same_size_stem(convolutions=1, pool=False),
    stem_channels=3,
    stages=((3, 1, 1), (4, 1, 2), (6, 1, 2), (8, 1, 2)),
    shortcut=strided_shortcut,
)
DIET = of_method("diet-snn-converted")
HYBRID = replace(of_method("hybrid-train"), procedure=FineTuning(Balance(scale=0.7123)))
"""Of 0.7, ten spikes weigh as much as seven steps of the strongest pixel: which is more is up to rounding."""
SYSTEMS = {
    "hybrid-vgg": System(method=HYBRID, body=VGG5, timesteps=20, size=8, heard=Delay, rate=0.01),
    "hybrid-resnet": System(method=HYBRID, body=RESNET12, timesteps=16, size=16, heard=Delay, rate=0.01),
    "diet-vgg": System(method=DIET, body=VGG5, size=8, order=neurons_last),
    "diet-resnet": System(method=DIET, body=RESNET12, size=16, order=neurons_last),
    "spike-basedbp": System(
        method=of_method("spike-basedbp"),
        body=ARCHITECTURES.get("resnet11"),
        timesteps=6,
        size=16,
        classes=10,
        width=1 / 32,
        said=METHODS.get("spike-basedbp").readout,
        rate=1e-5,
    ),
    "ottt-resnet34": System(
        method=of_method("ottt"),
        body=partial(nf_resnet34, stages=[(20 * channels, blocks, stride) for channels, blocks, stride in STAGES]),
        size=32,
        width=1 / 20,
        said=each_step,
    ),
    "ottt-vgg": System(
        method=of_method("ottt-o"), body=partial(vgg, layers=(3, 4, POOL, 5, 5)), size=16, said=each_step
    ),
    "joint": System(
        method=replace(of_method("joint-a-snn"), procedure=Joint(Distillation(beta=1e-6 * BATCH))),
        body=JOINT,
        size=8,
        order=heads_between,
        rate=1e-3,
    ),
}
SEARCHED = ("hybrid-vgg", "diet-vgg")


def network_of(system: System) -> Network:
    parts = Parts(method=system.method, timesteps=system.timesteps, surrogate=system.method.surrogate)  # type: ignore[arg-type]
    body = system.body(parts, (3, system.size, system.size), system.classes, system.width)
    for module in body.modules():
        if isinstance(module, DropoutOverTime):
            module.p = 0.0
    return Network(system.method, body, system.timesteps).double()


class AsCited(nn.Module):
    def __init__(self, network: Network, said: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.network, self.said = network, said

    def forward(self, frames: Tensor) -> Tensor:
        return self.said(self.network(frames))

    def step(self, frames: Tensor, labels: Tensor, hand: Hand) -> tuple[Tensor, Tensor]:
        """That of the method's procedure."""
        loss, logits = self.network.method.procedure.step(self.network, frames, labels, hand)
        return loss, self.said(logits)


def begin(network: Network, frames: np.ndarray, cited: dict[str, np.ndarray]) -> None:
    """The search of the method's procedure, its thresholds held against the cited ones."""
    procedure = network.method.procedure
    assert isinstance(procedure, FineTuning) and procedure.balance is not None
    procedure.balance(
        network, Start(weights=None, images=lambda: iter([torch.from_numpy(frames)]), tell=lambda words: None)
    )
    found = [float(layer.threshold.w.detach()) for layer in network.spiking_layers().values()]  # type: ignore[union-attr, arg-type]
    np.testing.assert_allclose(found, cited["thresholds"], rtol=0, atol=1e-9)


def heard(network: Network, kind: type[nn.Module]) -> list[Tensor]:
    """What the layers of a kind give out in training."""
    seen: list[Tensor] = []

    def hear(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if network.training:
            seen.append(output.detach().clone())

    for module in network.modules():
        if isinstance(module, kind):
            module.register_forward_hook(hear)
    return seen


@pytest.mark.parametrize("name", SYSTEMS)
def test_ours_is_the_cited_training(name: str) -> None:
    cited, system = kept(ARRAYS, name), SYSTEMS[name]
    network = network_of(system)
    model = AsCited(network, system.said)
    names = [parameter for parameter, p in model.named_parameters() if p.requires_grad]
    parameters = of_cited(model, cited, system.order(names, [str(each) for each in cited["names"]]))
    batches = partial(images, size=system.size, classes=system.classes)
    if name in SEARCHED:
        begin(network, batches(0)[0], cited)
    elif name == "hybrid-resnet":
        for layer in network.spiking_layers().values():
            with torch.no_grad():
                set_threshold(network, layer, torch.tensor(0.8125))
    seen = heard(network, system.heard)
    compared(model, parameters, batches, model.step, seen, cited, system.rate)


def test_the_arrays_stay_small() -> None:
    assert ARRAYS.stat().st_size < 160_000
