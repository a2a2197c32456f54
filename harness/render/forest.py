"""A bench drawn: one panel a setting, one dot with its interval a subject, the control's reach shaded around 1."""

from __future__ import annotations

from pathlib import Path

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter

from harness import durable
from harness.measure.judge import CONTROL
from harness.measure.spec import Benched, Setting, Timing
from harness.render.curves import STYLE, files

INK, CALM, SHADE = "#1b1b1b", "#0b62a4", "#d9d9d9"
COLUMNS = 3


def write(benched: Benched, stem: Path) -> list[Path]:
    """The picture of `benched` as SVG, PDF and PNG beside each other, `stem` with their endings. Raises UserError."""
    written = []
    for suffix, content in files(draw(benched), benched.title).items():
        written.append(stem.with_name(f"{stem.name}.{suffix}"))
        durable.write(written[-1], content)
    return written


@style.context(["default", STYLE])
def draw(benched: Benched) -> Figure:
    """By the clock that comes first: that of the device, or process CPU time."""
    clock = benched.timings[0].clock
    shown = [t for t in benched.timings if t.clock == clock]
    panels = list(dict.fromkeys((t.setting, t.reference) for t in shown))
    groups = {panel: [t for t in shown if (t.setting, t.reference) == panel] for panel in panels}
    across = min(len(panels), COLUMNS)
    down = -(-len(panels) // across)
    height = 0.2 * max(map(len, groups.values())) + 0.9
    picture = Figure(figsize=(2.8 * across + 1.5, down * height + 0.4), layout="constrained")
    axes = picture.subplots(down, across, squeeze=False, sharey=True)
    for axis in axes.flat[len(panels) :]:
        axis.set_visible(False)
    for axis, ((setting, reference), timings) in zip(axes.flat, groups.items(), strict=False):
        _panel(axis, timings, setting, reference)
    picture.suptitle(
        f"{benched.title} ({clock} time, {benched.rounds} rounds)", size=9, weight="bold", x=0.01, ha="left"
    )
    return picture


def _panel(axis: Axes, timings: list[Timing], setting: Setting, reference: str) -> None:
    control = next(t for t in timings if t.subject == CONTROL)
    axis.axvspan(min(control.low, 2 - control.high), max(control.high, 2 - control.low), color=SHADE, lw=0)
    axis.axvline(1, color=INK, lw=0.8)
    for place, timing in enumerate(timings):
        claimed = timing.within is not None
        axis.plot([timing.low, timing.high], [place, place], color=CALM if claimed else INK, lw=1.6)
        axis.plot(timing.ratio, place, "o" if claimed else "D", color=CALM if claimed else INK, ms=4)
    axis.set_yticks(range(len(timings)), [t.subject for t in timings])
    axis.set_ylim(len(timings) - 0.5, -0.5)
    axis.set_xscale("log")
    axis.xaxis.set_major_formatter(ScalarFormatter())
    axis.xaxis.set_minor_formatter(ScalarFormatter())
    axis.tick_params(axis="x", which="both", labelsize=6)
    axis.set_title(setting.title)
    axis.set_xlabel(f"times {reference}")
    axis.grid(axis="x", color=SHADE, lw=0.4)
    axis.set_axisbelow(True)
