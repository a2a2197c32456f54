"""The sections, the most valuable first, and how one is run: in a process of its own that is given so long and no
longer. This process never begins CUDA: what is forked after that cannot use it."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

import msgspec
import torch
import torch._dynamo  # what an optimiser imports as it is made: once, in the place of once a section
from gpu import cells, memory, neurons, pairs, ratios
from gpu.place import Found, Place, check, each, left_out, told, unplaced

from harness import environment
from harness.errors import did_you_mean
from harness.identity import vouched
from harness.measure.spec import Timing
from harness.measure.tried import Check, Speed

GRACE = 10.0
"""Seconds that a section has, after its time is up, to end the part that it is at."""
STAND_IN = 10
"""Times as long as a GPU, for a processor that others use too."""
KILLED = "out of time, and killed"
LAST_WORDS = 200


@dataclass(frozen=True)
class Section:
    name: str
    title: str
    seconds: float
    """At most."""
    take: Callable[[Place], Iterator[Found]]
    environ: Mapping[str, str] = field(default_factory=dict)
    ours: bool = True
    """Whether it says something against us when it takes longer than that."""


class Kept(msgspec.Struct):
    """What a section has found so far, as it stands in its file."""

    checks: list[Check] = []
    timings: list[Timing] = []
    speeds: list[Speed] = []
    environment: dict[str, object] = {}


@dataclass(frozen=True)
class Done:
    section: Section
    kept: Kept
    seconds: float


TRITON = {"BASELINES_BACKEND": "triton"}
SECTIONS = (
    Section("kernels", "neurons on the GPU against the loop in float64", 100, neurons.neurons),
    Section("cell", "a cell whole, again, interrupted, across devices", 60, cells.whole),
    Section("folds", "the fold proof of every method", 50, cells.folds),
    Section("speeds", "images a second of the tables' cells", 100, cells.speeds, ours=False),
    Section("training", "a training step side by side", 70, ratios.steps, ours=False),
    Section("inference", "inference side by side", 40, ratios.passes, ours=False),
    *(
        Section(
            f"spikingjelly-{which}",
            f"a training step beside SpikingJelly's {which} kernels",
            25,
            ratios.spikingjelly,
            {"SJ_LIF_CUDA_IMPLEMENTATION": which},
            ours=False,
        )
        for which in ("triton", "cuda")
    ),
    Section("memory", "the memory that is foretold against what is taken", 30, memory.memory),
    Section("processes", "two processes against one", 60, pairs.pairs),
    Section("precision", "bfloat16 and TF32 beside float32", 30, ratios.precisions, ours=False),
    Section("graphs", "what a CUDA graph would gain", 30, ratios.graphs, ours=False),
    Section("compile", "what torch.compile would gain", 90, ratios.compiled, ours=False),
)


def chosen(only: str | None) -> list[Section] | str:
    """Of those names, or what is wrong with them."""
    known = {section.name: section for section in SECTIONS}
    names = list(known) if only is None else only.split(",")
    if unknown := [name for name in names if name not in known]:
        return f"no section `{unknown[0]}`; {did_you_mean(unknown[0], known)}"
    return [known[name] for name in names]


def unable(stand_in: bool) -> str:
    """Why this torch cannot use the GPU that is there; empty where it can."""
    if stand_in or torch.version.cuda is not None or torch.version.hip is not None:
        return ""
    return "this torch came without CUDA; type rm -r .venv; make setup (without UV_TORCH_BACKEND=cpu)"


def run(section: Section, stand_in: bool, short: bool, until: float, scratch: Path) -> Done:
    """As long as it may, and as there is time; what it found before it died counts."""
    begin = time.monotonic()
    whole = begin + section.seconds * (1 if not stand_in else STAND_IN)
    in_time, until = whole <= until, min(whole, until)
    if until - begin < 1:
        return Done(section, Kept([left_out(section.title, "no time was left")]), 0.0)
    place = Place(torch.device("cpu" if stand_in else "cuda"), stand_in, short, until)
    file, log = scratch / f"{section.name}.json", scratch / f"{section.name}.log"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons mind threads; torch's have not begun
        child = os.fork()
    if child == 0:
        os._exit(_in_a_process(section, place, file, log))
    try:
        why = _ended(child, until + GRACE)
    except KeyboardInterrupt:
        _kill(child)
        raise
    kept = msgspec.json.decode(file.read_bytes(), type=Kept) if file.exists() else Kept()
    if why:
        words = unplaced(" ".join(log.read_text(errors="replace").split()))[-LAST_WORDS:] if log.exists() else ""
        why = f"{why}{f': … {words}' if words else ''}"
        fails = not why.startswith(KILLED) or (section.ours and in_time)
        kept.checks.append(check(section.title, False, why) if fails else left_out(section.title, why))
    return Done(section, kept, time.monotonic() - begin)


def _ended(child: int, until: float) -> str:
    """How, if it was not by itself and well. It is killed when its time is up, and all that it began with it."""
    while True:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            code = os.waitstatus_to_exitcode(status)
            return "" if code == 0 else f"ended by signal {-code}" if code < 0 else f"ended with code {code}"
        if time.monotonic() > until:
            _kill(child)
            return KILLED
        time.sleep(0.05)


def _kill(child: int) -> None:
    """And all that it began; by itself too, for it may not lead a group of its own yet."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def _in_a_process(section: Section, place: Place, file: Path, log: Path) -> int:
    os.setsid()
    with log.open("wb") as said:
        os.dup2(said.fileno(), sys.stdout.fileno())
        os.dup2(said.fileno(), sys.stderr.fileno())
    os.environ |= section.environ
    if place.stand_in and section.name == "kernels":
        os.environ |= TRITON  # by the interpreter; other sections would take minutes by it
    kept = Kept()
    lock = vouched.vouched()
    here = vouched.Vouched(raised=lock.raised, files=vouched.hashes())
    with patch.object(vouched, "vouched", lambda: here):  # it may be tried while it is edited
        for found in each(place, {section.title: lambda: section.take(place)}):
            kind = (
                kept.checks if isinstance(found, Check) else kept.speeds if isinstance(found, Speed) else kept.timings
            )
            kind.append(found)  # type: ignore[arg-type]
            _write(kept, file)
    kept.environment = _described(place)
    _write(kept, file)
    return 0


def _write(kept: Kept, file: Path) -> None:
    new = file.with_suffix(".new")
    new.write_bytes(msgspec.json.encode(kept))
    new.replace(file)


def _described(place: Place) -> dict[str, object]:
    from baselines import kernels

    try:
        return environment.describe() | {"neurons": kernels.state(place.device)} | _of_a_gpu(place)
    except Exception as error:  # a GPU that a section has brought down says no more
        return {"lost": told(error)}


def _of_a_gpu(place: Place) -> dict[str, object]:
    if place.stand_in:
        return {}
    properties = torch.cuda.get_device_properties(0)
    return {
        "gpus": torch.cuda.device_count(),
        "gpu_memory_gib": round(properties.total_memory / 2**30, 1),
        "capability": f"{properties.major}.{properties.minor}",
        "packages": environment.versions([*environment.PACKAGES, "triton", "spikingjelly"]),
    }
