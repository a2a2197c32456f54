"""The recurrence of `neurons.py` as one kernel with a hand-written adjoint: same spikes, gradients and statistics."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from baselines import kernels
from baselines.parts.potential import MPBN
from baselines.parts.surrogates import STE, Surrogate, Tanh

if TYPE_CHECKING:
    from baselines.parts.neurons import SpikingNeuron


def temperature(surrogate: Surrogate) -> float | None:
    """How the kernel is told of a surrogate; None for one that it does not know."""
    if isinstance(surrogate, STE):
        return 0.0
    return surrogate.k if isinstance(surrogate, Tanh) else None


def serves(layer: SpikingNeuron, x: Tensor) -> bool:
    """Whether the kernel computes what `layer` would: a leaky, hard-reset neuron, plain or with MPBN."""
    from baselines.parts.neurons import Fire, HardReset, Leak

    norm = layer.normalise
    return (
        layer.training
        and x.requires_grad
        and x.device.type == "cpu"
        and x.dtype == torch.float32
        and type(norm) in (nn.Identity, MPBN)
        and type(layer.charge) is Leak
        and type(layer.reset) is HardReset
        and type(layer.fire) is Fire
        and temperature(layer.fire.surrogate) is not None
        and kernels.library() is not None
    )


def run(layer: SpikingNeuron, x: Tensor) -> Tensor:
    """Spikes (T·B, C, H, W), channels-last; updates MPBN's running statistics as calling it T times would."""
    norm, channels = layer.normalise, x.shape[1]
    k = temperature(layer.fire.surrogate)  # type: ignore[union-attr, arg-type]
    constants = (layer.timesteps, layer.charge.tau, layer.fire.v_th, k)  # type: ignore[union-attr]
    if not isinstance(norm, MPBN):
        return _FusedNeuron.apply(x, None, None, channels, 0.0, *constants)[0]  # type: ignore[index]

    lam, beta = (columns(p, norm.shape) for p in (norm.weight, norm.bias))
    s, mean, var = _FusedNeuron.apply(x, lam, beta, len(lam), norm.eps, *constants)  # type: ignore[misc]
    rows = s.numel() / layer.timesteps / len(lam)
    if rows <= 1:
        raise ValueError("MPBN needs more than one value to take statistics of: train with a larger batch")
    with torch.no_grad():
        for m, v in zip(mean, var * (rows / (rows - 1)), strict=True):
            norm.running_mean.lerp_(features(m, norm.shape), norm.momentum)
            norm.running_var.lerp_(features(v, norm.shape), norm.momentum)
    return s


def columns(parameter: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """(C·H·W,) as the module keeps it -> (H·W·C,), the order of the kernel's columns."""
    return parameter.view(shape).permute(1, 2, 0).reshape(-1)


def features(column: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """The inverse of `columns`."""
    channels, height, width = shape
    return column.view(height, width, channels).permute(2, 0, 1).reshape(-1)


class _FusedNeuron(torch.autograd.Function):
    """(x, λ, β) -> spikes, and the mean and variance (T, columns) of u(t). Saves u, s and the statistics."""

    @staticmethod
    def forward(ctx, x, lam, beta, width, eps, timesteps, tau, v_th, k):  # type: ignore[override]
        x = x.contiguous(memory_format=torch.channels_last)
        u, s = torch.empty_like(x), torch.empty_like(x)
        mean, var = x.new_empty(2, timesteps, width).unbind()
        rows = x.numel() // (timesteps * width)
        threads = torch.get_num_threads()
        ctx.layer = kernels.Layer(timesteps, rows, width, tau, v_th, eps, lam is not None, k, threads)
        call("neuron_forward", ctx.layer, x, lam, beta, u, s, mean, var)
        ctx.save_for_backward(u, s, lam, beta, mean, var)
        ctx.mark_non_differentiable(mean, var)
        return s, mean, var

    @staticmethod
    def backward(ctx, gs, *_):  # type: ignore[override]
        u, s, lam, beta, mean, var = ctx.saved_tensors
        gs = gs.contiguous(memory_format=torch.channels_last)
        gx = torch.empty_like(u)
        glam, gbeta = (None, None) if lam is None else (torch.empty_like(lam), torch.empty_like(beta))
        call("neuron_backward", ctx.layer, gs, u, s, lam, beta, mean, var, gx, glam, gbeta)
        return gx, glam, gbeta, *[None] * 6


def call(function: str, layer: kernels.Layer, *tensors: Tensor | None) -> None:
    """Call the C function on the tensors' memory; None is passed as a null pointer."""
    pointers = [ctypes.c_void_p(None if tensor is None else tensor.data_ptr()) for tensor in tensors]
    getattr(kernels.library(), function)(ctypes.byref(layer), *pointers)
