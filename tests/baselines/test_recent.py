"""NeuNorm's kernel, one pass each way, against its loop in float64: any T, any shape, any number of threads."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from baselines import METHODS, build
from baselines.kernels import VARIABLE, compiled, recent
from baselines.kernels.traced import layers, proved
from baselines.parts.after import Followed
from baselines.parts.neunorm import NeuNormalisation
from baselines.parts.neurons import LIF
from baselines.parts.surrogates import STE

pytestmark = pytest.mark.skipif(compiled.library() is None, reason="no C compiler here")


@pytest.fixture(autouse=True)
def threads(monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    monkeypatch.delenv(VARIABLE, raising=False)
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def outcome(layer: NeuNormalisation, s: Tensor, g: Tensor) -> list[Tensor]:
    s = s.detach().requires_grad_()
    y = layer(s)
    return [y.detach(), *torch.autograd.grad(y, [s, layer.w], g)]


def drawn(draw: random.Random) -> tuple[NeuNormalisation, Tensor, Tensor]:
    """Spikes or real values, either order of memory, of shapes about the size of a block and of a register."""
    torch.manual_seed(draw.randrange(10**6))
    timesteps, batch = draw.randint(1, 6), draw.randint(1, 4)
    shape = (draw.choice([1, 2, 7, 16, 33, 64, 700, 1025]), draw.randint(1, 5), draw.randint(1, 5))
    s = torch.randn(timesteps * batch, *shape)
    s = (s > 0.3).float() if draw.random() < 0.5 else s
    if draw.random() < 0.7:
        s = s.contiguous(memory_format=torch.channels_last)
    return NeuNormalisation(shape, timesteps, draw.choice([0.9, 0.5, 0.0])), s, torch.randn(s.shape)


@pytest.mark.parametrize("seed", range(40))
def test_values_and_gradients_are_those_of_the_loop_in_float64(seed: int) -> None:
    layer, s, g = drawn(random.Random(seed))
    assert recent.serves(s, layer.w)
    found = list[list[Tensor]]()
    for threads in (1, 2):
        torch.set_num_threads(threads)
        found.append(outcome(layer, s, g))
    assert all(torch.equal(p, q) for p, q in zip(*found, strict=True)), "sums depend on the threads"
    assert found[0][2].stride() == layer.w.stride()
    exact = outcome(layer.double(), s.double(), g.double())
    for ours, theirs in zip(found[0], exact, strict=True):
        assert float((ours.double() - theirs).abs().max()) <= 3e-6 * max(1.0, float(theirs.abs().max()))


def test_what_no_kernel_takes_goes_through_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, s, _ = drawn(random.Random(1))
    with FakeTensorMode() as fake:
        assert not recent.serves(fake.from_tensor(s), layer.w)
    for other in (s.double(), s.to("meta"), s[:0]):
        assert not recent.serves(other, layer.w)
    assert not recent.serves(s, layer.w.double())
    monkeypatch.setenv(VARIABLE, "loop")
    monkeypatch.setattr(recent, "subtracted", lambda *_: pytest.fail("the loop was asked for"))
    layer(s)


def test_a_network_trains_and_predicts_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    network = build("neunorm", "resnet20", shape=(2, 8, 8), classes=3, timesteps=2, width=1 / 16)
    monkeypatch.setattr(NeuNormalisation, "loop", lambda *_: pytest.fail("the loop"))
    network.loss(network(torch.rand(4, 2, 8, 8)), torch.arange(4) % 3).backward()
    assert all(p.grad is not None for p in network.parameters())
    with torch.no_grad():
        network.eval()(torch.rand(4, 2, 8, 8))


def test_behind_another_neuron_the_whole_is_recorded_from_the_loop() -> None:
    """Which is what the recording is proved against."""
    neuron = replace(LIF, reset=METHODS.get("ottt").neuron.reset)  # type: ignore[union-attr]
    layer = Followed(neuron.build((6, 3, 3), 2, STE()), NeuNormalisation((6, 3, 3), 2, 0.9))
    x = torch.randn(6, 6, 3, 3).contiguous(memory_format=torch.channels_last).requires_grad_()
    with layers.at_once():
        found = layers.serve(layer, x)
    assert found is not None and found.ready
    assert proved._same(layer(x).detach(), layer.loop(x).detach())
