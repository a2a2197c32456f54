"""Whether a folder lies in a mounted image, whose files bring inode and times along: they vouch for nothing."""

from __future__ import annotations

import os
from pathlib import Path

IMAGES = frozenset({"cramfs", "erofs", "iso9660", "romfs", "squashfs", "udf"})
MOUNTS = Path("/proc/self/mountinfo")


def is_image(folder: Path) -> bool:
    """Of a kind in which another image, mounted at the same place, may show the same places, inodes and times."""
    found = kind(folder.stat().st_dev)
    return found in IMAGES or "squash" in found  # fuse.squashfuse, squashfuse_ll


def kind(device: int) -> str:
    """Of file system, as the kernel calls it; empty where it does not tell."""
    wanted = f"{os.major(device)}:{os.minor(device)}"
    try:
        lines = MOUNTS.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return ""
    for line in lines:  # 36 35 98:0 /root /at options - kind source options
        before, _, after = line.partition(" - ")
        if before.split()[2:3] == [wanted]:
            return after.split()[0]
    return ""
