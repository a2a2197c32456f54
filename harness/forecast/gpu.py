"""What cells would take on a GPU, told where there is none: by what GPUs took for cells like them alone."""

from __future__ import annotations

from collections.abc import Sequence

from harness.forecast.history import Place, past
from harness.spec import Cell
from harness.store import Store


def gpu_hours(cells: Sequence[Cell], store: Store) -> str:
    """``12.3 GPU-hours for 5 cells, by results ...``, or that no speed is known yet."""
    known = past(cells, store, Place(cluster="", gpu=True))
    unknown = f"no GPU speed known yet for {len(cells) - len(known)} cells"
    if not known:
        return f"on a GPU: {unknown}: no result of one is in this store"
    hours = sum(known[cell].seconds for cell in cells if cell in known) / 3600
    sources = ", ".join(dict.fromkeys(said.source for said in known.values()))
    beside = f"; {unknown}" if len(known) < len(cells) else ""
    return f"on a GPU: {hours:.3g} GPU-hours for {len(known)} cells, by {sources}{beside}"
