"""Runs what other papers train online, jointly or from an ANN, in small, and writes it: `procedures.npz`.

    mkdir cited && cd cited
    git clone https://github.com/nitin-rathi/hybrid-snn-conversion Hybrid && git -C Hybrid checkout 3f6832c
    git clone https://github.com/nitin-rathi/DIET-SNN && git -C DIET-SNN checkout 4c7527b
    git clone https://github.com/chan8972/Enabling_Spikebased_Backpropagation Spikebased
    git -C Spikebased checkout 46e18a7
    git clone https://github.com/pkuxmq/OTTT-SNN && git -C OTTT-SNN checkout c15d5da
    git clone https://github.com/yfguo91/Joint-A-SNN && git -C Joint-A-SNN checkout 1c4a679
    cd .. && python tests/parity/produce_procedures.py cited

As `produce_networks.py` says, and METHOD/thresholds: those that the cited search has found, scaled. What is done to the
code, from outside:

- Channel counts and sizes of maps stand in the source as numbers: they are replaced by smaller ones before it is
  executed. Dropout is 0, Poisson spikes are the images themselves.
- The exponential of Hybrid-Train's gradient is taken in float32, as its authors run it: where it underflows there, it
  is 0 in ours in every precision.
- Spike-basedBP is written for torch 0.3: its autograd function becomes static, `async` and `volatile` go, tensors are
  float64. Its loss is a sum over the batch, which is divided by that here.
- Joint A-SNN's convolutions keep a weight that no longer does anything: it is deleted.
- OTTT's scripts and Joint A-SNN's do more than a training step: of the latter `compute_loss` is executed, of the former
  the step is written down here, in both of its forms, with the weight 0.05 of its CIFAR recipe.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from cited import arrays_of, executed, layer_by_layer, produced
from small import BATCH, CLASSES, TIMESTEPS, Hand, Loss, Step, cross_entropy, images
from torch import Tensor, nn
from torch.nn import functional as F

DELAYED, LEAKY = {"vgg": 20, "resnet": 16}, 6
"""Timesteps of Hybrid-Train, of which every layer takes one, and of Spike-basedBP."""


class Found(NamedTuple):
    """See `cited.arrays_of`."""

    model: nn.Module
    seen: list[Tensor]
    batches: Any
    loss: Loss = cross_entropy
    step: Step | None = None
    begin: Callable[[], dict[str, np.ndarray]] = dict
    rate: float = 0.1


# --- Hybrid-Train and Diet-SNN ----------------------------------------------------------------------------------------

Changes = tuple[tuple[str, str], ...]
VGG5: Changes = (("[64, 'A', 128, 128, 'A']", "[3, 'A', 4, 4, 'A']"), ("512*4*4", "4*2*2"), ("4096", "6"))
DROPOUT = ("nn.Dropout(0.5)", "nn.Dropout(0.0)")
"""Behind the hidden layers of Hybrid-Train's."""
UNDERFLOW = ("torch.exp(-1*last_spike)", "torch.exp(-1*last_spike.to(torch.float32))")
RESNET12: Changes = (("512*2*2", "6"), ("512", "6"), ("256", "5"), ("128", "4"), ("64", "3"))
LAYERS = {"vgg": 5, "resnet": 11}
SCALE = 0.7123
"""Of Hybrid-Train, 0.7: there ten spikes weigh as much as seven steps of the strongest pixel, up to rounding."""
SIZES = {"vgg": 8, "resnet": 16}
"""Of the images."""


def of_rathi(
    path: Path, kind: str, surrogate: str, timesteps: int, changes: Changes = (), **said: object
) -> tuple[Any, list[Tensor]]:
    """A network of Hybrid-Train or Diet-SNN, whose spikes are heard."""
    if kind == "vgg":
        build = partial(executed(path / "self_models/vgg_spiking.py", *VGG5, *changes)["VGG_SNN_STDB"], "VGG5")
    else:
        file = executed(path / "self_models/resnet_spiking.py", *RESNET12, *changes)
        build = partial(file["RESNET_SNN_STDB"], "resnet12")
    model = build(surrogate, labels=CLASSES, timesteps=timesteps, leak=1.0, dropout=0.0, **said)
    fire, (tell, seen) = model.act_func, layer_by_layer(LAYERS[kind], timesteps)

    def heard(x: Tensor, since: Tensor) -> Tensor:
        s = fire(x, since)
        if model.training:
            tell(s)
        return s

    model.act_func, model.input_layer = heard, nn.Identity()
    return model, seen


