"""How the code of other papers is run beside ours: executed from checkouts, as it is but for what a producer says."""

from __future__ import annotations

import argparse
import re
import sys
import types
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from small import TIMESTEPS, Loss, Step, cross_entropy, of_one_loss, trained
from torch import Tensor, nn

Place = Callable[[Path], Any]
"""The folder of the checkouts -> what a producer holds ours against."""
GLIF = {
    "t": TIMESTEPS,
    "soft_mode": True,
    "static_gate": False,
    "static_param": False,
    "time_wise": False,
    "gate": [0.6, 0.8, 0.6],
    "param": [0.25, 0.5, 0.0625, 0.5],
}
"""What Gated-LIF's networks and neurons are given."""


def prepared() -> None:
    """float64 throughout, which `Tensor.float` would cut down; what is imported for other purposes is not there."""
    torch.set_default_dtype(torch.float64)
    torch.Tensor.float = lambda self: self if self.dtype != torch.bool else self.double()  # type: ignore
    torch.Tensor.cuda = lambda self: self  # type: ignore
    for absent in ("IPython", "matplotlib", "matplotlib.pyplot", "TA", "xlsxwriter", "openpyxl", "tensorboardX"):
        sys.modules.setdefault(absent, types.SimpleNamespace(embed=None, pyplot=None, SummaryWriter=None))  # type: ignore[arg-type]


def executed(
    path: Path, *changes: tuple[str, str], of: tuple[str, str] | None = None, **names: object
) -> dict[str, Any]:
    """The names that a file of the cited code defines, where it finds `names` already there.

    `of`: only its lines from one that begins so to another.
    """
    source = path.read_text()
    if of is not None:
        source = of[0] + source.partition(of[0])[2].partition(of[1])[0]
    for old, new in changes:
        assert old in source, f"{path} has no {old!r}: another commit?"
        source = source.replace(old, new)
    namespace: dict[str, Any] = {"__name__": path.stem, **names}
    exec(compile(source, str(path), "exec"), namespace)
    return namespace


class InSteps(nn.Module):
    """A cited module for (T, B, C, H, W), its axes in the order `axes`, on (T·B, C, H, W)."""

    def __init__(self, layer: nn.Module, axes: tuple[int, ...] = (0, 1, 2, 3, 4)) -> None:
        super().__init__()
        self.layer, self.axes = layer, axes

    def forward(self, x: Tensor) -> Tensor:
        back = [self.axes.index(i) for i in range(5)]
        return self.layer(x.unflatten(0, (TIMESTEPS, -1)).permute(self.axes)).permute(back).flatten(0, 1)


BATCH_FIRST, TIME_LAST, CHANNELS_BEFORE_TIME = (1, 0, 2, 3, 4), (1, 2, 3, 4, 0), (1, 2, 0, 3, 4)


def layer_by_layer(layers: int, steps: int) -> tuple[Callable[[Tensor], None], list[Tensor]]:
    """What is told the spikes of a network that goes step by step, and the list into which its first pass comes."""
    fired: list[Tensor] = []
    seen: list[Tensor] = []

    def tell(s: Tensor) -> None:
        fired.append(s.detach().clone())
        if len(fired) == layers * steps:
            seen.extend(step for layer in range(layers) for step in fired[layer::layers])

    return tell, seen


def moved(model: nn.Module, method: str) -> np.ndarray:
    """Every parameter away from where it begins, by a stream of its own; half precision: what the file keeps of it."""
    starts = []
    with torch.no_grad():
        for name, p in model.named_parameters():
            random = np.random.RandomState(zlib.crc32(f"{method}/{name}".encode()))
            shift = random.normal(size=tuple(p.shape)) * (0.2 if p.numel() == max(p.shape, default=1) else 0.5)
            kept = np.asarray(p.numpy() + shift).astype(np.float16)
            p.copy_(torch.from_numpy(kept.astype(np.float64)))
            starts.append(kept.ravel())
    return np.concatenate(starts)


def arrays_of(
    model: nn.Module,
    method: str,
    batches: Any,
    seen: list[Tensor],
    loss: Loss = cross_entropy,
    step: Step | None = None,
    begin: Callable[[], dict[str, np.ndarray]] = dict,
    rate: float = 0.1,
) -> dict[str, np.ndarray]:
    """Of the cited `model`, moved and trained: the names of its parameters, and what the file keeps.

    A `step` is taken in the place of one down `loss`; `begin` comes before the first, and says what it has found.
    """
    start, found = moved(model, method), begin()
    groups: dict[str, list[nn.Parameter]] = {}
    for name, p in model.named_parameters():
        groups.setdefault(re.sub(r"(bntt\w*)\.\d+", r"\1", name), []).append(p)
    said = trained(model, groups, batches, step or of_one_loss(model, loss), seen, rate)
    kept = {"names": np.array(list(groups)), "start": start, **found, **said}
    print(method, kept["losses"], f"{sum(p.numel() for p in model.parameters())} parameters")
    return {f"{method}/{what}": array for what, array in kept.items()}


def produced(
    about: str | None, places: Mapping[str, Place], arrays: Callable[[str, Any], dict[str, np.ndarray]], path: Path
) -> None:
    """What a producer is typed for: `places` run in their checkouts, each from the same seed, and their `arrays`."""
    parser = argparse.ArgumentParser(description=(about or "").partition("\n")[0])
    parser.add_argument("cited", type=Path, help="the folder of the checkouts")
    parser.add_argument("--only", choices=places, help="run it, and write nothing")
    asked = parser.parse_args()
    prepared()
    found: dict[str, np.ndarray] = {}
    for name in [asked.only] if asked.only else places:
        torch.manual_seed(5), np.random.seed(5)
        found |= arrays(name, places[name](asked.cited.resolve()))
    if not asked.only:
        saved(path, found)


def saved(path: Path, arrays: dict[str, np.ndarray]) -> None:
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")
