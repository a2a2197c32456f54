"""What was tried on a device beside timings: whether it computes what it should, and how fast cells train there."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from harness.spec import Cell
from harness.store.result import Record

Outcome = Literal["holds", "fails", "measured", "left out"]


class Check(Record, frozen=True):
    """One thing that was tried, and what came of it."""

    says: str
    outcome: Outcome
    detail: str = ""
    """A number with its unit, or why it fails or was left out."""
    section: str = ""


class Speed(Record, frozen=True):
    """At which cells of a shape train: by whole epochs of the loop, evaluation included, on samples made up."""

    cell: Cell
    """Of its recipe, what decides on the speed; not its epochs."""
    images_per_second: Annotated[float, msgspec.Meta(gt=0, le=1e12)]
    """Training images; an evaluation of a fifth as many is in it, as CIFAR has it."""