def searched(model: Any, frames: np.ndarray, steps: int, scale: float) -> dict[str, np.ndarray]:
    """Thresholds as `find_threshold` of the scripts finds them, on `frames`, and as they are scaled then."""
    timesteps, found = model.timesteps, list[float]()
    model.network_update(timesteps=steps, leak=1.0)
    places = [place for place, layer in enumerate(model.features) if isinstance(layer, nn.Conv2d)]
    linear = [place for place, layer in enumerate(model.classifier) if isinstance(layer, nn.Linear)]
    with torch.no_grad():
        for place in [*places, *(len(model.features) + place for place in linear[:-1])]:
            found.append(model.eval()(torch.from_numpy(frames), find_max_mem=True, max_mem_layer=place).item())
            model.threshold_update(scaling_factor=1.0, thresholds=found[:])
    model.threshold_update(scaling_factor=scale, thresholds=found[:])
    model.network_update(timesteps=timesteps, leak=1.0)
    return {"thresholds": np.array(found) * scale}


def hybrid(cited: Path, kind: str) -> Found:
    changes = (UNDERFLOW, DROPOUT) if kind == "vgg" else (UNDERFLOW,)
    constants = {"alpha": 0.3, "beta": 0.01, "default_threshold": 0.8125}
    model, seen = of_rathi(cited / "Hybrid", kind, "STDB", DELAYED[kind], changes, **constants)
    batches = partial(images, size=SIZES[kind])
    begin = (lambda: searched(model, batches(0)[0], DELAYED[kind], SCALE)) if kind == "vgg" else dict
    return Found(model, seen, batches, begin=begin, rate=0.01)


def diet(cited: Path, kind: str) -> Found:
    model, seen = of_rathi(cited / "DIET-SNN", kind, "Linear", TIMESTEPS, default_threshold=0.8)
    batches = partial(images, size=SIZES[kind])
    begin = (lambda: searched(model, batches(0)[0], 100, 0.3)) if kind == "vgg" else dict
    return Found(model, seen, batches, begin=begin)


# --- Spike-basedBP ----------------------------------------------------------------------------------------------------

MAPS = ((", 4, 4)", ", 2, 2)"), (", 8, 8)", ", 4, 4)"), (", 16, 16)", ", 8, 8)"), (", 32, 32)", ", 16, 16)"))
CHANNELS = (
    ("512 * 4 * 4", "512 * 2 * 2"),
    ("1024", "32"),
    ("512", "16"),
    ("256", "8"),
    ("128", "4"),
    ("64", "2"),
)
OF_TODAY = (
    ("def forward(self, input):\n        self.save", "@staticmethod\n    def forward(self, input):\n        self.save"),
    ("def backward(self", "@staticmethod\n    def backward(self"),
    ("SpikingNN()(", "SpikingNN.apply("),
    ("async=True", ""),
    (", volatile=True", ""),
    ("torch.cuda.FloatTensor", "torch.DoubleTensor"),
)
POISSON = ("Poisson_d_input = torch.mul(Poisson_d_input, torch.sign(input))", "Poisson_d_input = input")
LEAK, RATE = 0.99, 1e-5


class Corrected(nn.Module):
    """Scores; the gradient of every spike is corrected, as `train` of the cited script does."""

    def __init__(self, net: Any, correction: Callable[..., Tensor]) -> None:
        super().__init__()
        self.net, self.correction = net, correction

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return self.net.tst(x, steps=LEAKY, l=LEAK)
        scores, *said = self.net(x, steps=LEAKY, l=LEAK, DO=0.0)
        sums, outputs = said[:20], said[20:]
        for total, trace, steps in zip(sums[::2], sums[1::2], outputs, strict=True):
            by = self.correction(LEAK, trace, total).detach()
            for spikes in steps:
                spikes.register_hook(partial(torch.mul, by))
        return scores


def spike_basedbp(cited: Path) -> Found:
    file = executed(cited / "Spikebased/src/cifar10_ResNet11.py", POISSON, *OF_TODAY, *MAPS, *CHANNELS)
    tell, seen = layer_by_layer(11, LEAKY)

    def heard(fire: Callable[..., tuple[Tensor, Tensor]], *given: Any) -> tuple[Tensor, Tensor]:
        v, s = fire(*given)
        tell(s)
        return v, s

    for name in ("LIF_sNeuron", "Pooling_sNeuron"):
        file[name] = partial(heard, file[name])
    model = Corrected(file["CNNModel"](), file["grad_cal"])
    return Found(model, seen, partial(images, size=16, classes=10), squared_error, rate=RATE)


def squared_error(scores: Tensor, labels: Tensor) -> Tensor:
    return F.mse_loss(scores, F.one_hot(labels, scores.shape[1]).to(scores.dtype), reduction="sum") / BATCH


# --- OTTT -------------------------------------------------------------------------------------------------------------


