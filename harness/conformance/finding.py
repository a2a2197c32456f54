"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Finding:
    what: str
    state: Literal["ok", "FAILED", "-"]
    """`-`: not tried, since what it needs has failed."""
    detail: str
