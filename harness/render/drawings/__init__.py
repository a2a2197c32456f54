"""What a figure can show, one file a kind: each has `draw(sketch) -> (matplotlib Figure, Numbers)`."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from harness.render.drawn import Numbers, Sketch

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(kind: str, sketch: Sketch) -> tuple[Figure, Numbers]:
    """The picture, and the numbers in it."""
    return importlib.import_module(f"{__name__}.{kind}").draw(sketch)
