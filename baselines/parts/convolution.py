"""Convolution and pool that keep the spikes they were given as bytes, a quarter of what autograd would keep of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_written: ContextVar[list[Tensor] | None] = ContextVar("written", default=None)
_read: ContextVar[Iterator[Tensor] | None] = ContextVar("read", default=None)


@contextmanager
def outputs_written_to(tape: list[Tensor]) -> Iterator[None]:
    """Every convolution adds its output to `tape`, but for those of 1x1, which cost less than what they would add."""
    token = _written.set(tape)
    try:
        yield
    finally:
        _written.reset(token)


@contextmanager
def outputs_read_from(tape: list[Tensor]) -> Iterator[None]:
    """The same convolutions take their outputs from `tape`, in the order of writing, instead of computing them."""
    token = _read.set(iter(tape))
    try:
        yield
    finally:
        _read.reset(token)


Geometry: TypeAlias = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], int]
"""Stride, padding, dilation, groups."""
BLOCK = 16
"""Channels that oneDNN takes at once."""
WHOLE = 512
"""Output pixels of an image that fit its innermost cache (32 KiB) as one piece."""


def overruns(x: Tensor, weight: Tensor, geometry: Geometry) -> bool:
    """Whether oneDNN may write the weight gradient of this convolution over memory that is not its own.

    Of 1x1 and a stride, fewer than 16 input channels: a piece of work that begins within an image is put 16 channels
    a pixel into scratch memory sized for fewer. With one thread, small images are one piece each: docs/onednn.md.
    """
    stride, padding, _, groups = geometry
    strided = tuple(weight.shape[2:]) == (1, 1) and max(stride) > 1 and not any(padding)
    if not strided or groups > 1 or x.shape[1] >= BLOCK or x.device.type != "cpu":
        return False
    pixels = math.prod(-(-size // step) for size, step in zip(x.shape[2:], stride, strict=True))
    return torch.get_num_threads() > 1 or pixels > WHOLE


def conv2d(x: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry, at: Tensor | None = None) -> Tensor:
    """torch's, but where it `overruns`: there the gradient is taken in another way. That of the weight is taken `at`
    another input, if one is given."""
    if torch.is_grad_enabled() and (at is not None or overruns(x, weight, geometry)):
        return _Convolve.apply(x, x if at is None else at, weight, bias, None, geometry)  # type: ignore[return-value]
    return F.conv2d(x, weight, bias, *geometry)


class Conv2d(nn.Conv2d):
    """torch's convolution, to the bit. Input with `as_bytes`, which neurons give to their spikes, is kept as that."""

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        known, kept = _read.get(), getattr(input, "as_bytes", None)
        cheap = self.kernel_size == (1, 1)
        given = next(known) if known is not None and not cheap else None
        geometry: Any = (self.stride, self.padding, self.dilation, self.groups)
        if self.padding_mode != "zeros" or isinstance(self.padding, str):
            y = super()._conv_forward(input, weight, bias)
        elif not torch.is_grad_enabled() or (kept is None and given is None):
            y = conv2d(input, weight, bias, geometry)
        else:
            y = _Convolve.apply(input, input if kept is None else kept, weight, bias, given, geometry)
        if (tape := _written.get()) is not None and not cheap:
            tape.append(y)  # type: ignore[arg-type]
        return y  # type: ignore[return-value]


class _Convolve(torch.autograd.Function):
    """`kept` is what the weight's gradient is taken at; that of the input needs no input."""

    @staticmethod
    def forward(ctx, x, kept, weight, bias, given, geometry):  # type: ignore[override]
        ctx.save_for_backward(kept, weight)
        ctx.geometry, ctx.bias_sizes = geometry, None if bias is None else list(bias.shape)
        return F.conv2d(x, weight, bias, *geometry) if given is None else given.view_as(given)

    @staticmethod
    def backward(ctx, gy):  # type: ignore[override]
        kept, weight = ctx.saved_tensors
        wanted = [ctx.needs_input_grad[0], ctx.needs_input_grad[2], ctx.needs_input_grad[3]]
        x, weight, geometry = kept.to(gy.dtype), weight.to(gy.dtype), ctx.geometry
        if not overruns(x, weight, geometry):
            gx, gweight, gbias = _gradients(gy, x, weight, ctx.bias_sizes, geometry, wanted)
            return gx, None, gweight, gbias, None, None
        gx, *_ = _gradients(gy, x, weight, None, geometry, [wanted[0], False, False])
        down, right = geometry[0]  # 1x1: the pixels between the strides play no part
        met = x[:, :, ::down, ::right].contiguous(memory_format=torch.channels_last)
        _, gweight, gbias = _gradients(gy, met, weight, ctx.bias_sizes, ((1, 1), *geometry[1:]), [False, *wanted[1:]])
        return gx, None, gweight, gbias, None, None


def _gradients(gy: Tensor, x: Tensor, weight: Tensor, bias: Any, geometry: Geometry, needed: list[bool]) -> Any:
    """Of input, weight and bias, where `needed`."""
    stride, padding, dilation, groups = geometry
    transposed, output_padding = False, (0, 0)
    return torch.ops.aten.convolution_backward(
        gy, x, weight, bias, stride, padding, dilation, transposed, output_padding, groups, needed
    )


class AvgPool2d(nn.AvgPool2d):
    """torch's average pool, to the bit, keeping spikes as bytes."""

    def forward(self, input: Tensor) -> Tensor:
        kept = getattr(input, "as_bytes", None)
        if kept is None or not torch.is_grad_enabled():
            return super().forward(input)
        stride = self.kernel_size if self.stride is None else self.stride
        geometry = (*map(_pair, (self.kernel_size, stride, self.padding)), self.ceil_mode, self.count_include_pad)
        return _Pool.apply(input, kept, geometry)  # type: ignore[return-value]


def _pair(size: int | tuple[int, ...]) -> tuple[int, ...]:
    return (size, size) if isinstance(size, int) else size


class _Pool(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, kept, geometry):  # type: ignore[override]
        ctx.save_for_backward(kept)
        ctx.geometry = geometry
        return F.avg_pool2d(x, *geometry)

    @staticmethod
    def backward(ctx, gy):  # type: ignore[override]
        (kept,) = ctx.saved_tensors
        return torch.ops.aten.avg_pool2d_backward(gy, kept.to(gy.dtype), *ctx.geometry, None), None, None
