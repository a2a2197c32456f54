"""Runs whole networks of other papers' code, in small, and writes what they computed: `networks.npz`.

    mkdir cited && cd cited
    git clone https://github.com/fangwei123456/Spike-Element-Wise-ResNet SEW && git -C SEW checkout cfc547c
    git clone https://github.com/fangwei123456/spikingjelly sj-sew && git -C sj-sew checkout 2958519
    git clone https://github.com/yfguo91/Real-Spike && git -C Real-Spike checkout 2884175
    git clone https://github.com/Ariande1/MS-ResNet && git -C MS-ResNet checkout 7c5f006
    git clone https://github.com/yfguo91/Re-Loss && git -C Re-Loss checkout 0937f36
    git clone https://github.com/lyh983012/SNN-genunit && git -C SNN-genunit checkout 578fb23
    git clone https://github.com/ChaotengDuan/TEBN && git -C TEBN checkout 8f82f6a
    git clone https://github.com/Intelligent-Computing-Lab-Yale/BNTT-Batch-Normalization-Through-Time BNTT
    git -C BNTT checkout bdf5250
    git clone https://github.com/IGITUGraz/LSNN-official && git -C LSNN-official checkout a9158a3
    cd .. && python tests/parity/produce_networks.py cited

As `produce_parts.py` says, which keeps the same of each; but here layers, wiring, read-out and their order are the
cited ones too. What is done to the code, from outside:

- Channel counts stand in the source as numbers: they are replaced by smaller ones before it is executed, as are the
  steps of MS-ResNet (6), the sizes of TEBN's and BNTT's last maps, and the probability of TEBN's dropout, by 0.
- SEW's CUDA neurons are SpikingJelly's own `IFNode` of that commit, called step by step, with the surrogate and reset
  that the CUDA ones have there. Real Spike's file is run in the same way.
- LIAF's tensors are float64 and without autocast.
- BNTT's Poisson spikes are the images themselves.
- LSNN is written for TensorFlow 1: what it calls of that is said in torch (`tensorflow_in_torch.py`).
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_in_torch
import torch
from cited import CHANNELS_BEFORE_TIME, InSteps, arrays_of, executed, layer_by_layer, produced
from small import BATCH, CLASSES, TIMESTEPS, images, inputs, watched
from torch import Tensor, nn

Found = tuple[nn.Module, list[Tensor], Any]
"""The cited network, where its spikes are seen, its batches."""


def neurons(model: nn.Module, kind: type, axes: tuple[int, int] = (0, 0)) -> list[Tensor]:
    return watched([module for module in model.modules() if isinstance(module, kind)], axes)


def if_neurons(cited: Path) -> type:
    """What stands for `MultiStepIFNode`, after SpikingJelly of that commit can be imported."""
    sys.path.insert(0, str(cited / "sj-sew"))
    from spikingjelly.clock_driven import neuron, surrogate  # type: ignore[import-not-found]

    class Steps(nn.Module):
        def __init__(self, detach_reset: bool) -> None:
            super().__init__()
            self.one = neuron.IFNode(surrogate_function=surrogate.ATan(), detach_reset=detach_reset)

        def forward(self, x: Tensor) -> Tensor:
            self.one.reset()
            return torch.stack([self.one(step) for step in x])

    place = "spikingjelly.cext.neuron"
    sys.modules.setdefault("spikingjelly.cext", types.ModuleType("spikingjelly.cext"))
    sys.modules[place] = types.ModuleType(place)
    sys.modules[place].MultiStepIFNode = Steps  # type: ignore[attr-defined]
    sys.modules["spikingjelly.cext"].neuron = sys.modules[place]  # type: ignore[attr-defined]
    return Steps


def sew(path: Path, cited: Path) -> Found:
    kind = if_neurons(cited)
    thinner = (("512", "6"), ("256", "5"), ("128", "4"), ("64", "3"))
    file = executed(path, *thinner)
    model = file["SEWResNet"](file["BasicBlock"], [1, 1, 1, 1], num_classes=CLASSES, T=TIMESTEPS, connect_f="ADD")
    return model, neurons(model, kind), partial(images, size=32)


def ms(cited: Path) -> Found:
    thinner = (("512", "6"), ("256", "5"), ("128", "4"), ("64", "3"))
    file = executed(
        cited / "MS-ResNet/models/MS_ResNet.py", ("time_window = 6", f"time_window = {TIMESTEPS}"), *thinner
    )
    model = file["ResNet_origin_18"](file["BasicBlock_18"], [1, 1, 1, 1], num_classes=CLASSES)
    return model, neurons(model, file["mem_update"]), partial(images, size=32)


def inflor(cited: Path) -> Found:
    sys.path.insert(0, str(cited / "Re-Loss"))
    from models import SpikeModel, resnet, spike_layer  # type: ignore[import-not-found]

    resnet.BN, resnet.ReLU = nn.BatchNorm2d, nn.ReLU  # as its networks set them for their blocks
    thinner = (("512", "6"), ("256", "5"), ("128", "4"), ("64", "3"))
    file = executed(cited / "Re-Loss/models/resnet.py", *thinner)
    model = SpikeModel(file["ResNet_Cifar_Modified"](resnet.BasicBlock, [1, 1, 1, 1], CLASSES), TIMESTEPS)
    model.set_spike_state(True)
    return model, neurons(model, spike_layer.LIFAct), partial(images, size=16)


def liaf(cited: Path) -> Found:
    file = executed(
        cited / "SNN-genunit/LIAF.py",
        ("dtype = torch.float\n", "dtype = torch.float64\n"),
        ("__USE_AUTO_CAST__ = True", "__USE_AUTO_CAST__ = False"),
    )
    said = {"stride": 1, "padding": 1, "inputSize": (5, 5), "usePool": False, "useBatchNorm": True}
    cells = [
        InSteps(file["LIAFConvCell"](inputs, outputs, (3, 3), actFun=torch.selu, **said), CHANNELS_BEFORE_TIME)
        for inputs, outputs in ((2, 6), (6, 6))
    ]
    tail = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, CLASSES), nn.Unflatten(0, (TIMESTEPS, BATCH))
    return nn.Sequential(*cells, *tail), watched(cells), inputs


def tebn(cited: Path) -> Found:
    sizes = (("256 * 4 * 4", "256"), ("nn.Dropout(0.25)", "nn.Dropout(0.0)"))
    thinner = (("1024", "32"), ("256", "8"), ("128", "4"), ("64", "2"))
    file = executed(cited / "TEBN/models.py", *sizes, *thinner)
    model = BatchFirst(file["VGG9"]())
    return model, neurons(model, file["LIF"], (0, 1)), partial(images, size=8, classes=10)


class BatchFirst(nn.Module):
    """Logits (B, T, classes) as (T, B, classes)."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x).transpose(0, 1)


