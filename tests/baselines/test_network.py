"""What a network does around its layers: still images are convolved once in evaluation."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from baselines import METHODS, build
from baselines.folding import fold_norms, fold_thresholds
from baselines.network import Network


@pytest.mark.parametrize("method", ["vanilla", "mpbn", "tdbn"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_still_images_are_convolved_once_and_nothing_changes(method: str, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    network = build(method, "resnet20", shape=(3, 16, 16), classes=10, timesteps=3, width=0.25).to(dtype)
    network(torch.randn(8, 3, 16, 16))
    network.eval()
    images = torch.randn(5, 3, 16, 16, dtype=dtype)
    for form in (network, fold_norms(fold_thresholds(network))):
        assert form.shows_the_same_at_every_step(images)
        with torch.no_grad():
            once = form(images)
            frames = form(images.expand(3, -1, -1, -1, -1))  # the same, but given as frames: convolved three times
        torch.testing.assert_close(once, frames, rtol=1e-6, atol=1e-6)


def test_where_steps_differ_every_one_is_convolved() -> None:
    def network(method: str, **changes: object) -> tuple[Network, Tensor]:
        bundle = replace(METHODS.get(method), **changes)  # type: ignore[arg-type]
        built = build(bundle, "resnet20", shape=(1, 8, 8), classes=10, timesteps=2, width=0.1)
        return built, torch.randn(2, 1, 8, 8)

    plain, images = network("mpbn")
    assert not plain.shows_the_same_at_every_step(images)  # in training the running variance counts the copies
    plain.eval()
    assert plain.shows_the_same_at_every_step(images)
    assert not plain.shows_the_same_at_every_step(images.expand(2, -1, -1, -1, -1))
    handle = plain.body.get_submodule("0.conv").register_forward_hook(lambda module, inputs, output: None)
    assert not plain.shows_the_same_at_every_step(images)  # somebody counts its operations
    handle.remove()
    scaled, _ = network("tebn")  # a factor a step
    assert not scaled.eval().shows_the_same_at_every_step(images)
    drawn, _ = network("mpbn", encoder=lambda images, timesteps: torch.rand(timesteps * len(images), *images.shape[1:]))
    assert not drawn.eval().shows_the_same_at_every_step(images)
