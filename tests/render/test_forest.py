"""Timings drawn: every line is named, by its panel or by the one beside it."""

from __future__ import annotations

from harness.measure.spec import CONTROL, Benched, Setting, Timing
from harness.render import forest

SETTING = Setting(architecture="resnet20", width=0.25, timesteps=4, batch=32)


def timing(subject: str, reference: str) -> Timing:
    numbers = {"clock": "cpu", "milliseconds": 1.0, "ratio": 1.1, "low": 1.0, "high": 1.2}
    return Timing(setting=SETTING, subject=subject, reference=reference, **numbers)  # type: ignore[arg-type]


def lettered(*timings: Timing) -> list[list[str]]:
    told = {"bench": "overhead", "title": "t", "rounds": 3, "environment": {}, "when": "2026-11-29"}
    figure = forest.draw(Benched(timings=timings, **told))  # type: ignore[arg-type]
    return [[text.get_text() for text in axes.get_yticklabels()] for axes in figure.axes]


def test_a_panel_with_lines_of_its_own_names_them() -> None:
    first = [timing(subject, "vanilla") for subject in ("glif", "ottt", CONTROL)]
    second = [timing(subject, "vanilla, 4 × T = 1") for subject in ("ottt", CONTROL)]
    assert lettered(*first, *second) == [["glif", "ottt", CONTROL], ["ottt", CONTROL]]


def test_the_same_lines_are_named_once_a_row() -> None:
    both = [timing(subject, reference) for reference in ("bound", "loop") for subject in ("ours", CONTROL)]
    assert lettered(*both) == [["ours", CONTROL], ["", ""]]
