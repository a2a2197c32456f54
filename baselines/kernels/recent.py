"""NeuNorm on a CPU, one pass over memory each way: `recent.c`. Float32, channels-last."""

from __future__ import annotations

import ctypes

import torch
from torch import Tensor

from baselines.kernels import compiled
from baselines.kernels.traced.layers import watched


class Recent(ctypes.Structure):
    """The C struct of the same name."""

    _fields_ = (
        *((name, ctypes.c_long) for name in "TBPC"),
        *((name, ctypes.c_float) for name in ("k", "share")),
        ("threads", ctypes.c_int),
    )


def serves(s: Tensor, w: Tensor) -> bool:
    """Whether the kernel is there, and takes these spikes; the loop takes all."""
    plain = s.device.type == w.device.type == "cpu" and s.dtype == w.dtype == torch.float32 and s.numel() > 0
    return plain and not watched(s) and compiled.wanted() and compiled.library() is not None


def subtracted(s: Tensor, w: Tensor, timesteps: int, k: float, share: float) -> Tensor:
    """s (T·B, C, H, W) less w (C, H, W) times r(t) = k r(t-1) + share · (sum of s(t) over C), of the same shape."""
    return _Subtracted.apply(s, w, timesteps, k, share)  # type: ignore[return-value]


class _Subtracted(torch.autograd.Function):
    @staticmethod
    def forward(ctx, s, w, timesteps, k, share):  # type: ignore[override]
        s = s.contiguous(memory_format=torch.channels_last)
        frames, channels, height, width = s.shape
        batch, places = frames // timesteps, height * width
        columns, r, y = w.permute(1, 2, 0).contiguous(), s.new_empty(frames * places), torch.empty_like(s)
        ctx.sizes = (timesteps, batch, places, channels, k, share)
        compiled.call("recent_forward", Recent(*ctx.sizes, torch.get_num_threads()), s, columns, r, y)
        ctx.save_for_backward(columns, r)
        return y

    @staticmethod
    def backward(ctx, gy):  # type: ignore[override]
        columns, r = ctx.saved_tensors
        gy = gy.contiguous(memory_format=torch.channels_last)
        gs, gcolumns = torch.empty_like(gy), torch.empty_like(columns)
        layer = Recent(*ctx.sizes, torch.get_num_threads())
        compiled.call("recent_backward", layer, gy, columns, r, gs, gcolumns)
        return gs, gcolumns.permute(2, 0, 1).contiguous(), None, None, None
