"""The answer: a sentence, and the differences that it stands on as a small forest plot. Colours by the style sheet."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.amounts import MINUS
from harness.render.answer import answer
from harness.render.leads import Lead, average, leads
from harness.report.gather import Found
from harness.report.markup import Html, element
from harness.report.plots import offered, own
from harness.report.scale import step_of

WIDTH, ROW, SIDE, FOOT = 360, 40, 14, 30
"""Of the picture, a comparison, the margins of its axis, and what stands below; in pixels of a narrow phone."""
MOST = 8
"""Comparisons that are drawn; the tables have all."""


@dataclass(frozen=True, kw_only=True)
class Axis:
    low: float
    high: float
    step: float

    def x(self, value: float) -> str:
        return f"{SIDE + (value - self.low) / (self.high - self.low) * (WIDTH - 2 * SIDE):.1f}"

    @property
    def ticks(self) -> list[float]:
        return [self.low + i * self.step for i in range(round((self.high - self.low) / self.step) + 1)]


def lead(found: Found) -> Html:
    """What a reader sees first."""
    rows = [sight.summary(line) for sight in found.tables for line in sight.plan.lines]
    told = leads((sight.plan, sight.outcomes) for sight in found.tables)
    told = tuple(one for one in told if not one.changed) or told  # the changes stand above their own table
    said = element("p", answer(rows, told, found.preset.name if found.preset else None), class_="answer")
    drawn = told[:MOST]
    return element("div", said, _figure(drawn, _average(told)) if drawn else None, class_="lead-in")


def _average(told: Sequence[Lead]) -> list[Lead]:
    """Of two methods over all settings, if it is all about these two."""
    pairs = {(one.left, one.right) for one in told}
    mean = average(told) if len(pairs) == 1 else None
    return [mean] if mean is not None else []


def _figure(drawn: Sequence[Lead], last: Sequence[Lead]) -> Html:
    names = [*_named(drawn), *(one.setting for one in last)]
    shared = _shared(drawn)
    drawn = [*drawn, *last]
    n = " or ".join(map(str, sorted({len(one.differences) for one in drawn})))
    reading = f"Points of test accuracy; diamond: mean, line: 95 % t interval, dots: the seeds (n = {n})."
    marks = ["Last: the settings averaged, seed by seed."] if last else []
    marks += ["The ring: by the paper's own numbers."] if any(one.printed is not None for one in drawn) else []
    caption = element("figcaption", element("strong", shared), " ".join([reading, *marks]))
    return offered(
        element("figure", _drawing(drawn, names, shared), caption, id="answer"), _csv(drawn), "answer", shared
    )


def _drawing(drawn: Sequence[Lead], names: Sequence[str], shared: str) -> Html:
    axis = _axis(drawn)
    high = len(drawn) * ROW + FOOT
    told = "; ".join(f"{name}: {_value(one)}" for name, one in zip(names, drawn, strict=True))
    return element(
        "svg",
        *_ground(axis, len(drawn) * ROW),
        *(
            element("g", *_row(one, names[i], i * ROW, axis), class_=own(one.cells[0][0].method))
            for i, one in enumerate(drawn)
        ),
        class_="forest",
        viewBox=f"0 0 {WIDTH} {high}",
        role="img",
        aria_label=f"{shared}, points: {told}",
    )


def _ground(axis: Axis, high: int) -> Iterator[Html]:
    for value in axis.ticks:
        x, zero = axis.x(value), abs(value) < axis.step / 2
        if zero:
            yield element("path", class_="zero", d=f"M{x} 0V{high + 4}")
        yield element("path", class_="grid", d=f"M{x} {high}V{high + 4}")
        yield element("text", _signed(value, axis.step), x=x, y=high + 18, text_anchor="middle")


def _row(one: Lead, name: str, top: int, axis: Axis) -> Iterator[Html]:
    y = top + 27
    yield element("text", name, class_="name", x=0, y=top + 13)
    yield element("text", _value(one), class_="value", x=WIDTH, y=top + 13, text_anchor="end")
    if one.sample.interval is not None:
        low, high = one.sample.interval
        yield element("path", class_="interval", d=f"M{axis.x(low)} {y}H{axis.x(high)}")
    for value in one.differences:
        yield element("circle", class_="dot", cx=axis.x(value), cy=y + 6, r="2.2")
    if one.printed is not None:
        yield element("circle", class_="ring", cx=axis.x(one.printed), cy=y, r="6")
    x = float(axis.x(one.mean))
    yield element("path", class_="diamond", d=f"M{x - 5:.1f} {y}L{x:.1f} {y - 5}L{x + 5:.1f} {y}L{x:.1f} {y + 5}Z")


def _axis(drawn: Sequence[Lead]) -> Axis:
    """With zero, and every interval whole."""
    ends = [0.0, *(value for one in drawn for value in (*one.differences, *(one.sample.interval or ())))]
    ends += [one.printed for one in drawn if one.printed is not None]
    step = step_of(max(max(ends) - min(ends), 0.1))
    low, high = math.floor(min(ends) / step) * step, math.ceil(max(ends) / step) * step
    return Axis(low=low, high=max(high, low + step), step=step)


def _named(drawn: Sequence[Lead]) -> list[str]:
    """By what they do not share."""
    same = _same(drawn)
    parts = [[part for part, its in zip(_parts(one), same, strict=True) if not its] for one in drawn]
    return [", ".join(its) or one.setting for its, one in zip(parts, drawn, strict=True)]


def _shared(drawn: Sequence[Lead]) -> str:
    """``MPBN − baseline, CIFAR-10, ResNet20``"""
    told = [part for part, its in zip(_parts(drawn[0]), _same(drawn), strict=True) if its]
    return ", ".join(told) or "Differences at equal settings"


def _parts(one: Lead) -> list[str]:
    return [f"{one.left} {MINUS} {one.right}", *one.setting.split(", ")]


def _same(drawn: Sequence[Lead]) -> list[bool]:
    return [len(set(values)) == 1 for values in zip(*map(_parts, drawn), strict=True)]


def _value(one: Lead) -> str:
    text = _signed(one.mean)
    if one.sample.interval is not None:
        text += f" [{', '.join(map(_signed, one.sample.interval))}]"
    return text


def _signed(value: float, step: float = 0.01) -> str:
    if abs(value) < step / 2:
        return "0" if step >= 0.1 else "0.00"
    return (f"{value:+.2f}" if step < 0.1 else f"{value:+g}").replace("-", MINUS)


def _csv(drawn: Sequence[Lead]) -> str:
    text = io.StringIO()
    write = csv.writer(text, lineterminator="\n")
    write.writerow(("left", "right", "setting", "seed", "difference", "mean", "low", "high", "p_holm", "paper"))
    for one in drawn:
        low, high = one.sample.interval or (None, None)
        for cell, value in zip(one.cells[0], one.differences, strict=True):
            numbers = (value, one.mean, low, high, one.corrected, one.printed)
            told = ("" if number is None else f"{number:.4f}" for number in numbers)
            write.writerow((one.left, one.right, one.setting, cell.seed, *told))
    return text.getvalue()
