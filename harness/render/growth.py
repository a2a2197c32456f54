"""How costs grow, drawn: logarithmic axes, so that a power law is a line and its exponent the slope."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator

from harness.measure.growth import fitted
from harness.measure.spec import Benched, Growth
from harness.render.look import RULE, frame, look, styled

SIZE = (3.2, 2.4)
"""Of a panel, in inches."""


@styled
def draw(benched: Benched) -> Figure:
    """A line of panels a cost, a panel a size that grows."""
    panels: dict[tuple[str, str], list[Growth]] = {}
    for growth in sorted(benched.growth, key=lambda growth: growth.what != "milliseconds"):
        panels.setdefault((growth.what, growth.over), []).append(growth)
    subjects = list(dict.fromkeys(growth.subject for growth in benched.growth))
    across = len({over for _, over in panels})
    subtitle = ["Medians, and the power law through them; its exponent with a 95 % interval over rounds: 1 is linear."]
    figure, axes = frame(f"{benched.title}: growth", subtitle, [""] * len(panels), across=across, size=SIZE)
    for axis, ((what, over), growths) in zip(axes, panels.items(), strict=True):
        panel(axis, growths, subjects)
        axis.set_title(_fixed(growths[0]))
        axis.set_ylabel(what)
        axis.set_xlabel(over)
    return figure


def panel(axis: Axes, growths: Sequence[Growth], subjects: Sequence[str]) -> None:
    for growth in growths:
        kept = look(subjects.index(growth.subject))
        line = {name: kept[name] for name in ("color", "linestyle")}
        mark = {name: value for name, value in kept.items() if name != "linestyle"}
        axis.plot(growth.sizes, [fitted(growth, size) for size in growth.sizes], **line, linewidth=1)
        exponent = f"{growth.exponent:.2f}"
        if growth.low != growth.high:
            exponent += f" [{growth.low:.2f}, {growth.high:.2f}]"
        label = f"{growth.subject}: {exponent}"
        axis.plot(growth.sizes, growth.values, **mark, linestyle="none", markersize=4.5, label=label)
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.xaxis.set_major_locator(FixedLocator(growths[0].sizes))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.yaxis.set_minor_formatter(NullFormatter())
    axis.set_ylim(top=3 * max(max(growth.values) for growth in growths))  # room for the legend
    axis.grid(color=RULE, linewidth=0.5)
    axis.set_axisbelow(True)
    axis.legend(loc="upper left", handlelength=1.2, fontsize=6.5)


def _fixed(growth: Growth) -> str:
    """The setting without the size that grows and without what the title of the picture says."""
    setting = growth.setting
    named = {
        "timesteps": f"T = {setting.timesteps}",
        "width": f"width {setting.width:g}",
        "batch": f"batch {setting.batch}",
    }
    left = [text for name, text in named.items() if name != growth.over]
    return ", ".join([setting.method, setting.architecture, *left])
