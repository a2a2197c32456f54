"""Where what is slow to make is kept between processes: compiled kernels, data that was read once."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path


def folder() -> Path:
    """$XDG_CACHE_HOME, else ~/.cache; for a user without a home, as in some containers, a folder among the temporary
    ones that nobody else can write to: what lies there is loaded as code."""
    if chosen := os.environ.get("XDG_CACHE_HOME"):
        return Path(chosen)
    try:
        return Path.home() / ".cache"
    except RuntimeError:
        return _own(Path(tempfile.gettempdir()) / f"snn-caches-{os.getuid()}")


def _own(path: Path) -> Path:
    path.mkdir(mode=0o700, exist_ok=True)
    found = path.lstat()
    if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022:
        return path
    return Path(tempfile.mkdtemp())
