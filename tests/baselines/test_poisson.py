"""Poisson spikes of a network: its own, other ones at each showing of a sample, the same in whatever batch it is shown.

What one draw depends on: `test_walk.py`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from baselines import build
from baselines.network import Network


def network(seed: int = 0) -> Network:
    torch.manual_seed(seed)
    return build("vanilla-poisson", "resnet20", shape=(2, 8, 8), classes=3, timesteps=2, width=0.07).eval()


def spikes(of: Network, images: Tensor, showings: Tensor) -> Tensor:
    """(T, B, C, H, W) that reach the first convolution."""
    kept: list[Tensor] = []
    hook = of.body[0].register_forward_hook(lambda module, inputs, output: kept.append(inputs[0]))  # type: ignore[index]
    images = images.clone()
    images.showings = showings  # type: ignore[attr-defined]
    of(images)
    hook.remove()
    return kept[0].unflatten(0, (2, -1))


IMAGES, SHOWINGS = torch.randn(4, 2, 8, 8, generator=torch.Generator().manual_seed(1)), torch.arange(4) - 4


def test_a_sample_is_drawn_alike_in_any_batch_and_precision() -> None:
    made = network()
    whole = spikes(made, IMAGES, SHOWINGS)
    for chosen in ([0, 1], [3], [2, 0, 3]):
        assert torch.equal(spikes(made, IMAGES[chosen], SHOWINGS[chosen]), whole[:, chosen])
    assert torch.equal(spikes(made.double(), IMAGES, SHOWINGS), whole.double())
    assert torch.equal(spikes(made, IMAGES.double(), SHOWINGS), whole.double())


def test_each_showing_and_each_network_draws_its_own() -> None:
    one, again, other = network(), network(), network(1)
    whole = spikes(one, IMAGES, SHOWINGS)
    assert torch.equal(spikes(again, IMAGES, SHOWINGS), whole)
    same = IMAGES[:1].expand(4, -1, -1, -1)
    drawn = [spikes(other, IMAGES, SHOWINGS), spikes(one, IMAGES, SHOWINGS + 4), spikes(one, same, SHOWINGS)]
    assert not torch.equal(drawn[0], whole) and not torch.equal(drawn[1], whole)
    assert len(drawn[2].transpose(0, 1).flatten(1).unique(dim=0)) == 4


def test_time_in_chunks_sees_the_same() -> None:
    made = network()
    images = IMAGES.clone()
    images.showings = SHOWINGS  # type: ignore[attr-defined]
    with torch.no_grad():
        torch.testing.assert_close(torch.cat(list(made.walk(images, 1))), made(images))
