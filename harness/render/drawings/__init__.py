"""What a figure can show, one file a kind: each has `draw(sketch) -> (matplotlib Figure, pandas DataFrame)`."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from harness.render.drawn import Sketch

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame


def draw(kind: str, sketch: Sketch) -> tuple[Figure, DataFrame]:
    """The picture, and the numbers in it."""
    return importlib.import_module(f"{__name__}.{kind}").draw(sketch)
