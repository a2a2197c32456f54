"""How long cells like these took, by the results of the store: all that a login node, without a GPU, can go by."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from harness.spec import Cell
from harness.store import Store
from harness.store.result import Result


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where cells are to run."""

    cluster: str
    """The profile's name: results that were made there come first."""
    gpu: bool
    pack: int = 1
    """Cells that share a GPU."""
    processes: int = 1


@dataclass(frozen=True, kw_only=True)
class Past:
    """What a cell will cost, as far as earlier ones tell."""

    seconds: float
    bytes: int
    """On disk when it is done."""
    source: str
    """How that is known."""


def past(cells: Iterable[Cell], store: Store, place: Place) -> dict[Cell, Past]:
    """By cell; those of which nothing is known are absent.

    Results of the same shape (seed aside), made on the same kind of device, come first; else those of the nearest
    shape of the same architecture and data set count, scaled by the work: epochs, samples, timesteps, pixels,
    channels. Of several the median: one that shared its machine with others says nothing of the next.
    """
    known: dict[tuple[str, str], list[Result]] = defaultdict(list)
    for result in store.results():
        if _comparable(result, place):
            known[result.cell.architecture, result.cell.dataset].append(result)
    shapes: dict[Cell, Past | None] = {}
    found = {}
    for cell in cells:
        shape = cell.seedless
        if shape not in shapes:
            shapes[shape] = _past(shape, known[cell.architecture, cell.dataset], store, place)
        if (said := shapes[shape]) is not None:
            found[cell] = said
    return found


def _past(shape: Cell, results: Sequence[Result], store: Store, place: Place) -> Past | None:
    same = [result for result in results if result.cell.seedless == shape]
    if at_home := [result for result in same if result.environment.get("cluster") == place.cluster]:
        same = at_home
    if same:
        seconds = [result.seconds * _sharing(result.environment, place) for result in same]
        count = "1 result" if len(same) == 1 else f"{len(same)} results"
        where = "there" if at_home else f"on {same[0].environment.get('device')}"
        return Past(seconds=median(seconds), bytes=_bytes(same[0].cell, store), source=f"{count} {where}")
    nearest = min(results, key=lambda result: _distance(result, shape), default=None)
    if nearest is None or (scale := _scale(nearest, shape)) is None:
        return None
    alike = [result for result in results if result.cell.seedless == nearest.cell.seedless]
    seconds = median(result.seconds * _sharing(result.environment, place) for result in alike) * scale
    label = nearest.cell.label.rpartition("/")[0]
    count = "" if len(alike) == 1 else f" ({len(alike)} results)"
    source = f"scaled by {scale:.3g} from {label}{count}"
    return Past(seconds=seconds, bytes=_bytes(nearest.cell, store), source=source)


def _comparable(result: Result, place: Place) -> bool:
    device = result.environment.get("device")
    return result.seconds > 0 and device is not None and (device != "cpu") == place.gpu


def _sharing(environment: Mapping[str, object], place: Place) -> float:
    """Never below 1: a GPU shared by more cells serves each more slowly; that more processes are faster is a hope."""
    pack, processes = environment.get("pack", 1), environment.get("processes", 1)
    more = place.pack / pack if place.gpu and isinstance(pack, int) and pack else 1.0
    fewer = processes / place.processes if isinstance(processes, int) else 1.0
    return max(1.0, more) * max(1.0, fewer)


def _scale(result: Result, shape: Cell) -> float | None:
    """Work of `shape` over that of `result`; None where it cannot be told."""
    old, new = result.cell.recipe, shape.recipe
    said = result.samples.get("train", {}).get("samples")
    seen = said if isinstance(said, int) else None
    if (new.train_samples is None and old.train_samples is not None) or (old.size is None) != (new.size is None):
        return None
    samples = 1.0 if new.train_samples == old.train_samples else (new.train_samples or 0) / seen if seen else None
    if not samples:
        return None
    pixels = (new.size / old.size) ** 2 if new.size and old.size else 1.0
    channels = (new.width / old.width) ** 2
    epochs, timesteps = new.epochs / old.epochs, shape.timesteps / result.cell.timesteps
    return samples * pixels * channels * epochs * timesteps


def _distance(result: Result, shape: Cell) -> tuple[bool, bool, float]:
    scale = _scale(result, shape)
    return scale is None, result.cell.method != shape.method, abs(math.log(scale)) if scale else math.inf


def _bytes(cell: Cell, store: Store) -> int:
    return sum(path.stat().st_size for path in store.folder(cell).glob("*") if path.is_file())