class Steps(nn.Module):
    """Logits (T, B, classes) of a network that is called step by step."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([self.net(x, init=t == 0) for t in range(TIMESTEPS)])


def online(net: nn.Module, each: bool, images: Tensor, labels: Tensor, hand: Hand) -> tuple[Tensor, Tensor]:
    """A batch of `train_cifar.py`: weights move at `each` step, or when all are over."""
    losses, logits = [], []
    for t in range(TIMESTEPS):
        if each or t == 0:
            hand.zero()
        y = net(images, init=t == 0)
        one_hot = F.one_hot(labels, y.shape[1]).to(y.dtype)
        loss = (0.95 * F.cross_entropy(y, labels) + 0.05 * F.mse_loss(y, one_hot)) / TIMESTEPS
        hand.backward(loss, y)
        if each or t == TIMESTEPS - 1:
            hand.update()
        losses.append(loss.detach())
        logits.append(y.detach())
    return torch.stack(losses).sum(), torch.stack(logits)


def ottt(cited: Path, kind: str) -> Found:
    sys.path.insert(0, str(cited / "OTTT-SNN"))
    from modules import neuron, surrogate  # type: ignore[import-not-found]

    said = {"tau": 2.0, "surrogate_function": surrogate.Sigmoid(alpha=4.0), "track_rate": True, "v_reset": None}
    common = {"single_step_neuron": neuron.OnlineLIFNode, "num_classes": CLASSES, "grad_with_rate": True, **said}
    if kind == "resnet":
        thinner = (("512", "6"), ("256", "5"), ("128", "4"), ("64", "3"))
        file = executed(cited / "OTTT-SNN/models/spiking_resnet_imagenet.py", *thinner)
        net = file["OnlineSpikingNFResNet"](file["BasicBlock"], [1, 1, 1, 1], **common)
    else:
        layers = ("[64, 128, 'M', 256, 256, 'M', 512, 512, 'M', 512, 512]", "[3, 4, 'M', 5, 5]")
        file = executed(cited / "OTTT-SNN/models/spiking_vgg.py", layers, ("512*(self", "5*(self"))
        net = file["online_spiking_vgg11_ws"](fc_hw=1, **common)
    seen: list[Tensor] = []
    for module in net.modules():
        if isinstance(module, neuron.OnlineLIFNode):
            module.register_forward_hook(lambda module, x, y: seen.append(y[:BATCH].detach().clone()))
    step = partial(online, net, kind == "vgg")
    return Found(Steps(net), seen, partial(images, size=32 if kind == "resnet" else 16), step=step)


# --- Joint A-SNN ------------------------------------------------------------------------------------------------------


class Outputs(nn.Module):
    """Of the SNN in evaluation, of both networks in training."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Any:
        return self.net(x) if self.training else self.net(x, snn_only=True)[0]


def joint(cited: Path) -> Found:
    thinner = (("512", "8"), ("256", "6"), ("128", "4"), ("64", "3"))
    file = executed(cited / "Joint-A-SNN/models/resnet.py", *thinner)
    model = Outputs(file["Multi_ResNet"](file["BasicBlock"], [1, 1, 1, 1], num_classes=CLASSES))
    for module in model.modules():
        if isinstance(module, file["ASConv2d"]):
            del module.weight
    model.net.T = TIMESTEPS  # type: ignore[assignment]
    names = {"torch": torch, "nn": nn}
    compute = executed(cited / "Joint-A-SNN/main.py", of=("def compute_loss", "def train("), **names)["compute_loss"]
    kinds = [module for module in model.modules() if isinstance(module, file["LIFSpike"])]
    tell, seen = layer_by_layer(len(kinds), TIMESTEPS)
    for module in kinds:
        module.register_forward_hook(lambda module, x, y: tell(y))

    def step(frames: Tensor, labels: Tensor, hand: Hand) -> tuple[Tensor, Tensor]:
        outputs = model(frames)
        loss = compute(lambda images: outputs, frames, labels)
        hand.zero()
        hand.backward(loss, outputs[1][0])
        hand.update()
        return loss, outputs[1][0]

    return Found(model, seen, partial(images, size=8), step=step, rate=1e-3)


PLACES: dict[str, Callable[[Path], Found]] = {
    "hybrid-vgg": partial(hybrid, kind="vgg"),
    "hybrid-resnet": partial(hybrid, kind="resnet"),
    "diet-vgg": partial(diet, kind="vgg"),
    "diet-resnet": partial(diet, kind="resnet"),
    "spike-basedbp": spike_basedbp,
    "ottt-resnet34": partial(ottt, kind="resnet"),
    "ottt-vgg": partial(ottt, kind="vgg"),
    "joint": joint,
}


def arrays_at(method: str, found: Any) -> dict[str, np.ndarray]:
    model, seen, batches, *more = found
    return arrays_of(model.double(), method, batches, seen, *more)


if __name__ == "__main__":
    produced(__doc__, PLACES, arrays_at, Path(__file__).with_name("procedures.npz"))
