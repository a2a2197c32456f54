"""What cells would take on a GPU, told where there is none: by what GPUs took for cells like them alone.

Results of the store come first; then the speeds that `make test-gpu` has measured and left among the benches' records.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness import data
from harness.errors import UserError
from harness.forecast.history import Past, Place, past
from harness.measure import records
from harness.measure.tried import Speed
from harness.spec import Cell
from harness.store import Store

RECORDS = "gpu-*.json"


@dataclass(frozen=True)
class Measured:
    """Of one GPU."""

    device: str
    speeds: tuple[Speed, ...]


def speeds(folder: Path) -> tuple[Measured, ...]:
    """Of every GPU that was measured. A processor that stood in for one is never believed, nor what is no record."""
    found = []
    for path in sorted(folder.glob(RECORDS)):
        try:
            record = records.read(path)
        except UserError:  # `report` and `claims` say so
            continue
        device = str(record.environment["device"])
        if record.speeds and not record.stand_in and device != "cpu":
            found.append(Measured(device, record.speeds))
    return tuple(found)


def gpu_hours(cells: Sequence[Cell], store: Store, measured: Iterable[Measured] = ()) -> str:
    """``12.3 GPU-hours for 5 cells, by results ...``, or that no speed is known yet."""
    known = past(cells, store, Place(cluster="", gpu=True))
    for cell in (cell for cell in cells if cell not in known):
        if (said := _by_speed(cell, measured)) is not None:
            known[cell] = said
    unknown = f"no GPU speed known yet for {len(cells) - len(known)} cells"
    if not known:
        return f"on a GPU: {unknown}: no result of one is in this store"
    hours = sum(known[cell].seconds for cell in cells if cell in known) / 3600
    sources = ", ".join(dict.fromkeys(said.source for said in known.values()))
    beside = f"; {unknown}" if len(known) < len(cells) else ""
    return f"on a GPU: {hours:.3g} GPU-hours for {len(known)} cells, by {sources}{beside}"


def _by_speed(cell: Cell, measured: Iterable[Measured]) -> Past | None:
    """By the nearest shape of the same architecture and precision, scaled by the work of an image."""
    samples = cell.recipe.train_samples or (data.published(cell.dataset) or {}).get("train")
    work = _work(cell)
    near = [
        (abs(math.log(work / theirs)), speed.cell.method != cell.method, work / theirs, speed, one.device)
        for one in measured
        for speed in one.speeds
        if _kind(speed.cell) == _kind(cell) and (theirs := _work(speed.cell)) and work
    ]
    if not near or not samples:
        return None
    *_, scale, speed, device = min(near, key=lambda each: each[:2])
    seconds = cell.recipe.epochs * samples * scale / speed.images_per_second
    how = "speeds measured" if scale == 1 else "speeds of other sizes, scaled,"
    return Past(seconds=seconds, bytes=0, source=f"{how} on {device}")


def _kind(cell: Cell) -> tuple[str, str]:
    return cell.architecture, cell.recipe.precision


def _work(cell: Cell) -> float | None:
    """Of an image: timesteps, pixels, channels by channels; None where the frames are not known without the samples."""
    if (known := data.frame(cell.dataset, cell.recipe)) is None:
        return None
    (_, height, width), _ = known
    return cell.timesteps * height * width * cell.recipe.width**2
