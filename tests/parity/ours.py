"""Our network beside the arrays of a cited one: begun at the same parameters, trained as it was, compared to 1e-9."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from small import Parameters, Step, trained
from torch import Tensor, nn


@cache
def _arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as file:
        return dict(file)


def kept(path: Path, method: str) -> dict[str, np.ndarray]:
    """What the file at `path` holds of `method`."""
    return {name.partition("/")[2]: array for name, array in _arrays(path).items() if name.startswith(f"{method}/")}


def of_cited(model: nn.Module, cited: dict[str, np.ndarray], ours: Sequence[str]) -> Parameters:
    """The parameters of `model` by their cited names, begun where the cited ones were; `ours` are our names of them."""
    named = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert sorted(named) == sorted(ours)
    parameters = {str(name): [named[our]] for name, our in zip(cited["names"], ours, strict=True)}
    begin = torch.from_numpy(cited["start"].astype(np.float64))
    with torch.no_grad():
        for our, part in zip(ours, begin.split([named[our].numel() for our in ours]), strict=True):
            named[our].copy_(part.view(named[our].shape))
    return parameters


def compared(
    model: nn.Module,
    parameters: Parameters,
    batches: Any,
    step: Step,
    seen: list[Tensor],
    cited: dict[str, np.ndarray],
    rate: float = 0.1,
) -> None:
    """Trains `model` and holds what is left of it against the cited arrays."""
    found = trained(model, parameters, batches, step, seen, rate)
    assert set(found) == set(cited) - {"names", "start", "thresholds"}
    for what, array in found.items():
        bound = {"rtol": 0, "atol": 0 if what == "spikes" else 1e-9}
        np.testing.assert_allclose(array, cited[what], **bound, err_msg=what)
    for name, (p,) in parameters.items():
        assert p.grad is not None and p.grad.any(), f"nothing was said of {name}"
