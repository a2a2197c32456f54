"""Time walked a chunk at a call gives the spikes of all steps at once, to the bit; what cannot be walked says so."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from baselines import METHODS, build
from baselines.network import Network
from baselines.parts.poisson import Poisson

T = 6
AT_ONCE = {"bntt", "tebn", "psp-bn", "psp-bn-joint", "neunorm", "glif", "glif-random-gates", "liaf-net-conv3d"}
"""Methods with parameters or a state a step that no walk carries."""


def made(method: str, architecture: str = "resnet20", **slots: object) -> Network:
    torch.manual_seed(0)
    bundle = replace(METHODS.get(method), **slots)  # type: ignore[arg-type]
    network = build(bundle, architecture, shape=(2, 16, 16), classes=10, timesteps=T, width=1 / 16).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # otherwise deep layers are silent
            torch.nn.init.constant_(module.weight, 2.0)
    return network


def spikes(network: Network, images: Tensor, chunk: int) -> list[Tensor]:
    """Of every layer, in all steps, and the logits."""
    seen: dict[str, list[Tensor]] = {name: [] for name in network.spiking_layers()}
    hooks = [
        layer.register_forward_hook(lambda module, x, s, name=name: seen[name].append(s))
        for name, layer in network.spiking_layers().items()
    ]
    with torch.no_grad():
        logits = torch.cat(list(network.walk(images, chunk))) if chunk else network(images)
    for hook in hooks:
        hook.remove()
    return [*map(torch.cat, seen.values()), logits]


def check_same(whole: list[Tensor], walked: list[Tensor]) -> None:
    """Spikes to the bit; logits up to the order in which a product of another size is summed."""
    assert all(torch.equal(*pair) for pair in zip(whole[:-1], walked[:-1], strict=True))
    torch.testing.assert_close(walked[-1], whole[-1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("method", list(METHODS))
def test_any_chunk_gives_the_same_spikes(method: str) -> None:
    network = made(method)
    images = torch.rand(3, 2, 16, 16) * 2
    if method in AT_ONCE:
        with pytest.raises(TypeError, match="must see all timesteps at once"):
            next(network.walk(images))
        return
    whole = spikes(network, images, 0)
    assert sum(float(s.sum()) for s in whole[:-1]) or not network.spiking_layers()
    for chunk in (1, 2, 4, T):
        check_same(whole, spikes(network, images, chunk))


@pytest.mark.parametrize("architecture", ["vgg16-dietsnn", "plifnet", "resnet11"])
def test_hidden_layers_and_odd_batches_too(architecture: str) -> None:
    network = made("vanilla", architecture, encoder=Poisson())
    images = torch.rand(5, 2, 16, 16) * 3 - 1
    whole = spikes(network, images, 0)
    for chunk in (1, 5):
        check_same(whole, spikes(network, images, chunk))


def test_frames_are_walked_in_their_order() -> None:
    network, frames = made("vanilla"), torch.rand(T, 2, 2, 16, 16) * 2
    assert torch.equal(torch.cat(list(network.walk(frames, 4))), network(frames))


def test_so_far_is_the_mean_of_the_first_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    network, images = made("vanilla"), torch.rand(3, 2, 16, 16)
    at_once = [logits.mean(0) for logits in network.so_far(images, [1, 2, 4, T])]
    monkeypatch.setattr("baselines.network.LONG", T - 1)
    walked = list(network.so_far(images, [1, 2, 4, T]))
    assert [logits.shape for logits in walked] == [(t, 3, 10) for t in (1, 2, 4, T)]
    for one, two in zip(at_once, walked, strict=True):
        torch.testing.assert_close(one, two.mean(0))


def test_memory_does_not_grow_with_the_timesteps() -> None:
    """What is carried from one step to the next: potentials, and nothing of steps that are over."""
    from baselines.parts import carried

    kept: list[int] = []
    remember = carried.remember

    def count(layer: torch.nn.Module, *state: Tensor) -> None:
        remember(layer, *state)
        walk = carried._walk.get()
        assert walk is not None
        kept.append(sum(part.numel() for parts in walk.memory.values() for part in parts))

    network = made("vanilla")
    network.timesteps = 40
    with torch.no_grad(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(carried, "remember", count)
        for _ in network.walk(torch.rand(2, 2, 16, 16)):
            pass
    layers = len(network.spiking_layers())
    assert kept[layers - 1] == kept[-1] == max(kept)


def test_poisson_draws_by_seed_image_and_step_alone() -> None:
    images, seed = torch.rand(4, 3, 8, 8) * 2 - 1, torch.tensor(7)
    drawn = Poisson().at(images, 0, 9, seed).unflatten(0, (9, 4))
    assert torch.equal(drawn[5:8, 2:3], Poisson().at(images[2:3], 5, 3, seed).unflatten(0, (3, 1)))
    assert torch.equal(drawn.double(), Poisson().at(images.double(), 0, 9, seed).unflatten(0, (9, 4)))
    for other in (Poisson().at(images, 0, 9, torch.tensor(8)), Poisson().at(images, 1, 9, seed)):
        assert not torch.equal(drawn, other.unflatten(0, (9, 4)))
    assert not torch.equal(drawn[0], drawn[1])


def test_poisson_fires_as_often_as_a_pixel_is_bright() -> None:
    images = torch.linspace(-1.2, 1.2, 25).view(1, 1, 5, 5)
    for gain in (1.0, 0.9):
        rate = Poisson(gain).at(images, 0, 20_000, torch.tensor(3)).mean(0)
        wanted = torch.sign(images[0]) * (gain * images[0].abs()).clamp(max=1)
        assert (rate - wanted).abs().max() < 4 * 0.5 / 20_000**0.5
    with pytest.raises(ValueError, match="still images"):
        Poisson()(torch.zeros(2, 1, 1, 2, 2), 2)
