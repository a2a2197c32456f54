"""Fused CPU kernel of the LIF recurrence: compiled from `neuron.c` at first use, kept in the user's cache folder.

Serves training in float32 on the CPU; everything else runs the loop in `baselines/parts/neurons.py`, which stays the
reference. Without a C compiler, or with the environment variable BASELINES_KERNEL=off, that loop runs everywhere.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

SOURCE = Path(__file__).with_name("neuron.c")
COMPILE = ("-O3", "-march=native", "-ffast-math", "-fPIC", "-fopenmp", "-std=gnu11", "-c")
LINK = ("-shared", "-fopenmp", "-lm")  # without -ffast-math, which would switch off denormals in the whole process


class Layer(ctypes.Structure):
    """The C struct of the same name."""

    _fields_ = (
        *((name, ctypes.c_long) for name in "TRC"),
        *((name, ctypes.c_float) for name in ("tau", "v_th", "eps")),
        ("norm", ctypes.c_int),
        ("k", ctypes.c_float),
        ("threads", ctypes.c_int),
    )


@cache
def library() -> ctypes.CDLL | None:
    """The compiled kernel, or None where there is none to be had; `state()` says why."""
    if os.environ.get("BASELINES_KERNEL", "on") == "off" or compiler() is None:
        return None
    try:
        return ctypes.CDLL(str(build()))
    except (OSError, subprocess.CalledProcessError):
        return None


def state() -> str:
    """For people and records: which code runs the neurons of a CPU training run."""
    if library() is not None:
        return "fused CPU kernel"
    if os.environ.get("BASELINES_KERNEL", "on") == "off":
        return "eager loop (BASELINES_KERNEL=off)"
    return "eager loop (no C compiler: install gcc or clang to train faster)"


def compiler() -> str | None:
    return next((path for name in (os.environ.get("CC", "cc"), "gcc", "clang") if (path := shutil.which(name))), None)


def build() -> Path:
    """Compile into the cache unless it is there, under a name that changes with source, flags and processor."""
    identity = "\0".join((SOURCE.read_text(), *COMPILE, *LINK, str(compiler()), processor()))
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "snn-baselines"
    target = folder / f"neuron-{hashlib.sha256(identity.encode()).hexdigest()[:16]}.so"
    if target.exists():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        compiled, linked = Path(scratch) / "neuron.o", Path(scratch) / "neuron.so"
        for command in ((*COMPILE, str(SOURCE), "-o", str(compiled)), (str(compiled), *LINK, "-o", str(linked))):
            subprocess.run([str(compiler()), *command], check=True, capture_output=True)
        linked.replace(target)
    return target


def processor() -> str:
    """What -march=native depends on."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    flags = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return f"{platform.machine()} {platform.processor()} {flags}"
