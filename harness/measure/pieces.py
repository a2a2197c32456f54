"""What a bench consists of: pieces that are timed one after another, each by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch

from harness.measure.spec import Growth, Timing

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Piece:
    """What is interleaved in one process, in the same rounds. A bench that is interrupted loses one piece at most."""

    title: str
    take: Callable[[torch.device, Tell], Iterable[Timing | Growth]]
