"""Where oneDNN's weight gradient overruns its memory (docs/onednn.md), ours does not; elsewhere it is torch's."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from baselines.parts.convolution import Conv2d, overruns
from baselines.parts.standardised import StandardisedConv2d


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


APART = """
import itertools, torch
from torch.nn import functional as F
from baselines.parts.convolution import Conv2d

CASES = [(2, 33, 8, 16), (2, 33, 3, 16), (2, 9, 15, 24), (1, 2, 8, 56), (1, 2, 3, 64)]
for (threads, images, channels, size), spikes in itertools.product(CASES, (True, False)):
    torch.set_num_threads(threads)
    ours = Conv2d(channels, 16, 1, 2, bias=True).to(memory_format=torch.channels_last)
    x = (torch.randn(images, channels, size, size) > 0).float().contiguous(memory_format=torch.channels_last)
    x.requires_grad_()
    if spikes:
        x.as_bytes = x.detach().byte()
    y = ours(x)
    gy = torch.randn_like(y)
    found = torch.autograd.grad(y, (x, ours.weight, ours.bias), gy)
    exact = [each.detach().double().contiguous().requires_grad_() for each in (x, ours.weight, ours.bias)]
    wanted = torch.autograd.grad(F.conv2d(*exact, stride=2), exact, gy.double().contiguous())
    for one, other in zip(found, wanted, strict=True):
        assert (one.double() - other).abs().max() < 1e-4 * other.abs().max(), (threads, images, channels, spikes)
print("well")
"""


def test_no_gradient_leaves_its_memory() -> None:
    """In a process of its own: what it would write over could be anything."""
    done = subprocess.run([sys.executable, "-c", APART], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "well\n"), done.stderr[-2000:]


def last(*shape: int) -> Tensor:
    return torch.randn(*shape).contiguous(memory_format=torch.channels_last)


GEOMETRY = ((2, 2), (0, 0), (1, 1), 1)


def test_where_it_may_happen() -> None:
    small, large, weight = last(3, 8, 32, 32), last(3, 8, 56, 56), last(4, 8, 1, 1)
    assert not overruns(small, weight, GEOMETRY) and overruns(large, weight, GEOMETRY)
    torch.set_num_threads(2)
    assert overruns(small, weight, GEOMETRY) and overruns(last(3, 15, 8, 8), last(4, 15, 1, 1), GEOMETRY)
    assert not overruns(last(3, 16, 8, 8), last(4, 16, 1, 1), GEOMETRY)
    assert not overruns(small, weight, ((1, 1), *GEOMETRY[1:]))
    assert not overruns(small, last(4, 8, 3, 3), GEOMETRY)
    assert not overruns(small.to("meta"), weight, GEOMETRY)
    seen = StandardisedConv2d(8, 16, 1, 2)(small).grad_fn
    assert type(seen).__name__ == "_ConvolveBackward"


def test_with_one_thread_and_small_images_it_is_torchs_to_the_bit() -> None:
    torch.manual_seed(0)
    ours, theirs = (kind(8, 16, 1, 2).to(memory_format=torch.channels_last) for kind in (Conv2d, nn.Conv2d))  # type: ignore[call-overload]
    theirs.load_state_dict(ours.state_dict())
    x, gy = last(33, 8, 16, 16), last(33, 16, 8, 8)
    for layer in (ours, theirs):
        layer(x).backward(gy)
    assert torch.equal(ours.weight.grad, theirs.weight.grad) and torch.equal(ours.bias.grad, theirs.bias.grad)