def bntt(cited: Path) -> Found:
    thinner = (("1024", "32"), ("256", "8"), ("128", "4"), (" 64", " 2"), ("(64", "(2"))
    file = executed(cited / "BNTT/model.py", *thinner)
    file["PoissonGen"] = lambda images: images
    model = file["SNN_VGG9_BNTT"](num_steps=TIMESTEPS, img_size=8, num_cls=CLASSES)
    fire, (tell, seen) = model.spike_fn, layer_by_layer(8, TIMESTEPS)

    def heard(x: Tensor) -> Tensor:
        s = fire(x)
        tell(s)
        return s

    model.spike_fn = heard
    return model, seen, partial(images, size=8)


class Recurrent(nn.Module):
    """LSNN's cell over the pixels of a frame, and a linear layer on its spikes."""

    def __init__(self, cell: Any, pixels: int) -> None:
        super().__init__()
        self.w_in, self.w_rec = cell.w_in_var, cell.w_rec_var
        self.cell, self.linear = cell, nn.Linear(cell.n_rec, CLASSES)
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        steps = x.flatten(1).unflatten(0, (TIMESTEPS, -1))
        state, logits = self.cell.zero_state(steps.shape[1], torch.float64), []
        others = self.w_rec.masked_fill(torch.eye(len(self.w_rec), dtype=torch.bool), 0.0)  # as the cell begins
        self.cell.W_in, self.cell.W_rec = self.w_in[:, :, None], others[:, :, None]  # of one step's delay
        for step in steps:
            (z, _, _), state = self.cell(step, state)
            self.seen.append(z.detach())
            logits.append(self.linear(z))
        return torch.stack(logits)


def lsnn(cited: Path) -> Found:
    tools = cited / "LSNN-official/lsnn/toolbox"
    tensorflow_in_torch.install()
    einsum = executed(tools / "tensorflow_einsums/einsum_re_written.py")["einsum_bi_ijk_to_bjk"]
    roll = executed(tools / "tensorflow_utils.py")["tf_roll"]
    tensorflow_in_torch.install_toolbox(einsum, roll)
    cell = executed(cited / "LSNN-official/lsnn/spiking_models.py")["ALIF"](n_in=50, n_rec=6, thr=0.03)
    model = Recurrent(cell, 50)
    return model, model.seen, inputs


PLACES: dict[str, Callable[[Path], Found]] = {
    "sew": lambda cited: sew(cited / "SEW/imagenet/sew_resnet.py", cited),
    "real-spike": lambda cited: sew(cited / "Real-Spike/sew_resnet.py", cited),
    "ms": ms,
    "inflor": inflor,
    "liaf": liaf,
    "tebn": tebn,
    "bntt": bntt,
    "lsnn": lsnn,
}


def arrays_at(method: str, found: Any) -> dict[str, np.ndarray]:
    model, seen, batches = found
    return arrays_of(model.double(), method, batches, seen)


if __name__ == "__main__":
    produced(__doc__, PLACES, arrays_at, Path(__file__).with_name("networks.npz"))
