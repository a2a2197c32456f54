"""The CPU back end: C sources beside this file, compiled at first use, kept in the user's cache folder. Float32."""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from baselines import caches
from baselines.kernels.recurrence import Recurrence, Rule

NAME = "fused CPU kernel"
FOLDER = Path(__file__).parent
COMMON = ("-O3", "-march=native", "-fPIC", "-fopenmp", "-std=gnu11", "-c")
COMPILE = {
    "neuron.c": (*COMMON, "-ffast-math"),
    "events.c": (*COMMON, "-ffp-contract=off"),
    "recent.c": COMMON,
    "inference.c": (*COMMON, "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"),
    "norm.c": (*COMMON, "-fno-math-errno", "-fno-trapping-math"),
}
LINK = ("-shared", "-fopenmp", "-lm")  # without -ffast-math, which would switch off denormals in the whole process


class Layer(ctypes.Structure):
    """The C struct of the same name, in `neuron.c`."""

    _fields_ = (
        *((name, ctypes.c_long) for name in "TRC"),
        *((name, ctypes.c_float) for name in ("tau", "v_th", "eps")),
        ("norm", ctypes.c_int),
        ("k", ctypes.c_float),
        *((name, ctypes.c_int) for name in ("detach", "normalised", "threads")),
    )


class Inference(ctypes.Structure):
    """The C struct of the same name, in `inference.c`."""

    _fields_ = (
        *((name, ctypes.c_long) for name in "TRC"),
        ("tau", ctypes.c_float),
        *((name, ctypes.c_int) for name in ("affine", "normalised", "threads")),
    )


def forward(
    recurrence: Recurrence, x: Tensor, lam: Tensor | None, beta: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    u, s, b = torch.empty_like(x), torch.empty_like(x), torch.empty_like(x, dtype=torch.uint8)
    mean, var = x.new_empty(2, len(x), 0 if lam is None else x.shape[2]).unbind()
    call("neuron_forward", layer_of(recurrence, x, lam), x, lam, beta, u, s, mean, var, b)
    return s, u, b, mean, var


def backward(
    recurrence: Recurrence,
    gs: Tensor,
    u: Tensor,
    b: Tensor | None,
    lam: Tensor | None,
    beta: Tensor | None,
    mean: Tensor,
    var: Tensor,
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    gx = torch.empty_like(u)
    glam, gbeta = (None, None) if lam is None else (torch.empty_like(lam), torch.empty_like(lam))
    layer = layer_of(recurrence, u, lam)
    call("neuron_backward", layer, gs, u, b, lam, beta, mean, var, gx, glam, gbeta)
    return gx, glam, gbeta


def infer(recurrence: Recurrence, x: Tensor, rule: Rule) -> Tensor:
    s, columns = torch.empty_like(x), x.shape[2]
    threshold = rule.threshold if isinstance(rule.threshold, Tensor) else x.new_full((columns,), rule.threshold)
    affine = 0 if rule.slope is None else 1 if rule.mean is None else 2
    layer = Inference(*x.shape, recurrence.tau, affine, recurrence.normalised, torch.get_num_threads())
    call("neuron_infer", layer, x, threshold, rule.slope, rule.mean, rule.shift, s)
    return s


def layer_of(recurrence: Recurrence, x: Tensor, lam: Tensor | None) -> Layer:
    r = recurrence
    threads = torch.get_num_threads()
    return Layer(*x.shape, r.tau, r.v_th, r.eps, lam is not None, r.k, r.detach, r.normalised, threads)


def call(function: str, layer: ctypes.Structure, *tensors: Tensor | None) -> None:
    """Call the C function on the tensors' memory; None is passed as a null pointer."""
    pointers = [ctypes.c_void_p(None if tensor is None else tensor.data_ptr()) for tensor in tensors]
    getattr(library(), function)(ctypes.byref(layer), *pointers)


@cache
def library() -> ctypes.CDLL | None:
    """The compiled kernels, or None where there are none to be had."""
    if compiler() is None:
        return None
    try:
        return ctypes.CDLL(str(build()))
    except (OSError, subprocess.CalledProcessError):
        return None


def compiler() -> str | None:
    return next((path for name in (os.environ.get("CC", "cc"), "gcc", "clang") if (path := shutil.which(name))), None)


def build() -> Path:
    """Compile into the cache unless it is there, under a name that changes with source, flags and processor."""
    texts = [file.read_text() for file in sorted(FOLDER.glob("*.[ch]"))]
    return _built("neuron", texts, {FOLDER / source: flags for source, flags in COMPILE.items()})


def _built(name: str, texts: Sequence[str], sources: Mapping[Path, tuple[str, ...]]) -> Path:
    target = _place(name, texts)
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        linked = Path(scratch) / "neuron.so"
        objects = [str(Path(scratch) / f"{source.name}.o") for source in sources]
        commands = [
            (*flags, str(source), "-o", compiled)
            for (source, flags), compiled in zip(sources.items(), objects, strict=True)
        ]
        for command in (*commands, (*objects, *LINK, "-o", str(linked))):
            subprocess.run([str(compiler()), *command], check=True, capture_output=True)
        linked.replace(target)
    return target


def _place(name: str, texts: Sequence[str]) -> Path:
    identity = "\0".join((*texts, repr(COMPILE), *LINK, str(compiler()), processor()))
    return caches.folder() / "snn-baselines" / f"{name}-{hashlib.sha256(identity.encode()).hexdigest()[:16]}.so"


# --- kernels that are written as they are needed ----------------------------------------------------------------------


class Failed(Exception):
    """The compiler would not."""


def wanted() -> bool:
    """Whether the CPU's kernels are to be used, and can be made."""
    return os.environ.get("BASELINES_BACKEND", "") in ("", "compiled") and compiler() is not None


def is_there(text: str) -> bool:
    return _place("layer", [text]).exists()


def linked(text: str) -> ctypes.CDLL:
    """`text` as a library, from the cache or compiled. Raises Failed."""
    try:
        target = _place("layer", [text])
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
                source = Path(scratch) / "layer.c"
                source.write_text(text)
                _built("layer", [text], {source: COMPILE["inference.c"]})
        return ctypes.CDLL(str(target))
    except (OSError, subprocess.CalledProcessError) as error:
        raise Failed(str(error)) from error


def believed(text: str) -> bool:
    """Whether it gave the loop's own bits here, with this torch."""
    return _mark(text).exists()


def believe(text: str) -> None:
    _mark(text).touch()


def _mark(text: str) -> Path:
    return _place("layer", [text]).with_suffix(f".{torch.__version__}.same")


def processor() -> str:
    """What -march=native depends on."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    flags = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return f"{platform.machine()} {platform.processor()} {flags}"
