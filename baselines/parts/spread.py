"""One number a channel, spread over frames; what comes back from them is summed in an order that a kernel can keep.

torch's own sum over batch and places takes an order of its own, so a kernel cannot add up as it goes and give its bits.
Here rows (a place of a sample each) are added one after another, block by block, and blocks by torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

BLOCK = 512
"""Numbers of rows that are added up in one go, at most."""


def spread(p: Tensor, frames: Tensor) -> Tensor:
    """(C, 1, 1) -> the shape of `frames` (B, C, H, W)."""
    return _Spread.apply(p, frames.shape)  # type: ignore[no-any-return, no-untyped-call]


_made: ContextVar[dict[object, Any] | None] = ContextVar("made", default=None)


@contextmanager
def one_call() -> Iterator[None]:
    """Of a layer: what is made `once` within is made anew in the next."""
    token = _made.set({})
    try:
        yield
    finally:
        _made.reset(token)


def once(owner: object, make: Callable[[], Any]) -> Any:
    """`make()`, the same at every step: what is spread once is summed once on the way back."""
    made = _made.get()
    if made is None:
        return make()
    if owner not in made:
        made[owner] = make()
    return made[owner]


class _Spread(torch.autograd.Function):
    @staticmethod
    def forward(ctx, p, shape):  # type: ignore[override]
        ctx.shape = p.shape
        return p.expand(shape)

    @staticmethod
    def backward(ctx, g):  # type: ignore[override]
        return partial_sums(g).sum(0).view(ctx.shape), None


def _partial_sums(g: Tensor) -> Tensor:
    """(B, C, H, W) -> (blocks of rows, C)."""
    channels = g.shape[1]
    several = max(1, BLOCK // channels)
    rows = g.permute(0, 2, 3, 1).reshape(-1, channels)
    blocks = F.pad(rows, (0, 0, 0, -len(rows) % several)).view(-1, several, channels)
    total = torch.zeros_like(blocks[:, 0])
    for i in range(several):
        total = total + blocks[:, i]
    return total


def _at_once(g: Tensor) -> Tensor:
    """On a GPU, where no such kernel has to give the same bits: one block."""
    return g.sum((0, 2, 3))[None]


_library = torch.library.Library("snn_baselines", "DEF")
_library.define("partial_sums(Tensor g) -> Tensor")
_library.impl("partial_sums", _partial_sums, "CompositeExplicitAutograd")
_library.impl("partial_sums", _at_once, "CUDA")
partial_sums = torch.ops.snn_baselines.partial_sums.default
"""The above as an operation of torch, so that a recording sees it whole."""
