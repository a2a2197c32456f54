"""The released code's way of training step computes what ours computes, and saves what that code is known to save."""

from __future__ import annotations

import pytest
import torch

import baselines
from harness.measure.implementations import Stepper
from harness.measure.released import released
from harness.measure.spec import Setting

CPU = torch.device("cpu")


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


def test_it_saves_what_the_released_code_saves() -> None:
    """240 MiB at width 16, T = 4, batch 32, measured in that code; an eighth of it at a batch of four."""
    setting = Setting(architecture="resnet20", width=0.25, timesteps=4, batch=4, method="mpbn")
    saved = Stepper("released semantics", setting, CPU, "tanh").memory(CPU)["MiB saved"]
    assert saved == pytest.approx(240 / 8, rel=0.03)


def test_what_the_released_code_cannot_build_is_refused() -> None:
    for method in ("tdbn", "tebn", "mpbn-element"):
        with pytest.raises(TypeError, match="released code"):
            released(baselines.METHODS.get(method))
