"""The released code's way of training step computes what ours computes, and saves what that code is known to save."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import baselines
from harness.measure.implementations import Stepper
from harness.measure.memory import MIB
from harness.measure.released import released
from harness.measure.spec import Setting

CPU = torch.device("cpu")
PARITY = Path(__file__).parents[1] / "parity"


@pytest.mark.parametrize("surrogate", ["tanh", "ste"])
@pytest.mark.parametrize("method", ["mpbn", "vanilla"])
def test_the_same_logits_gradients_and_statistics_as_ours(method: str, surrogate: str) -> None:
    setting = Setting(architecture="resnet20", width=0.0625, timesteps=3, batch=3, method=method)
    theirs, ours = (Stepper(name, setting, CPU, surrogate) for name in ("released semantics", "ours"))
    for step in (theirs, ours):
        step.network.double()
    torch.testing.assert_close(theirs.logits(), ours.logits(), rtol=1e-10, atol=1e-12)
    gradients = []
    for step in (theirs, ours):
        step()
        gradients.append({name: p.grad for name, p in step.network.named_parameters()})
    assert gradients[0].keys() == gradients[1].keys()
    largest = max(float(gradient.abs().max()) for gradient in gradients[1].values())
    assert largest > 1e-3  # something reaches the weights
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name], rtol=1e-8, atol=1e-9 * largest, msg=name)
    statistics = dict(ours.network.named_buffers())
    for name, found in theirs.network.named_buffers():
        if "running" in name:
            torch.testing.assert_close(found, statistics[name], rtol=1e-9, atol=1e-12, msg=name)


@pytest.mark.parametrize("timesteps", [1, 2, 4])
@pytest.mark.parametrize("method", ["mpbn", "vanilla"])
@pytest.mark.parametrize("architecture", ["resnet20", "vgg16"])
def test_it_saves_what_the_released_code_saves(architecture: str, method: str, timesteps: int) -> None:
    """To the byte what was counted in that code itself (`tests/parity/produce.py`)."""
    with np.load(PARITY / f"{architecture}.npz") as arrays:
        counted, batch = int(arrays[f"{method}/{timesteps}/saved"]), len(arrays["images"])
    setting = Setting(architecture=architecture, width=1 / 16, timesteps=timesteps, batch=batch, method=method)
    step = Stepper("released semantics", setting, CPU, "tanh")
    step.network.double()
    assert step.memory(CPU)["MiB saved"] == counted / MIB


def test_it_has_saved_what_was_measured_in_the_released_code() -> None:
    """240 MiB at width 16, T = 4, batch 32, what is dropped again included; an eighth of it at a batch of four."""
    setting = Setting(architecture="resnet20", width=0.25, timesteps=4, batch=4, method="mpbn")
    step = Stepper("released semantics", setting, CPU, "tanh")
    saved: list[torch.Tensor] = []  # held to the end, so that no storage takes another's place

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        saved.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        step.logits()
    own = {p.untyped_storage()._cdata for p in (*step.network.parameters(), *step.network.buffers())}
    storages = {tensor.untyped_storage()._cdata: tensor.untyped_storage() for tensor in saved}
    bytes_saved = sum(storage.nbytes() for identity, storage in storages.items() if identity not in own)
    assert bytes_saved / MIB == pytest.approx(240 / 8, rel=0.03)


def test_what_the_released_code_cannot_build_is_refused() -> None:
    for method in ("tdbn", "tebn", "mpbn-element"):
        with pytest.raises(TypeError, match="released code"):
            released(baselines.METHODS.get(method))
