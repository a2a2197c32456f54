"""What is kept for backward, and training that keeps less: the same gradients and statistics, to the bit."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from baselines import METHODS, build
from baselines.kernels import compiled
from baselines.network import Network
from baselines.parts.convolution import AvgPool2d, Conv2d
from baselines.recompute import Recompute, segments


def step(network: Network, recompute: Recompute) -> dict[str, Tensor]:
    """Gradients and buffers after one training step."""
    network = copy.deepcopy(network).train()
    network.recompute = recompute
    torch.manual_seed(3)
    images = torch.randn(12, 2, 32, 32, requires_grad=True)
    network.loss(network(images), torch.arange(12) % 5).backward()
    found = {
        "images": images.grad,
        **{name: p.grad for name, p in network.named_parameters()},
        **dict(network.named_buffers()),
        "random": torch.get_rng_state(),
    }
    return {name: tensor for name, tensor in found.items() if tensor is not None}  # of a found V, of drawn spikes: none


@pytest.mark.parametrize("recompute", ["neurons", "everything"])
@pytest.mark.parametrize(
    ("method", "architecture"),
    [
        ("mpbn", "resnet20"),
        ("mpbn-element", "resnet20"),
        ("tebn", "vgg11"),
        ("vanilla", "resnet19"),
        ("tdbn", "plifnet"),
    ],
)
def test_recomputing_changes_no_bit(method: str, architecture: str, recompute: Recompute) -> None:
    torch.manual_seed(0)
    network = build(method, architecture, shape=(2, 32, 32), classes=5, timesteps=2, width=0.1)
    kept, again = step(network, "nothing"), step(network, recompute)
    assert kept.keys() == again.keys()
    assert [name for name in kept if not torch.equal(kept[name], again[name])] == []


@pytest.mark.parametrize(
    ("method", "architecture"), [("sew-resnet", "resnet18-sew"), ("mpbn", "resnet11"), ("mpbn", "resnet20")]
)
def test_recomputing_in_bfloat16_changes_no_bit(method: str, architecture: str) -> None:
    """Input that two layers of a segment read is rounded for each of them, as where nothing is repeated."""
    torch.manual_seed(0)
    network = build(method, architecture, shape=(2, 32, 32), classes=5, timesteps=2, width=0.1)
    network = network.in_precision("bfloat16")
    kept = step(network, "nothing")
    for recompute in ("neurons", "everything"):
        again = step(network, recompute)
        assert [name for name in kept if not torch.equal(kept[name], again[name])] == []


@pytest.mark.parametrize("method", list(METHODS))
def test_recomputing_changes_no_bit_of_any_method(method: str) -> None:
    """In a residual network of a few channels; moments of potentials, where a penalty wants them, included."""
    torch.manual_seed(0)
    network = build(method, "resnet20", shape=(2, 32, 32), classes=5, timesteps=2, width=0.04)
    kept, again = step(network, "nothing"), step(network, "everything")
    assert [name for name in kept if not torch.equal(kept[name], again[name])] == []


def kept_bytes(network: Network, images: Tensor) -> int:
    """Bytes of the distinct storages that autograd keeps, parameters and buffers aside."""
    own = {tensor.untyped_storage().data_ptr() for tensor in (*network.parameters(), *network.buffers())}
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        output = network(images)
    assert output.requires_grad
    return sum(kept.values())


@pytest.mark.skipif(compiled.library() is None, reason="no C compiler here")
def test_less_and_less_is_kept() -> None:
    torch.manual_seed(0)
    network = build("mpbn", "resnet20", shape=(3, 32, 32), classes=10, timesteps=4, width=0.25).train()
    images = torch.randn(32, 3, 32, 32)
    kept = {}
    for recompute in ("nothing", "neurons", "everything"):
        network.recompute = recompute
        kept[recompute] = kept_bytes(network, images)
    network.recompute = "nothing"
    for layer in network.spiking_layers().values():
        layer.forward = layer.loop  # type: ignore[method-assign]
    loop = kept_bytes(network, images)
    assert kept["nothing"] <= 0.5 * loop
    assert kept["neurons"] <= 0.25 * loop
    assert kept["everything"] <= 0.05 * loop


def test_a_convolution_that_keeps_bytes_is_torchs_to_the_bit() -> None:
    torch.manual_seed(0)
    ours = Conv2d(6, 5, 3, 2, 1).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    theirs = nn.Conv2d(6, 5, 3, 2, 1).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    theirs.load_state_dict(ours.state_dict())
    spikes = (torch.randn(4, 6, 9, 9) > 0.5).float().contiguous(memory_format=torch.channels_last)
    a, b = spikes.clone().requires_grad_(), spikes.clone().requires_grad_()
    a.as_bytes = spikes.byte()
    y, z = ours(a), theirs(b)
    g = torch.randn_like(y)
    y.backward(g), z.backward(g)
    for p, q in ((y, z), (a.grad, b.grad), (ours.weight.grad, theirs.weight.grad), (ours.bias.grad, theirs.bias.grad)):
        assert p is not None and q is not None and torch.equal(p, q)


@pytest.mark.parametrize("geometry", [(2,), (3, 2, 1), (2, 2, 0, True, False)], ids=str)
def test_a_pool_that_keeps_bytes_is_torchs_to_the_bit(geometry: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    spikes = (torch.randn(4, 6, 9, 9) > 0.5).float().contiguous(memory_format=torch.channels_last)
    a, b = spikes.clone().requires_grad_(), spikes.clone().requires_grad_()
    a.as_bytes = spikes.byte()
    y, z = AvgPool2d(*geometry)(a), nn.AvgPool2d(*geometry)(b)
    g = torch.randn_like(y)
    y.backward(g), z.backward(g)
    assert torch.equal(y, z) and a.grad is not None and b.grad is not None and torch.equal(a.grad, b.grad)


def test_segments_are_the_whole_network_once() -> None:
    body = build("mpbn", "resnet20", shape=(1, 8, 8), classes=10, timesteps=1, width=0.1).body
    layers = [id(layer) for segment in segments(body) for layer in segment]  # type: ignore[attr-defined]
    assert layers == [id(layer) for layer in body]  # type: ignore[attr-defined]


def test_mixed_precision_rounds_convolutions_alone() -> None:
    torch.manual_seed(0)
    network = build("mpbn", "resnet20", shape=(1, 16, 16), classes=10, timesteps=2, width=0.1).in_precision("bfloat16")
    seen: dict[str, set[torch.dtype]] = {"convolution": set(), "other": set()}
    for module in network.modules():
        if not list(module.children()):
            kind = "convolution" if isinstance(module, nn.Conv2d) else "other"
            module.register_forward_hook(lambda m, i, o, kind=kind: seen[kind].add(o.dtype))
    logits = network(torch.randn(4, 1, 16, 16))
    logits.sum().backward()
    assert seen["convolution"] == {torch.bfloat16} and logits.dtype == torch.float32
    assert {p.grad.dtype for p in network.parameters() if p.grad is not None} == {torch.float32}
    linear = {name for name, module in network.named_modules() if isinstance(module, nn.Linear)}
    assert seen["other"] <= {torch.float32, torch.bfloat16} and len(linear) == 1
    for layer in network.spiking_layers().values():
        assert layer(torch.randn(2, *_frame(layer), dtype=torch.bfloat16)).dtype == torch.float32


def _frame(layer: nn.Module) -> tuple[int, int, int]:
    return layer.normalise.shape[0], 4, 4  # type: ignore[union-attr, index]
