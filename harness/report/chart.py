"""Curves of one row as inline SVG: every seed thin, their mean bold. Colours come from the style sheet."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from harness.report.markup import Html, element, joined
from harness.report.plots import offered, own
from harness.report.scale import step_of
from harness.store.result import Result

WIDTH, HEIGHT = 560, 250
LEFT, RIGHT, TOP, BOTTOM = 44, 64, 12, 38
"""Margins of the axes, which hold their labels."""


@dataclass(frozen=True, kw_only=True)
class Axes:
    epochs: int
    low: float
    high: float

    def x(self, epoch: float) -> float:
        share = (epoch - 1) / (self.epochs - 1) if self.epochs > 1 else 0.5
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        return HEIGHT - BOTTOM - (value - self.low) / (self.high - self.low) * (HEIGHT - TOP - BOTTOM)


def whole(values: Sequence[float], epochs: int) -> bool:
    """A curve with a hole is drawn as far as it goes, and is no part of a mean."""
    return len(values) == epochs and all(map(math.isfinite, values))


def curves(results: Sequence[Result]) -> Html | None:
    """Test accuracy of each, its mean, and the mean of the training accuracy; None where no curve was recorded."""
    tests = [result.curve.test_accuracy for result in results]
    every = [value for values in tests for value in values if math.isfinite(value)]
    if not every:
        return None
    epochs = max(result.cell.recipe.epochs for result in results)
    mean = _mean([values for values in tests if whole(values, epochs)])
    train = _mean([values for r in results if whole(values := r.curve.train_accuracy, epochs)])
    every += train
    step = step_of(max(every) - min(every))
    low = math.floor(min(every) / step) * step
    high = max(math.ceil(max(every) / step) * step, low + step)
    axes = Axes(epochs=epochs, low=low, high=high)
    lines = [
        element("path", element("title", f"seed {r.cell.seed}"), class_="seed", d=_path(values, axes))
        for r, values in zip(results, tests, strict=True)
    ]
    lines += [element("path", class_="train", d=_path(train, axes))] if train else []
    lines += [element("path", class_="mean", d=_path(mean, axes)), *_end(mean, axes)] if mean else []
    drawn = element(
        "svg",
        *_grid(axes, step),
        *lines,
        class_=f"chart {own(results[0].cell.method)}",
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_label=_told(results, mean),
    )
    figure = element(
        "figure",
        drawn,
        element("figcaption", _legend(len(tests), bool(mean), bool(train), own(results[0].cell.method))),
    )
    cell = results[0].cell
    name = f"{cell.method}-{cell.architecture}-{cell.dataset}-T{cell.timesteps}"
    return offered(figure, _numbers(results), name, f"curves of {name}")


def _numbers(results: Sequence[Result]) -> str:
    """As CSV: what is drawn, before any mean."""
    lines = ["seed,epoch,test_accuracy,train_accuracy"]
    for result in results:
        pairs = zip_longest(result.curve.test_accuracy, result.curve.train_accuracy, fillvalue=math.nan)
        for epoch, values in enumerate(pairs, start=1):
            told = (f"{value:.4f}" if math.isfinite(value) else "" for value in values)
            lines.append(",".join([str(result.cell.seed), str(epoch), *told]))
    return "\n".join(lines) + "\n"


def _legend(count: int, mean: bool, train: bool, colour: str) -> Html:
    def key(kind: str, text: str) -> Html:
        line = element("path", class_=kind, d="M0 5H24")
        svg = element("svg", line, class_=f"key {colour}", viewBox="0 0 24 10", aria_hidden="true")
        return element("span", svg, text)

    parts = [key("seed", "test accuracy, one seed")]
    parts += [key("mean", f"mean of {count} seeds" if count > 1 else "the one seed")] if mean else []
    parts += [key("train", "training accuracy, mean")] if train else []
    return joined(*parts)


def _told(results: Sequence[Result], mean: Sequence[float]) -> str:
    """The picture in words."""
    seeds = ", ".join(str(result.cell.seed) for result in results)
    text = f"Test accuracy by epoch of seeds {seeds}"
    return f"{text}; their mean goes from {mean[0]:.2f} to {mean[-1]:.2f} percent." if mean else f"{text}."


def _mean(series: Sequence[Sequence[float]]) -> list[float]:
    return [math.fsum(values) / len(values) for values in zip(*series, strict=True)]


def _path(values: Sequence[float], axes: Axes) -> str:
    """Broken where a value is not a number."""
    text, pen = [], "M"
    for epoch, value in enumerate(values, start=1):
        if math.isfinite(value):
            text.append(f"{pen}{axes.x(epoch):.1f} {axes.y(value):.1f}")
        pen = "L" if math.isfinite(value) else "M"
    return "".join(text)


def _end(mean: Sequence[float], axes: Axes) -> Iterator[Html]:
    x, y = axes.x(len(mean)), axes.y(mean[-1])
    yield element("circle", class_="end", cx=f"{x:.1f}", cy=f"{y:.1f}", r="3")
    yield element("text", f"{mean[-1]:.2f}", class_="value", x=f"{x + 8:.1f}", y=f"{y + 4:.1f}")


def _grid(axes: Axes, step: float) -> Iterator[Html]:
    for number in range(round((axes.high - axes.low) / step) + 1):
        value = axes.low + number * step
        y = f"{axes.y(value):.1f}"
        yield element("path", class_="grid", d=f"M{LEFT} {y}H{WIDTH - RIGHT}")
        yield element("text", f"{value:g}", x=LEFT - 8, y=f"{axes.y(value) + 4:.1f}", text_anchor="end")
    every = max(1, round(step_of(axes.epochs - 1)))
    for epoch in sorted({1, *range(every, axes.epochs + 1, every)} - ({2} if every > 1 else set())):
        yield element("text", str(epoch), x=f"{axes.x(epoch):.1f}", y=HEIGHT - BOTTOM + 16, text_anchor="middle")
    middle = f"{(LEFT + WIDTH - RIGHT) / 2:g}"
    yield element("text", "epoch", class_="axis", x=middle, y=HEIGHT - 4, text_anchor="middle")
