"""`bench training`: what a training step costs beside the released semantics and the bound, and how that grows."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

import torch

from harness.measure.growth import power_law
from harness.measure.implementations import Stepper
from harness.measure.judge import judged, timer_of
from harness.measure.sidebyside import interleave
from harness.measure.spec import CONTROL, Grid, Growth, Setting, Timing, Training

Tell = Callable[[str], None]


def timings(bench: Training, device: torch.device, tell: Tell) -> Iterator[Timing]:
    """Setting by setting; `tell` hears of each before it begins, and of implementations that are not here."""
    for grid in bench.grid:
        for setting in grid.settings():
            tell(setting.title)
            yield from _in(setting, bench, grid.rounds or bench.rounds, device, tell)


def _in(setting: Setting, bench: Training, rounds: int, device: torch.device, tell: Tell) -> Iterator[Timing]:
    """All implementations in the same rounds, with a control for each reference."""
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


def growths(bench: Training, device: torch.device, tell: Tell) -> Iterator[Growth]:
    """The exponents of time and saved memory, one size at a time, all settings of a grid in the same rounds."""
    for grid in bench.growth:
        tell(f"growth over {', '.join(grid.varied)}")
        yield from _growth(grid, bench, device)


def _growth(grid: Grid, bench: Training, device: torch.device) -> Iterator[Growth]:
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
        Stepper(name, small, torch.device("cpu"))()
    except ImportError as error:
        tell(f"without {name}: {error}")
        return False
    return True
