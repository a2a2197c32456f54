"""Poisson spikes: as often as pixels say, and the same for a sample whatever is around it."""

from __future__ import annotations

import pytest
import torch

from baselines import build
from baselines.network import Network
from baselines.parts import poisson
from baselines.parts.poisson import WORD, Poisson, mixed

KEYS = torch.tensor([7, 1, 12345, WORD - 1])


def test_spikes_are_as_frequent_as_pixels_are_strong_and_carry_their_sign() -> None:
    """2,000 steps: within five standard errors of |x| / 2; always beyond the span, never at 0."""
    x = torch.tensor([-2.5, -1.0, -0.2, 0.0, 0.1, 0.6, 1.4, 2.0]).view(1, 1, 2, 4)
    s = Poisson()(x, 2000)
    rate = (x.abs() / 2).clamp(max=1)
    assert (s.abs().mean(0) - rate[0]).abs().max() < 5 * 0.5 / 2000**0.5
    assert set(s.unique().tolist()) == {-1, 0, 1} and torch.equal((s * x).sign(), s.abs())
    assert s[:, 0, 0, 0].eq(-1).all() and not s[:, 0, 0, 3].any() and s[:, 0, 1, 3].all()


def test_steps_samples_and_pixels_are_drawn_apart() -> None:
    s = Poisson(1.0)(torch.full((40, 1, 10, 10), 0.5), 2).view(2, 40, 100)
    assert s.mean().item() == pytest.approx(0.5, abs=0.02)
    for one, other in ((s[0], s[1]), (s[:, :20], s[:, 20:]), (s[..., :50], s[..., 50:]), (s[..., :-1], s[..., 1:])):
        assert one.eq(other).double().mean().item() == pytest.approx(0.5, abs=0.03)


def test_a_sample_is_drawn_alike_in_any_batch_and_precision() -> None:
    x = torch.randn(4, 3, 5, 5)
    whole = Poisson()(x, 3, KEYS).unflatten(0, (3, 4))
    for chosen in ([0, 1], [3], [2, 0, 3]):
        part = Poisson()(x[chosen].double(), 3, KEYS[chosen]).unflatten(0, (3, -1))
        assert torch.equal(part.float(), whole[:, chosen])
    assert not torch.equal(Poisson()(x, 3, KEYS + 1).unflatten(0, (3, 4)), whole)


def test_the_numbers_are_these() -> None:
    """On every device, of every version of torch: lowbias32, by Python's integers."""
    numbers = [0, 1, 2, 123456789, WORD - 1]
    assert mixed(torch.tensor(numbers)).tolist() == [0, 0x688990C0, 0xD1132181, 0xA8F1DB88, 0x6768824A]
    spread = mixed(torch.arange(1 << 16))
    assert len(spread.unique()) == 1 << 16 and int(spread.min()) >= 0 and int(spread.max()) < WORD


def test_frames_of_recordings_are_drawn_too_and_those_of_another_t_refused() -> None:
    assert Poisson()(torch.ones(3, 2, 1, 4, 4), 3).shape == (6, 1, 4, 4)
    with pytest.raises(ValueError, match="input has 3 frames"):
        Poisson()(torch.ones(3, 2, 1, 4, 4), 2)


def network(seed: int = 0) -> Network:
    torch.manual_seed(seed)
    return build("vanilla-poisson", "resnet20", shape=(2, 8, 8), classes=3, timesteps=2, width=0.07).eval()


def test_a_network_draws_by_its_seed_and_the_showing() -> None:
    one, again, other = network(), network(), network(1)
    assert torch.equal(one.noise, again.noise) and not torch.equal(one.noise, other.noise)
    images, showings = torch.randn(4, 2, 8, 8), torch.arange(4) - 4

    def spikes(of: Network, chosen: list[int], epoch: int = 0) -> torch.Tensor:
        return of.encode(images[chosen], showings[chosen] + 4 * epoch).unflatten(0, (2, -1))

    whole = spikes(one, [0, 1, 2, 3])
    assert torch.equal(spikes(again, [2, 1]), whole[:, [2, 1]])
    assert not torch.equal(spikes(other, [0, 1, 2, 3]), whole)
    assert not torch.equal(spikes(one, [0, 1, 2, 3], epoch=1), whole)


def test_the_images_bring_their_showings() -> None:
    made, images = network(), torch.randn(4, 2, 8, 8)
    kept: list[torch.Tensor] = []
    made.body[0].register_forward_hook(lambda module, inputs, output: kept.append(inputs[0]))  # type: ignore[index]
    for showings in (torch.arange(4), torch.arange(4), torch.arange(4) + 9):
        images.showings = showings  # type: ignore[attr-defined]
        made.double()(images)
    assert torch.equal(kept[0], kept[1]) and not torch.equal(kept[1], kept[2])
    assert torch.equal(kept[0].double(), made.encode(images.double(), torch.arange(4)))


def test_keys_differ_by_the_network_and_the_showing() -> None:
    noise = torch.tensor(5)
    assert len(poisson.keys(noise, torch.arange(-1000, 1000)).unique()) == 2000
    assert not torch.equal(poisson.keys(noise, KEYS), poisson.keys(noise + 1, KEYS))
