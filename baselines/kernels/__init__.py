"""Back ends of the one recurrence: which of them computes a layer of neurons, and which are there.

    loop      `baselines/parts/neurons.py` with autograd: the reference; any precision, any neuron
    manual    the adjoint by hand in torch operations; any device, no compiler
    compiled  fused C kernels on the CPU
    triton    fused kernels on a GPU

The environment variable BASELINES_BACKEND names one to force; a layer that it does not serve runs the loop.
"""

from __future__ import annotations

import os
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, cast

import torch

from baselines.kernels import compiled, manual, shapes

if TYPE_CHECKING:
    from baselines.kernels.recurrence import Backend

VARIABLE = "BASELINES_BACKEND"
NAMES = ("loop", "manual", "compiled", "triton")
LOOP = "loop over torch operations with autograd"


def chosen(device: torch.device) -> Backend | None:
    """The back end of layers in float32 on `device`; None: the loop. Raises ValueError for an unknown name."""
    if device.type == "meta":
        return cast("Backend", shapes)
    forced = os.environ.get(VARIABLE, "")
    if forced:
        return _named(forced, device)
    if device.type == "cpu":
        return _named("compiled", device) or cast("Backend", manual)
    return _named("triton", device) or cast("Backend", manual)


def state(device: torch.device | str = "cpu") -> str:
    """For people and records: what computes the neurons on `device`, and why not something faster."""
    device = torch.device(device)
    backend = chosen(device)
    name = LOOP if backend is None else backend.NAME
    if os.environ.get(VARIABLE, ""):
        return f"{name} ({VARIABLE}={os.environ[VARIABLE]})"
    if backend is not cast("Backend", manual):
        return name
    missing = "C compiler: install gcc or clang" if device.type == "cpu" else "Triton: install triton"
    return f"{name} (no {missing} to train faster)"


def _named(name: str, device: torch.device) -> Backend | None:
    """The back end `name`; None for the loop and where it cannot run on `device`."""
    if name not in NAMES:
        raise ValueError(f"{VARIABLE} is {name!r}: set it to one of {', '.join(NAMES)}, or not at all")
    if name == "manual":
        return cast("Backend", manual)
    if name == "compiled" and device.type == "cpu" and compiled.library() is not None:
        return cast("Backend", compiled)
    if name == "triton" and (device.type == "cuda" or interpreted()):
        return cast("Backend", triton())
    return None


def interpreted() -> bool:
    """Whether Triton runs through its interpreter, on the CPU: for tests."""
    return os.environ.get("TRITON_INTERPRET", "") == "1"


@cache
def triton() -> ModuleType | None:
    """The Triton back end, or None where Triton is not installed."""
    try:
        from baselines.kernels import on_gpu
    except ImportError:
        return None
    return on_gpu
