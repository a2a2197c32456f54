"""A batch norm and the neurons behind it in one pass, against the two apart in float64; and which layers are joined."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from baselines import METHODS, build, kernels, one_pass
from baselines.kernels import compiled, manual
from baselines.method import ConvNorm
from baselines.network import Network
from baselines.parts import moments
from baselines.parts.neurons import Carry, HardReset, SpikingNeuron
from baselines.parts.normalisations import BatchNorm, Normalisation, TdBN
from baselines.parts.surrogates import SURROGATES

pytestmark = pytest.mark.skipif(compiled.library() is None, reason="no C compiler here")
CPU = torch.device("cpu")
SHAPES = [(5, 7, 6), (16, 3, 3), (37, 1, 2), (1, 4, 4), (600, 1, 1), (512, 1, 2)]
"""Channels below, equal to and above the 512 numbers of a tile, and such as do not divide them."""


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


class Pair(nn.Sequential):
    """A convolution that changes nothing, a norm, neurons; every parameter and running statistic drawn at random."""

    def __init__(self, norm: Normalisation, layer: SpikingNeuron, channels: int) -> None:
        super().__init__(ConvNorm(nn.Identity(), norm.build(channels, layer.timesteps, 0.5, 2)), layer)
        with torch.no_grad():
            for name, tensor in (*self.named_parameters(), *self.named_buffers()):
                if "weight" in name:  # of either sign; near 0, MPBN would make rounding large
                    tensor.uniform_(0.5, 1.5).mul_(torch.randint_like(tensor, 2) * 2 - 1)
                elif "bias" in name:  # below V, or nothing would fire, or all
                    tensor.uniform_(0, 0.4)
                elif tensor.is_floating_point():
                    tensor.normal_().abs_() if "running_var" in name else tensor.normal_()


def outcome(pair: nn.Module, x: Tensor, g: Tensor) -> dict[str, Tensor]:
    x = x.clone().requires_grad_()
    s = pair(x)
    s.backward(g)
    gradients = {f"gradient of {name}": p.grad for name, p in (("x", x), *pair.named_parameters())}
    return {"spikes": s.detach(), **gradients, **dict(pair.named_buffers())}  # type: ignore[dict-item]


def agrees(pair: Pair, shape: tuple[int, int, int], batch: int = 20) -> None:
    """As near to float64 as rounding allows, or three times as far as the two apart in float32 are.

    The gradients of the norm's own parameters are sums that MPBN, which takes a mean away, makes much smaller than
    what is summed.
    """
    apart, exact = copy.deepcopy(pair), copy.deepcopy(pair).double()
    assert one_pass.join(pair, CPU) == 1
    x, g = (torch.randn(2, pair[1].timesteps * batch, *shape) * 3 + 2).unbind()
    x, g = (each.contiguous(memory_format=torch.channels_last) for each in (x, g))
    added: list[float] = []
    exact[0].norm.register_full_backward_hook(
        lambda norm, gx, gy: added.append(float(gy[0].abs().sum((0, 2, 3)).max()))
    )
    found, rounded, expected = outcome(pair, x, g), outcome(apart, x, g), outcome(exact, x.double(), g.double())
    same = found["spikes"].double() == expected["spikes"]
    assert same.float().mean() > 0.9999 and found["spikes"].mean() > 0
    if not same.all() or not torch.equal(rounded["spikes"], found["spikes"]):
        pytest.skip("a spike sat on the threshold: gradients of another spike train are not comparable")
    for name, tensor in expected.items():
        far, usual = (float((each[name].double() - tensor).abs().max()) for each in (found, rounded))
        scale = max(float(tensor.abs().max()), added[0] / 5 if "of 0.norm" in name else 0.0)
        assert far <= max(5e-6 * scale, 3 * usual), name


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("surrogate", ["ste", "tanh"])
@pytest.mark.parametrize("timesteps", [1, 3])
@pytest.mark.parametrize("norm", [BatchNorm(), TdBN()], ids=["BN", "tdBN"])
@pytest.mark.parametrize("method", ["vanilla", "mpbn", "mpbn-element"])
def test_it_is_what_the_two_compute_apart(
    method: str, norm: Normalisation, timesteps: int, surrogate: str, shape: tuple[int, int, int]
) -> None:
    torch.manual_seed(timesteps)
    layer = METHODS.get(method).neuron.build(shape, timesteps, SURROGATES[surrogate])
    agrees(Pair(norm, layer, shape[0]), shape)


@pytest.mark.parametrize("surrogate", ["ste", "tanh"])
@pytest.mark.parametrize("carry", ["raw", "normalised"])
@pytest.mark.parametrize("method", ["vanilla", "mpbn", "mpbn-element"])
@pytest.mark.parametrize("detach", [False, True])
def test_in_every_variant(method: str, detach: bool, carry: Carry, surrogate: str) -> None:
    torch.manual_seed(0)
    neuron = replace(METHODS.get(method).neuron, reset=HardReset(detach), carry=carry)
    agrees(Pair(BatchNorm(), neuron.build((19, 3, 3), 4, SURROGATES[surrogate]), 19), (19, 3, 3))


@pytest.mark.parametrize("method", ["vanilla", "mpbn", "mpbn-element"])
def test_any_number_of_threads_gives_the_same_bits(method: str) -> None:
    torch.manual_seed(0)
    pair = Pair(BatchNorm(), METHODS.get(method).neuron.build((24, 9, 9), 3, SURROGATES["ste"]), 24)
    one_pass.join(pair, CPU)
    x, g = (each.contiguous(memory_format=torch.channels_last) for each in torch.randn(2, 3 * 40, 24, 9, 9).unbind())
    found = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        found.append(outcome(copy.deepcopy(pair), x, g))
    assert all(torch.equal(each[name], tensor) for each in found[1:] for name, tensor in found[0].items())


def test_statistics_far_from_zero_lose_nothing() -> None:
    """Mean a thousand deviations away: as exact as torch's."""
    torch.manual_seed(0)
    pair = Pair(BatchNorm(), METHODS.get("vanilla").neuron.build((4, 8, 8), 2, SURROGATES["ste"]), 4)
    one_pass.join(pair, CPU)
    norm = pair[0].norm
    norm.running_var.zero_()
    norm.momentum = 1.0
    x = (torch.randn(40, 4, 8, 8) + 1000).contiguous(memory_format=torch.channels_last)
    pair(x)
    assert torch.allclose(norm.running_var.double(), x.double().var((0, 2, 3)), rtol=1e-5)


