"""`bench training`: what a training step costs beside the released semantics and the bound, and how that grows."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import torch

from harness.measure.growth import power_law
from harness.measure.implementations import Stepper
from harness.measure.judge import judged, timer_of
from harness.measure.pieces import Piece, Tell
from harness.measure.sidebyside import interleave
from harness.measure.spec import CONTROL, Grid, Growth, Setting, Timing, Training


def pieces(bench: Training) -> Iterator[Piece]:
    """A setting each, then a size that grows each."""
    for grid in bench.grid:
        for setting in grid.settings():
            yield Piece(setting.title, functools.partial(_take, setting, bench, grid.rounds or bench.rounds))
    for grid in bench.growth:
        yield Piece(f"growth over {', '.join(grid.varied)}", functools.partial(_growth, grid, bench))


def _take(setting: Setting, bench: Training, rounds: int, device: torch.device, tell: Tell) -> Iterator[Timing]:
    """All implementations in the same rounds, with a control for each reference; `tell` hears of those not here."""
    wanted = dict.fromkeys((*bench.reference, *bench.subject))
    there = [name for name in wanted if _is_here(name, setting.method, setting.architecture, tell)]
    steps = {name: Stepper(name, setting, device, bench.surrogate) for name in there}
    references = [name for name in bench.reference if name in steps]
    figures = {name: step.memory(device) for name, step in steps.items()}
    controls = {f"{CONTROL}, {name}": Stepper(name, setting, device, bench.surrogate) for name in references}
    samples = interleave({**steps, **controls}, rounds, timer_of(device))
    own = {name: samples[name] for name in steps}
    for name in references:
        yield from judged(setting, own, name, samples[f"{CONTROL}, {name}"], figures=figures)


def _growth(grid: Grid, bench: Training, device: torch.device, tell: Tell) -> Iterator[Growth]:
    """The exponents of time and saved memory, all settings of a grid in the same rounds."""
    (over,) = grid.varied
    settings = list(grid.settings())
    sizes = [float(getattr(setting, over)) for setting in settings]
    steps = {(name, at): Stepper(name, at, device, bench.surrogate) for name in bench.grows for at in settings}
    saved = {key: step.memory(device)["MiB saved"] for key, step in steps.items()}
    labels = {key: f"{key[0]}, {key[1].title}" for key in steps}
    work = {labels[key]: step for key, step in steps.items()}
    samples = interleave(work, grid.rounds or bench.rounds, timer_of(device))
    for name in bench.grows:
        keys = [(name, setting) for setting in settings]
        clock = next(iter(samples[labels[keys[0]]]))
        seconds = [samples[labels[key]][clock] for key in keys]
        fitted = functools.partial(power_law, name, over, settings[0], sizes)
        yield fitted("milliseconds", [1000 * taken for taken in seconds])
        yield fitted("MiB saved", [saved[key] for key in keys])


@functools.cache
def _is_here(name: str, method: str, architecture: str, tell: Tell) -> bool:
    try:
        small = Setting(method=method, architecture=architecture, width=0.0625, timesteps=2, batch=2)
        step = Stepper(name, small, torch.device("cpu"))
    except TypeError as error:
        tell(f"{method} without {name}: {error}")
        return False
    try:
        step()
    except ImportError as error:
        tell(f"without {name}: {error}")
        return False
    return True
