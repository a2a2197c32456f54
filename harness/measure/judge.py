"""From samples to timings: each subject's ratio to its reference, and the verdict that the control allows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch

from harness.measure.sidebyside import Samples, Timer, cpu_timer, cuda_timer, ratio, verdict, wall_timer
from harness.measure.spec import CONTROL, Setting, Timing

USUAL = 0.02
"""How near to 1 is the same, where no claim says otherwise."""


def judged(
    setting: Setting,
    samples: Mapping[str, Samples],
    reference: str,
    control: Samples,
    bounds: Mapping[str, float | None] | None = None,
    figures: Mapping[str, dict[str, float]] | None = None,
) -> Iterator[Timing]:
    """Every subject of `samples`, then the reference's `control`, by every clock; `figures`: what else is known."""
    bounds, figures = bounds or {}, figures or {}
    for clock, base in samples[reference].items():
        strayed = ratio(control[clock], base)
        for label, taken in [*samples.items(), (CONTROL, control)]:
            found, bound = ratio(taken[clock], base), bounds.get(label)
            judgement = "" if label in (reference, CONTROL) else verdict(found, strayed, bound or USUAL)
            yield Timing(
                setting=setting,
                subject=label,
                reference=reference,
                clock=clock,
                milliseconds=1000 * float(np.median(taken[clock])),
                ratio=found.value,
                low=found.low,
                high=found.high,
                within=bound,
                verdict=judgement,
                figures=figures.get(label, {}),
                rounds=len(base),
            )


def timer_of(device: torch.device) -> Timer:
    """CUDA events on a GPU, else process CPU time; wall time beside both, and before it where several threads work."""
    if device.type == "cuda":
        return cuda_timer
    return cpu_timer if torch.get_num_threads() == 1 else wall_timer
