"""The membrane potential as trained neurons see it: a ridge a layer, its steps one over the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.render import look
from harness.render.drawn import Drawn, Group, Numbers, Sketch
from harness.store import tidy
from harness.store.probes import LayerStep, Potentials, Spread

SHARES = {"q05": 0.05, "q25": 0.25, "q50": 0.5, "q75": 0.75, "q95": 0.95}
COLUMNS = [*tidy.CELL, "layer", "step", "potential", "mean", "std", "above", *SHARES, "samples", "key"]
READING = (
    "A ridge: the histogram of one layer over all elements, channels and samples, mean of the n seeds.",
    "u: the potential, z: normalised by MPBN. Grey line: V, above which neurons fire, on u without MPBN, on z with it.",
    "Right: the share above V at each step, in percent.",
)
SHOWN = 3.0
"""Potentials from minus this to this."""
TALL = 1.7
"""Of the highest ridge, in distances between layers."""
ROW = 0.2
"""Inches a layer."""
STEPS = ((0, (3, 1.5)), "-", (0, (1, 1)), "-.")


class Panel(NamedTuple):
    group: Group
    row: Drawn | None
    name: str
    part: str
    """`before` or `after`: u or z."""
    blank: str
    first: bool = True
    """Of its group, whose title stands over it alone."""


@look.styled
def draw(sketch: Sketch) -> tuple[Figure, Numbers]:
    """The picture, and what the histograms of every seed say: mean, deviation, share above V, quantiles."""
    panels = [panel for group in sketch.groups for panel in _panels(group, sketch)]
    found = [probe for group in sketch.groups for row in group.rows for _, probe in sketch.probed(row, "potentials")]
    layers = max((len({step.layer for step in probe.steps}) for probe in found), default=8)
    subtitle = (*sketch.subtitle, _samples(found) + READING[0], *READING[1:])
    blanks = [panel.blank for panel in panels]
    size = (2.9, 1.0 + ROW * layers)
    figure, axes = look.frame(sketch.title, subtitle, blanks, sketch.footnote, size=size)
    for one, panel in zip(axes, panels, strict=True):
        one.set_title(panel.group.title)
        if panel.row is not None:
            _draw_panel(one, panel, sketch)
    return figure, _table(sketch)


def _panels(group: Group, sketch: Sketch) -> list[Panel]:
    """Every row's u, and its z where it has one."""
    if blank := sketch.blank(group, "potentials"):
        return [Panel(group, None, "", "", blank)]
    panels: list[Panel] = []
    for name, row in zip(group.names, group.rows, strict=True):
        found = [probe for _, probe in sketch.probed(row, "potentials")]
        if found:
            panels.append(Panel(group, row, name, "before", "", first=not panels))
        if any(step.after is not None for probe in found for step in probe.steps):
            panels.append(Panel(group, row, name, "after", "", first=False))
    return panels


def _draw_panel(axes: Axes, panel: Panel, sketch: Sketch) -> None:
    assert panel.row is not None
    found = [probe for _, probe in sketch.probed(panel.row, "potentials")]
    first, colour = found[0], look.look(*sketch.looks[panel.name])["color"]
    middles = np.linspace(first.low, first.high, len(first.steps[0].before.counts) * 2 + 1)[1::2]
    layers = list(dict.fromkeys(step.layer for step in first.steps))
    ridges = {key: np.mean([_share(part) for part in parts], axis=0) for key, parts in _gathered(found, panel).items()}
    highest = max(float(np.max(ridge[1:-1])) for ridge in ridges.values())
    for (layer, step), ridge in ridges.items():
        base = -layers.index(layer)
        height = base + ridge * TALL / highest
        order = 2 * layers.index(layer) + 2
        if step == 1:
            corners = ([middles[1], *middles[1:-1], middles[-2]], [base, *height[1:-1], base])
            axes.fill(*corners, color=colour, alpha=0.18, linewidth=0, zorder=order)
        dashes = STEPS[(step - 1) % len(STEPS)]
        label = f"step {step}" if layer == layers[0] else None
        axes.plot(middles[1:-1], height[1:-1], color=colour, linewidth=0.8, linestyle=dashes, label=label, zorder=order)
    for layer in layers:
        above = " ".join(f"{_above(found, layer, step, panel.part):3.0f}" for step in _steps(first))
        axes.text(SHOWN * 1.02, -layers.index(layer), above + " %", size=6, color=look.GREY, va="bottom")
    axes.axvline(first.threshold, color=look.GREY, linewidth=0.8, zorder=1)
    axes.set_xlim(-SHOWN, SHOWN)
    axes.set_ylim(-len(layers) + 0.7, TALL + 0.2)
    axes.set_yticks([-place for place in range(len(layers))], [str(n + 1) for n in range(len(layers))], size=6)
    if panel.first:
        axes.set_ylabel("Spiking layer, from the input")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("z after MPBN" if panel.part == "after" else "u")
    what = {"before": "u", "after": "z"}[panel.part]
    over = panel.group.title if panel.first else " "
    axes.set_title(f"{over}\n{what}, {panel.name} ({panel.row.count_of(len(found))})")
    axes.legend(loc="upper left", fontsize=6, handlelength=2.2, borderaxespad=0)


def _gathered(found: Sequence[Potentials], panel: Panel) -> dict[tuple[str, int], list[Spread]]:
    """Layer and step -> one of each seed."""
    gathered: dict[tuple[str, int], list[Spread]] = {}
    for step in (step for probe in found for step in probe.steps):
        if (spread := _part(step, panel.part)) is not None:
            gathered.setdefault((step.layer, step.step), []).append(spread)
    return gathered


def _part(step: LayerStep, part: str) -> Spread | None:
    return step.before if part == "before" else step.after


def _share(spread: Spread) -> np.ndarray:
    return np.array(spread.counts) / sum(spread.counts)


def _above(found: Sequence[Potentials], layer: str, step: int, part: str) -> float:
    """Percent above V, mean of the seeds."""
    spreads = (_part(s, part) for probe in found for s in probe.steps if (s.layer, s.step) == (layer, step))
    return 100 * float(np.mean([spread.above for spread in spreads if spread is not None]))


def _steps(probe: Potentials) -> list[int]:
    return sorted({step.step for step in probe.steps})


def _table(sketch: Sketch) -> Numbers:
    rows = (
        (
            *(getattr(result.cell, name) for name in tidy.CELL),
            *(step.layer, step.step, potential, spread.mean, spread.std, spread.above),
            *(quantile(spread, probe, share) for share in SHARES.values()),
            *(probe.samples, result.cell.key),
        )
        for group in sketch.groups
        for row in group.rows
        for result, probe in sketch.probed(row, "potentials")
        for step in probe.steps
        for potential, spread in (("u", step.before), ("z", step.after))
        if spread is not None
    )
    return Numbers.once(COLUMNS, rows)


def quantile(spread: Spread, probe: Potentials, share: float) -> float:
    """From the histogram, evenly within a bin."""
    edges = np.linspace(probe.low, probe.high, len(spread.counts) + 1)
    return float(np.interp(share * sum(spread.counts), np.cumsum([0, *spread.counts]), edges))


def _samples(found: Sequence[Potentials]) -> str:
    counts = sorted({probe.samples for probe in found})
    return f"{', '.join(f'{n:,}' for n in counts)} test samples after training. " if counts else ""
