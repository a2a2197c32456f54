"""How long a plan will take: here, from timing a few steps of each shape; on a cluster, from earlier results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from harness.amounts import duration
from harness.clusters import Profile
from harness.columns import columns
from harness.forecast.history import Past
from harness.plan import Name, label, without_seed
from harness.spec import Cell


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
    shapes = Counter(cell.seedless for cell in cells)
    costs = (Cost(cell=shape, cells=count, seconds_per_epoch=measure(shape)) for shape, count in shapes.items())
    return Forecast(costs=tuple(costs), jobs=jobs)


def on_a_cluster(
    cells: Sequence[Cell], known: Mapping[Cell, Past], profile: Profile, limit: int | None = None, name: Name = label
) -> list[str]:
    """Lines: what the cells will cost there, as far as it is known; where it is not, that.

    `limit`: the most minutes that a job may ask for there, where the partition has been asked.
    """
    most = profile.time if limit is None else clock(limit)
    groups: dict[tuple[Cell, Past | None], int] = Counter((cell.seedless, known.get(cell)) for cell in cells)
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
