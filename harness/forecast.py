"""What a plan will take: time, from a few steps of each shape or from earlier results; memory, from shapes alone."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from harness.clusters import Profile
from harness.columns import columns
from harness.history import Past
from harness.progress import duration
from harness.spec import Cell

GIB = 2**30
RECOMPUTE = ("nothing", "neurons", "everything")
"""What `--recompute` can be, from the fastest to the least memory."""
ROOM = 0.9
"""Share of a device's memory that may be planned with: driver, scratch memory and gaps want the rest."""
MOST = 64
"""Processes that are suggested at the most."""


Name = Callable[[Cell], str]
"""What a cell is called: its label, or more (`plan.naming`)."""


def label(cell: Cell) -> str:
    return cell.label


def without_seed(name: str) -> str:
    """``mpbn/resnet20/digits/T2/seed0 (surrogate tanh)`` -> ``mpbn/resnet20/digits/T2 (surrogate tanh)``."""
    return re.sub(r"/seed\d+", "", name, count=1)


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one cell of a shape costs. `cell` stands for all cells that differ from it only by seed."""

    cell: Cell
    cells: int
    seconds_per_epoch: float

    @property
    def seconds_per_cell(self) -> float:
        return self.seconds_per_epoch * self.cell.recipe.epochs

    @property
    def seconds(self) -> float:
        return self.seconds_per_cell * self.cells


@dataclass(frozen=True, kw_only=True)
class Forecast:
    costs: tuple[Cost, ...]
    jobs: int

    @property
    def seconds(self) -> float:
        """One job after another."""
        return sum(cost.seconds for cost in self.costs)

    @property
    def wall_seconds(self) -> float:
        """With `jobs` at a time, longest first: no less than the longest cell, no less than an even share."""
        longest = max((cost.seconds_per_cell for cost in self.costs), default=0.0)
        return max(longest, self.seconds / self.jobs)


def forecast(cells: Sequence[Cell], measure: Callable[[Cell], float], jobs: int) -> Forecast:
    """`measure(cell)` -> seconds per epoch, called once for each distinct shape among `cells`."""
    shapes = Counter(msgspec.structs.replace(cell, seed=0) for cell in cells)
    costs = (Cost(cell=shape, cells=count, seconds_per_epoch=measure(shape)) for shape, count in shapes.items())
    return Forecast(costs=tuple(costs), jobs=jobs)


def on_a_cluster(
    cells: Sequence[Cell], known: Mapping[Cell, Past], profile: Profile, limit: int | None = None, name: Name = label
) -> list[str]:
    """Lines: what the cells will cost there, as far as it is known; where it is not, that.

    `limit`: the most minutes that a job may ask for there, where the partition has been asked.
    """
    most = profile.time if limit is None else clock(limit)
    groups: dict[tuple[Cell, Past | None], int] = Counter(
        (msgspec.structs.replace(cell, seed=0), known.get(cell)) for cell in cells
    )
    rows = [(f"{count} x", without_seed(name(shape)), *_cost(past, most)) for (shape, past), count in groups.items()]
    lines = ["forecast, from the results in the store:", columns(rows, indent="  ")]
    told = [known[cell] for cell in cells if cell in known]
    if not told:
        return [*lines, f"  no number is known yet; each job asks for {most}"]
    jobs = sum(past.seconds for past in told) / profile.pack
    longest, at_once = max(past.seconds for past in told), min(profile.parallel, -(-len(cells) // profile.pack))
    device = "GPU" if profile.gpus else "CPU"
    hours = jobs * (profile.gpus_per_job or profile.cpus * profile.pack * profile.processes) / 3600
    size = sum(past.bytes for past in told) / 2**20
    total = [
        f"{hours:.3g} {device}-hours",
        f"about {duration(max(longest, jobs / at_once))} with {at_once} jobs at once",
        f"{size:.3g} MiB on disk",
    ]
    unknown = len(cells) - len(told)
    beside = f"; beside {unknown} cells of which nothing is known" if unknown else ""
    return [*lines, f"  {', '.join(total)}{beside}"]


def clock(minutes: int) -> str:
    """``24:00:00``, as profiles and scripts write a time."""
    return f"{minutes // 60:02}:{minutes % 60:02}:00"


def _cost(past: Past | None, most: str) -> tuple[str, str]:
    return (f"{duration(past.seconds)} each", past.source) if past is not None else ("unknown", f"asks for {most}")


# --- Memory -----------------------------------------------------------------------------------------------------------

Measure = Callable[[Cell, int, str], int | None]
"""(cell, images of one process, recompute) -> bytes; None where it cannot be told."""


@dataclass(frozen=True, kw_only=True)
class Device:
    """What holds a process of a cell, or a process of each of several cells."""

    noun: str = "GPU"
    gib: float | None = None
    """Its memory, where that is known."""
    cells: int = 1
    """That share it."""
    processes: int = 1
    """Of each cell, one a device."""
    fewer: str = ""
    """What to type for fewer cells that share it."""
    more: str = ""
    """Where to say that a cell is to have more processes; empty where it cannot."""


def memory(cells: Sequence[Cell], measure: Measure, device: Device, recompute: str, name: Name = label) -> list[str]:
    """Lines: what the cells of each shape need of a device, what they would with all recomputed, what will not fit."""
    shapes = Counter(msgspec.structs.replace(cell, seed=0) for cell in cells)
    rows, warnings = [], []
    for shape, count in shapes.items():
        batch = -(-shape.recipe.batch // device.processes)
        row = without_seed(name(shape))
        told = _Told(shape, batch, measure, device)
        if (size := told(recompute)) is None:
            rows.append((f"{count} x", row, "unknown", ""))
            continue
        least = told("everything") if recompute != "everything" else None
        beside = f"recompute {recompute}" if recompute != "nothing" else ""
        beside += (", " if beside else "") + f"with --recompute everything {_gib(least)}" if least is not None else ""
        rows.append((f"{count} x", row, f"about {_gib(size)} at batch {batch}", beside))
        warnings += _too_much(shape, row, told, device, recompute)
    if not rows:
        return []
    shared = f", shared by {device.cells} cells" if device.cells > 1 else ""
    head = f"memory of a {device.noun}{shared}, counted from the shapes of a step:"
    return [head, columns(rows, indent="  "), *warnings]


@dataclass(frozen=True)
class _Told:
    """Bytes on a device, by the way to recompute; measured when asked for."""

    shape: Cell
    batch: int
    measure: Measure
    device: Device

    def __call__(self, recompute: str) -> int | None:
        size = self.measure(self.shape, self.batch, recompute)
        return None if size is None else size * self.device.cells


def fits(size: int | None, gib: float | None) -> bool:
    """Whether `size` bytes go into `gib`; of what is unknown that is hoped."""
    return size is None or gib is None or size <= ROOM * gib * GIB


def _too_much(shape: Cell, name: str, told: _Told, device: Device, recompute: str) -> list[str]:
    """If it does not fit, a line with what to type."""
    size = told(recompute)
    if size is None or device.gib is None or fits(size, device.gib):
        return []
    less = RECOMPUTE[RECOMPUTE.index(recompute) + 1 :]
    found = ((way, told(way)) for way in less)
    ways = [f"--recompute {way} ({_gib(size)})" for way, size in found if size is not None and fits(size, device.gib)]
    ways = ways[:1]
    ways += [device.fewer] if device.cells > 1 and fits(size // device.cells, device.gib) else []
    processes, asked = device.processes * 2, shape.recipe.batch
    while device.more and processes <= min(MOST, asked // 2):
        each = told.measure(shape, -(-asked // processes), recompute)
        if each is not None and fits(each, device.gib):
            ways.append(f"processes = {processes} in {device.more} ({_gib(each)} each)")
            break
        processes *= 2
    advice = f"type {', or '.join(ways)}" if ways else f"it wants a {device.noun} with more"
    return [f"  {name} will not fit: about {_gib(size)} into a {device.noun} of {device.gib:.3g} GiB; {advice}"]


def _gib(size: int) -> str:
    gib = size / GIB
    return f"{gib:.1f} GiB" if gib < 100 else f"{gib:.0f} GiB"
