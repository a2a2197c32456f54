"""Which process is this, and is that one still alive? Known by host, number and birth, as numbers are used again."""

from __future__ import annotations

import os
import socket
from pathlib import Path

HOST = socket.gethostname()


def born(pid: int) -> str:
    """When process `pid` of this host started, in clock ticks since boot; empty if it is gone or /proc is missing."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if after_name[0] == "Z" else after_name[19]


def alive(pid: int, birth: str = "") -> bool:
    """Whether process `pid` of this host runs (and is the one that was born at `birth`, where that is known)."""
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
