"""Where sections run and how long they may; what one of them finds, and how its parts fail one by one."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch

from harness.measure.spec import Setting, Timing
from harness.measure.tried import Check, Outcome, Speed

Found: TypeAlias = Check | Timing | Speed
Part: TypeAlias = Callable[[], Iterable[Found]]
FEW = ("vanilla", "mpbn", "plif")
"""Methods that stand for all where it has to be short: two kernels, and a neuron of its own."""


class Absent(Exception):
    """What a part needs is not there; says what."""


@dataclass(frozen=True)
class Place:
    device: torch.device
    stand_in: bool
    """A processor, in the place of a GPU: the smallest sizes."""
    short: bool
    """A few methods in the place of all."""
    until: float
    """By time.monotonic."""

    @property
    def left(self) -> float:
        """Seconds."""
        return self.until - time.monotonic()

    def size(self, real: Any, small: Any) -> Any:
        return small if self.stand_in else real

    def some(self, methods: Iterable[str]) -> list[str]:
        return [method for method in methods if not self.short or method in FEW]

    @property
    def methods(self) -> tuple[str, ...]:
        """Whose steps and passes are timed."""
        return ("mpbn",) if self.short else ("mpbn", "vanilla")

    def setting(self, method: str, width: float, batch: int, timesteps: int = 4) -> Setting:
        """ResNet20 on images of CIFAR's size."""
        sizes = self.size((width, timesteps, batch), (0.0625, 2, 2))
        return Setting(architecture="resnet20", method=method, **dict(zip(SIZES, sizes, strict=True)))


SIZES = ("width", "timesteps", "batch")


def check(says: str, passed: bool, detail: str = "") -> Check:
    return Check(says=says, outcome="holds" if passed else "fails", detail=detail)


def measured(says: str, detail: str) -> Check:
    return Check(says=says, outcome="measured", detail=detail)


def left_out(says: str, why: str) -> Check:
    return Check(says=says, outcome="left out", detail=why)


def each(place: Place, parts: Mapping[str, Part]) -> Iterator[Found]:
    """What all parts find, one after another, as long as there is time. One that fails costs itself alone."""
    for number, (name, part) in enumerate(parts.items()):
        if place.left <= 0:
            yield left_out(", ".join([*parts][number:]), "no time was left")
            return
        try:
            yield from part()
        except Exception as error:
            yield Check(says=name, outcome=_outcome(error), detail=told(error))


def _outcome(error: Exception) -> Outcome:
    """What is not here, or too large for this GPU, says nothing against the code."""
    return "left out" if isinstance(error, Absent | ImportError | torch.OutOfMemoryError) else "fails"


def told(error: BaseException) -> str:
    """In a line, without a place of this machine."""
    name = "" if isinstance(error, Absent) else f"{type(error).__name__}: "
    return unplaced(f"{name}{' '.join(str(error).split())}")[:300]


def unplaced(text: str) -> str:
    """Paths keep their last part."""
    return re.sub(r"(?<![\w.])(?:/[\w.+~-]+)+/", "", text)
