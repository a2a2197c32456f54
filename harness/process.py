"""Which process is this, and is that one still alive? Known by place, number and birth, as numbers are used again.

In a SLURM job, also: which job, and how often it had begun before.
"""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Mapping
from pathlib import Path

HOST = socket.gethostname()
"""For people: machines and containers may share a name."""
LARGEST = 2**31 - 1
"""Number of a process; what is larger, or not positive, names a group of them or none."""


def _place() -> str:
    try:
        kernel = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        told = f"{kernel} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:  # no Linux: the name must do
        told = HOST
    return hashlib.sha256(told.encode()).hexdigest()[:12]


PLACE = _place()
"""Which kernel, since which start of it, and which of its PID name spaces: there number and birth name one process."""


def uptime() -> float:
    """Seconds since this machine was started; infinite where it does not say."""
    try:
        return float(Path("/proc/uptime").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return float("inf")


def born(pid: int) -> str:
    """When process `pid` of this place started, in clock ticks since boot; empty if it is gone or /proc is missing."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if after_name[0] == "Z" else after_name[19]


def alive(pid: int, birth: str = "") -> bool:
    """Whether process `pid` of this place runs (and is the one that was born at `birth`, where that is known)."""
    if not 0 < pid <= LARGEST:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        pass
    now = born(pid)
    if not now:  # a zombie, or a system without /proc: there the signal's word must do
        return not Path("/proc/self/stat").exists()
    return not birth or now == birth


def writes(pid: int, path: Path) -> bool:
    """Whether process `pid` of this place is ours and has `path` open; False where /proc does not tell."""
    try:
        wanted = path.lstat()
        if Path(f"/proc/{pid}").stat().st_uid != os.geteuid():
            return False
        with os.scandir(f"/proc/{pid}/fd") as handles:
            return any(os.path.samestat(handle.stat(), wanted) for handle in handles)
    except OSError:
        return False


def job(environ: Mapping[str, str] = os.environ) -> str:
    """The SLURM job around this process: ``cluster:123``, ``cluster:123_4`` in an array; empty outside of SLURM."""
    number, array, index = (environ.get(f"SLURM_{name}", "") for name in ("JOB_ID", "ARRAY_JOB_ID", "ARRAY_TASK_ID"))
    if not number:
        return ""
    return f"{environ.get('SLURM_CLUSTER_NAME', '')}:{f'{array}_{index}' if array and index else number}"


def restarts(environ: Mapping[str, str] = os.environ) -> int:
    """How often that job was requeued: preempted, out of time, its node lost."""
    said = environ.get("SLURM_RESTART_COUNT", "")
    return int(said) if said.isdecimal() else 0
