"""Seeds, determinism, and what ran where. Torch is imported only by the functions that need it."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib.metadata
import os
import platform
import random
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness import __version__
from harness.printable import printable

COMMAND = "HARNESS_COMMAND"
"""Environment variable by which a job learns what the user typed."""
CLUSTER, PLACE, PACK = "HARNESS_CLUSTER", "HARNESS_PLACE", "HARNESS_PACK"
"""By which a SLURM job learns the name of its profile, what `--on` was given, and how many cells share its GPU."""
TOKEN = "HARNESS_TOKEN"
"""The secret by which the processes of one cell know each other."""
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
TUNABLES, HUGE = "GLIBC_TUNABLES", "glibc.malloc.hugetlb"
"""Environment variable that glibc (2.35 or newer) reads when a process begins, and what in it asks for large pages."""
PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")
"""Where Linux says to whom it gives large pages: `always`, to who asks (`madvise`), `never`; in brackets what holds."""
SOURCE = ("baselines", "harness", "tables", "slurm")
"""Folders of the clone in which a file that git does not track makes it another code than its commit."""
PACKAGES = ("torch", "torchvision", "numpy", "timm", "tonic", "scikit-learn", "submitit", "msgspec")
"""Those whose version can change a number."""


def seed_everything(seed: int) -> None:
    """Python, NumPy, and torch on every device."""
    import numpy
    import torch

    random.seed(seed)
    numpy.random.seed(seed)
    torch.manual_seed(seed)


def deterministic() -> None:
    """Ask torch for the same bits every time; where an operation has no such form, it warns instead of failing."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when cuBLAS starts
    import torch

    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True


def limit_threads(threads: int) -> None:
    """Before torch is imported, as BLAS and OpenMP read these once. The order of sums, so the bits, depend on it."""
    for name in THREADS:
        os.environ[name] = str(threads)


def large_pages() -> None:
    """Tensors in pages of 2 MiB, where Linux gives them to those who ask. Before torch has made its first tensor.

    In pages of 4 KiB a training step passes part of its time looking addresses up (docs/kernels.md).
    """
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")


@contextlib.contextmanager
def large_pages_for_children() -> Iterator[None]:
    """A process that begins within has all of its memory so: glibc's malloc asks, if told before the process begins."""
    before = os.environ.get(TUNABLES)
    ours = [] if HUGE in (before or "") else [f"{HUGE}=1"]
    os.environ[TUNABLES] = ":".join([*([before] if before else []), *ours])
    try:
        yield
    finally:
        if before is None:
            del os.environ[TUNABLES]
        else:
            os.environ[TUNABLES] = before


def refuses_large_pages() -> bool:
    """Whether this system gives them to nobody."""
    try:
        return "[never]" in PAGES.read_text()
    except OSError:
        return False


def keep_memory() -> None:
    """Let glibc keep the memory that a training step gives back, since the next step wants it: fewer page faults.

    Blocks up to 32 MiB, the most it allows. Other C libraries are left as they are.
    """
    m_trim_threshold, m_mmap_threshold = -1, -3
    with contextlib.suppress(OSError, AttributeError, TypeError):
        library = ctypes.CDLL(None)
        library.gnu_get_libc_version  # noqa: B018 - glibc alone has it, and gives these numbers their meaning
        library.mallopt(m_mmap_threshold, 32 << 20)
        library.mallopt(m_trim_threshold, 1 << 30)


def describe() -> dict[str, Any]:
    """Provenance of a result: software, machine, code, command. No path and no host name, so it can be published."""
    import torch

    return {
        "harness": __version__,
        "python": platform.python_version(),
        "packages": versions(PACKAGES),
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": cpu_model(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "cores": cores(),
        "memory_gib": memory_gib(),
        "device": device_name(),
        "cuda": torch.version.cuda,
        "threads": torch.get_num_threads(),
        "commit": commit(),
        "command": os.environ.get(COMMAND, ""),
        "cluster": os.environ.get(CLUSTER, ""),
        "pack": int(os.environ.get(PACK, "1")),
    }


def versions(packages: Sequence[str]) -> dict[str, str]:
    """Installed versions, by package; those that are missing are absent."""
    found = {}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def cores() -> int:
    """Those this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def memory_gib() -> float:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (ValueError, OSError):
        return 0.0


def gpu_memory_gib() -> float | None:
    """Of the GPU that a job would use; None without one."""
    import torch

    return torch.cuda.get_device_properties(0).total_memory / 2**30 if torch.cuda.is_available() else None


def device_name() -> str:
    """``cpu``, or the name of the GPU that a job would use."""
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"


def gpus(environ: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """Ids of the visible NVIDIA GPUs, told without torch, whose import takes seconds."""
    if (visible := environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return tuple(gpu for gpu in visible.split(",") if gpu.strip() not in ("", "-1"))
    return tuple(str(n) for n in range(len(list(Path("/dev").glob("nvidia[0-9]*")))))


@functools.cache
def commit() -> str:
    """Of the clone this code runs from, with ``+dirty`` if its source differs, in new files too; empty for a wheel.

    ``unknown (WHY)`` where git does not say.
    """
    home = Path(__file__).resolve().parent.parent
    if not (home / ".git").exists():
        return ""
    try:
        head = _git(home, "rev-parse", "HEAD")
        changed = _git(home, "status", "--porcelain", "--untracked-files=no")
        changed += _git(home, "status", "--porcelain", "--untracked-files=all", "--", *SOURCE)
    except (OSError, subprocess.SubprocessError) as error:
        return f"unknown ({_why(error)})"
    return head[:12] + ("+dirty" if changed else "")


def command_line(arguments: Sequence[str]) -> str:
    """What the user typed, fit to be published: a path that names a place on this machine keeps its last part only."""
    words = ["python", "-m", "harness", *(_unplaced(argument) for argument in arguments)]
    return printable(shlex.join(words))  # a path that is not UTF-8 could not be written down


def executable() -> str:
    return f"Python {platform.python_version()} ({Path(sys.prefix).name})"


def _unplaced(argument: str) -> str:
    option, equals, value = argument.partition("=") if argument.startswith("--") else ("", "", argument)
    return f"{option}{equals}{Path(value).name}" if Path(value).is_absolute() else argument


def _git(home: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(home), *arguments], capture_output=True, text=True, timeout=10, check=True)
    return done.stdout.strip()


def _why(error: Exception) -> str:
    """One line, without a path of this machine: ``git: detected dubious ownership in repository``."""
    if isinstance(error, FileNotFoundError):
        return "git is not installed"
    if isinstance(error, subprocess.TimeoutExpired):  # whose words name the clone
        return f"git: no answer in {error.timeout:g} s"
    said = getattr(error, "stderr", "") or str(error)
    return "git: " + said.strip().partition("\n")[0].removeprefix("fatal: ").partition(" at '")[0]