def test_only_norms_that_go_straight_into_neurons_are_joined() -> None:
    def joined(method: str, architecture: str) -> int:
        network = build(method, architecture, shape=(3, 32, 32), classes=10, timesteps=2, width=0.06)
        return one_pass.join(network.body, CPU)

    assert joined("mpbn", "resnet20") == 3 + 8  # stem and blocks; where a block adds, currents are summed in between
    assert joined("vanilla", "vgg16") == 13
    assert joined("sew-resnet", "resnet20") == 3 + 2 * 8  # spikes are added: also at the end of a block
    assert joined("ms-resnet", "resnet20") == 2 + 8  # the stem's last norm goes into the blocks


@pytest.mark.parametrize("method", ["neunorm", "plif", "bntt", "ann"])
def test_a_network_that_has_none_is_refused(method: str) -> None:
    network = build(method, "resnet20", shape=(3, 32, 32), classes=10, timesteps=2, width=0.06)
    with pytest.raises(one_pass.Impossible, match="no batch norm stands right before neurons"):
        one_pass.join(network.body, CPU)


def test_other_kernels_and_other_numbers_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    network = small()
    with pytest.raises(one_pass.Impossible, match="float32"):
        one_pass.join(copy.deepcopy(network.body).double(), CPU)
    with pytest.raises(one_pass.Impossible, match="fused CPU kernel is needed"):
        one_pass.join(network.body, torch.device("meta"))
    monkeypatch.setattr(kernels, "chosen", lambda device: manual)
    with pytest.raises(one_pass.Impossible, match="fused CPU kernel is needed"):
        one_pass.join(network.body, CPU)


def small(method: str = "mpbn") -> Network:
    torch.manual_seed(0)
    return build(method, "resnet20", shape=(3, 16, 16), classes=10, timesteps=2, width=0.06)


def test_a_sequence_with_a_way_of_its_own_is_left_alone() -> None:
    class Backwards(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            return self[0](self[1](x))

    with pytest.raises(one_pass.Impossible):
        one_pass.join(Backwards(*small().body[:2]), CPU)


def test_evaluation_and_names_stay_as_they_are() -> None:
    apart, joined = small(), small()
    one_pass.join(joined.body, CPU)
    images = torch.rand(4, 3, 16, 16)
    assert torch.equal(apart.eval()(images), joined.eval()(images))
    assert list(apart.state_dict()) == list(joined.state_dict())


def test_a_network_learns_as_it_does_apart() -> None:
    """The first step's gradients; what follows differs where a spike falls otherwise."""
    apart, joined = small().train(), small().train()
    one_pass.join(joined.body, CPU)
    images, labels = torch.rand(16, 3, 16, 16), torch.arange(16) % 10
    for network in (apart, joined):
        network.loss(network(images), labels).backward()
    pairs = zip(apart.parameters(), joined.parameters(), strict=True)
    near = [torch.nn.functional.cosine_similarity(p.grad.flatten(), q.grad.flatten(), dim=0) for p, q in pairs]  # type: ignore[union-attr]
    assert min(near) > 0.9


def test_whoever_looks_in_between_sees_it_as_apart() -> None:
    """To the bit, since then it is."""
    apart, joined = small("vanilla").train(), small("vanilla").train()
    one_pass.join(joined.body, CPU)
    seen: list[Tensor] = []
    for module in joined.body.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.register_forward_hook(lambda module, given, y: seen.append(y))
    images = torch.rand(4, 3, 16, 16)
    assert torch.equal(apart(images), joined(images)) and len(seen) == 22
    with moments.written_to([]):
        assert torch.equal(apart(images), joined(images))


@pytest.mark.parametrize("way", ["neurons", "everything"])
def test_recomputing_changes_no_bit(way: str) -> None:
    found = []
    for recompute in ("nothing", way):
        network = small().train()
        one_pass.join(network.body, CPU)
        network.recompute = recompute  # type: ignore[assignment]
        network(torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(1))).square().mean().backward()
        found.append([*(p.grad for p in network.parameters()), *network.buffers()])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))  # type: ignore[arg-type]


def test_a_batch_of_one_value_is_refused() -> None:
    pair = Pair(BatchNorm(), METHODS.get("vanilla").neuron.build((4, 1, 1), 1, SURROGATES["ste"]), 4)
    one_pass.join(pair, CPU)
    with pytest.raises(ValueError, match="more than one value"):
        pair(torch.randn(1, 4, 1, 1))
