"""Time against the firing rate, drawn: where the lines cross, silence pays no more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import msgspec
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.measure.spec import CONTROL, Benched, Setting, Timing
from harness.render.look import RULE, frame, look, styled

SIZE = (3.2, 2.4)
"""Of a panel, in inches."""

Curves = Mapping[str, Sequence[Timing]]
"""Subject -> its timings, in the order of their rates."""


def has_rates(benched: Benched) -> bool:
    return any(timing.setting.rate for timing in benched.timings)


@styled
def draw(benched: Benched) -> Figure:
    """A panel a network and batch, by the clock that the bench names first."""
    panels: dict[Setting, dict[str, list[Timing]]] = {}
    clock = benched.timings[0].clock
    for timing in sorted(benched.timings, key=lambda timing: timing.setting.rate):
        if timing.clock == clock and timing.subject != CONTROL and timing.setting.rate:
            fixed = msgspec.structs.replace(timing.setting, rate=0.0)
            panels.setdefault(fixed, {}).setdefault(timing.subject, []).append(timing)
    subtitle = [f"Medians of {clock} time an inference; a vertical line: from this rate on the reference is faster."]
    figure, axes = frame(benched.title, subtitle, [""] * len(panels), across=2, size=SIZE)
    for axis, (setting, curves) in zip(axes, panels.items(), strict=True):
        _panel(axis, curves)
        axis.set_title(setting.title, fontsize=7)
    return figure


def _panel(axis: Axes, curves: Curves) -> None:
    for number, (subject, timings) in enumerate(curves.items()):
        rates, times = [t.setting.rate for t in timings], [t.milliseconds for t in timings]
        axis.plot(rates, times, **look(number), markersize=4, linewidth=1, label=subject)
        if (rate := crossing(timings)) is not None:
            axis.axvline(rate, color=RULE, linewidth=1)
            axis.annotate(f"{rate:.2f}", (rate, 0), xycoords=("data", "axes fraction"), fontsize=6.5)
    axis.set_ylim(bottom=0)
    axis.set_xlabel("firing rate")
    axis.set_ylabel("ms")
    axis.grid(color=RULE, linewidth=0.5)
    axis.set_axisbelow(True)
    axis.legend(fontsize=6.5, handlelength=1.6)


def crossing(timings: Sequence[Timing]) -> float | None:
    """The rate at which the ratio of a subject to its reference passes 1 upwards, between two that were measured."""
    for before, after in pairwise(timings):
        if before.ratio < 1 <= after.ratio:
            share = (1 - before.ratio) / (after.ratio - before.ratio)
            return before.setting.rate + share * (after.setting.rate - before.setting.rate)
    return None
