"""Timings of a bench drawn: a panel a comparison, a dot with its interval a subject, at several T side by side.

Behind the dots lie the band of a claimed equality, on its subject's line, and what the A/A control strays from 1.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from itertools import groupby

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from harness.measure.spec import CONTROL, Benched, Setting, Timing
from harness.render.look import GREY, RULE, frame, look, styled

CLAIMED, STRAYED = "#CFE3F3", "#EBEBEB"
LINE = 0.24
"""Height of a subject's line, in inches."""
FEW = 6
"""Panels that stand three in a row; more stand six in a row."""
TICKS = ((0.9, 1, 1.1, 1.2, 1.3), (0.7, 0.8, 1, 1.2, 1.5), (0.3, 0.5, 0.7, 1, 1.5, 2, 3), (0.1, 0.2, 0.5, 1, 2, 5, 10))
"""From narrow axes to wide ones."""

Panel = tuple[str, str]
"""(setting without T where several are drawn, reference)."""


@styled
def draw(benched: Benched) -> Figure:
    """By the clock that comes first: that of the device, or process CPU time."""
    clock = benched.timings[0].clock
    shown = [t for t in benched.timings if t.clock == clock and (t.subject != t.reference)]
    times = sorted({t.setting.timesteps for t in shown})
    panels: dict[Panel, list[Timing]] = {}
    for timing in shown:
        panels.setdefault((_title(timing.setting, several=len(times) > 1), timing.reference), []).append(timing)
    lines = max(len(_subjects(timings)) for timings in panels.values())
    references = len({reference for _, reference in panels})
    across = references if references > 1 else 3 if len(panels) <= FEW else 6
    claimed = any(timing.within is not None for timing in shown)
    told = f"Median {clock} time over the reference's, with its 95 % interval. Grey: the reach of the A/A control"
    subtitle = [f"{told}; blue: the band in which a subject is claimed to lie." if claimed else f"{told}."]
    size = (2.2 if across == 6 else 3.0, LINE * lines + 0.85)
    figure, axes = frame(benched.title, subtitle, [""] * len(panels), across=across, size=size)
    named: list[str] = []
    for place, (axis, ((title, reference), timings)) in enumerate(zip(axes, panels.items(), strict=True)):
        beside, named = named if place % across else [], _subjects(timings)
        _panel(axis, timings, times, lettered=named != beside)
        axis.set_title(textwrap.fill(title, 26))
        axis.set_xlabel(f"times {reference}")
    _limit(axes, list(panels.values()))
    if len(times) > 1:
        handles = [axes[0].plot([], [], **_mark(at), label=f"T = {t}")[0] for at, t in enumerate(times)]
        figure.legend(handles=handles, loc="upper right", ncols=len(times), borderaxespad=0.2)
    return figure


def _title(setting: Setting, *, several: bool) -> str:
    title = setting.title
    return title.replace(f", T = {setting.timesteps}", "") if several else title


def _subjects(timings: Sequence[Timing]) -> list[str]:
    """Each once, the control last."""
    return sorted(dict.fromkeys(t.subject for t in timings), key=lambda subject: subject == CONTROL)


def _panel(axis: Axes, timings: Sequence[Timing], times: Sequence[int], *, lettered: bool) -> None:
    """`lettered`: with the names of its subjects, which the panel beside it does not say."""
    subjects = _subjects(timings)
    strayed = max((max(t.high - 1, 1 - t.low) for t in timings if t.subject == CONTROL), default=0.0)
    axis.axvspan(1 - strayed, 1 + strayed, color=STRAYED, lw=0, zorder=0)
    axis.axvline(1, color=GREY, lw=0.6, zorder=1)
    for subject, found in groupby(sorted(timings, key=lambda t: subjects.index(t.subject)), lambda t: t.subject):
        place = subjects.index(subject)
        for timing in found:
            if timing.within is not None:
                bounds = (1 - timing.within, 1 + timing.within)
                axis.fill_betweenx([place - 0.42, place + 0.42], *bounds, color=CLAIMED, lw=0, zorder=0.5)
            at = times.index(timing.setting.timesteps)
            height = place + 0.56 * ((at + 0.5) / len(times) - 0.5)
            mark = {**_mark(at), **({"color": GREY, "markeredgecolor": GREY} if subject == CONTROL else {})}
            axis.plot([timing.low, timing.high], [height] * 2, color=mark["color"], lw=1.2, zorder=2)
            axis.plot(timing.ratio, height, **mark, zorder=3)
    axis.set_yticks(range(len(subjects)), subjects if lettered else [""] * len(subjects))
    axis.set_ylim(len(subjects) - 0.5, -0.5)
    axis.tick_params(axis="y", length=0)


def _mark(at: int) -> dict:
    kept = {name: value for name, value in look(at).items() if name.startswith("marker") or name == "color"}
    return {**kept, "linestyle": "none", "markersize": 3.6}


def _limit(axes: Sequence[Axes], panels: Sequence[Sequence[Timing]]) -> None:
    """Panels of one reference share an axis, so that lengths can be compared."""
    for reference in dict.fromkeys(panel[0].reference for panel in panels):
        ends = [1.0] + [
            end for panel in panels if panel[0].reference == reference for t in panel for end in (t.low, t.high)
        ]
        low, high = min(ends) / 1.05, max(ends) * 1.05
        ticks = next((group for group in TICKS if group[0] < 1.2 * low and high < 1.2 * group[-1]), TICKS[-1])
        for axis, panel in zip(axes, panels, strict=True):
            if panel[0].reference == reference:
                axis.set_xscale("log")
                axis.set_xlim(low, high)
                axis.xaxis.set_major_locator(FixedLocator([tick for tick in ticks if low <= tick <= high]))
                axis.xaxis.set_minor_locator(NullLocator())
                axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
                axis.grid(axis="x", color=RULE, linewidth=0.5)
                axis.set_axisbelow(True)
