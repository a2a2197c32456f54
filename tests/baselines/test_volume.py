"""Convolutions over time, and the network of Conv3D: an ANN."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from baselines import build
from baselines.folding import fold_norms
from baselines.parts.volume import VolumeConv2d
from harness.train.proof import prove


@pytest.mark.parametrize(("kernel", "stride"), [(1, 2), (3, 1), (3, 2), (7, 2)])
def test_it_is_torchs_3d_convolution(kernel: int, stride: int) -> None:
    torch.manual_seed(0)
    ours = VolumeConv2d(2, 4, kernel, stride, bias=True).double()
    ours.timesteps = 5
    theirs = nn.Conv3d(2, 4, kernel, (1, stride, stride), kernel // 2).double()
    with torch.no_grad():
        theirs.weight.copy_(ours.weight.unflatten(1, (kernel, 2)).transpose(1, 2))
        theirs.bias.copy_(ours.bias)  # type: ignore[union-attr, arg-type]
    x = torch.randn(5, 3, 2, 8, 8, dtype=torch.float64)
    y = theirs(x.permute(1, 2, 0, 3, 4)).permute(2, 0, 1, 3, 4)
    torch.testing.assert_close(ours(x.flatten(0, 1)), y.flatten(0, 1), rtol=1e-12, atol=1e-12)


def test_a_network_of_them_remembers_and_never_spikes() -> None:
    """A change of one frame reaches the logits of others; none without such convolutions would."""
    torch.manual_seed(0)
    network = build("liaf-net-conv3d", "liafnet", shape=(2, 16, 16), classes=3, timesteps=4, width=0.1).double().eval()
    assert not network.spiking_layers()
    frames = torch.randn(4, 2, 2, 16, 16, dtype=torch.float64)
    changed = frames.clone()
    changed[0] += 1
    moved = (network(changed) - network(frames)).abs().amax((1, 2))
    assert (moved[:3] > 1e-6).all()


def test_still_images_are_seen_at_every_step() -> None:
    """The first convolution too: a frame at the border of time has nothing beside it."""
    network = build("liaf-net-conv3d", "resnet20", shape=(2, 8, 8), classes=3, timesteps=3, width=0.07).double().eval()
    images = torch.randn(2, 2, 8, 8, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(network(images), network(images.expand(3, 2, 2, 8, 8)), rtol=1e-12, atol=1e-12)


def test_it_folds_and_its_logits_prove_it() -> None:
    network = build("liaf-net-conv3d", "resnet20", shape=(2, 8, 8), classes=3, timesteps=3, width=0.07)
    images = torch.randn(8, 2, 8, 8)
    network.train()(images)
    proofs = prove(network, [(images, torch.arange(8) % 3)])
    assert [(p.fold, p.precision, p.passed, p.layers) for p in proofs] == [
        ("norm-conv", "float32", True, ()),
        ("norm-conv", "float64", True, ()),
    ]
    assert 0 < proofs[1].logit_difference < 1e-9
    assert not any(isinstance(module, nn.BatchNorm2d) for module in fold_norms(network).modules())
