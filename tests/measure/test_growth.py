"""Exponents and targets, on numbers whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from harness.measure.growth import fitted, power_law
from harness.measure.spec import Growth, Setting, Target, Timing
from harness.measure.targets import met

SETTING = Setting(architecture="resnet20", width=0.25, timesteps=4, batch=32, method="mpbn")
SIZES = (1.0, 2.0, 4.0, 8.0)


def grown(costs) -> Growth:
    return power_law("ours", "timesteps", SETTING, SIZES, "milliseconds", costs)


def test_an_exact_power_law_has_no_interval() -> None:
    found = grown([5 * size**1.25 for size in SIZES])
    assert [found.exponent, found.low, found.high] == pytest.approx([1.25] * 3)
    assert found.r_squared == pytest.approx(1)
    assert [fitted(found, size) for size in SIZES] == pytest.approx(found.values)


def test_the_interval_of_an_exponent_covers_the_truth() -> None:
    draw = np.random.default_rng(4)
    covered = 0
    for _ in range(60):
        found = grown([size * (1 + draw.normal(0, 0.05, 20)) for size in SIZES])
        assert found.low <= found.exponent <= found.high
        covered += found.low <= 1 <= found.high
    assert covered >= 50  # of 60 at 95 %: fewer has a chance below 0.1 %


def test_linear_growth_is_told_from_quadratic() -> None:
    draw = np.random.default_rng(5)
    linear, quadratic = (
        grown([size**power * (1 + np.abs(draw.normal(0, 0.1, 12))) for size in SIZES]) for power in (1, 2)
    )
    assert linear.high < 1.5 < quadratic.low


def timing(subject: str, ratio: float, low: float, high: float, saved: float) -> Timing:
    return Timing(
        setting=SETTING,
        subject=subject,
        reference="released semantics",
        clock="cpu",
        milliseconds=1.0,
        ratio=ratio,
        low=low,
        high=high,
        figures={"MiB saved": saved},
    )


TIMINGS = [timing("released semantics", 1, 1, 1, 240), timing("ours", 0.4, 0.38, 0.42, 96)]


@pytest.mark.parametrize(
    ("of", "bounds", "verdict", "measured"),
    [
        ("speed", {"at_least": 2.3}, "met", 2.5),
        ("speed", {"at_least": 2.5}, "cannot tell", 2.5),  # the interval is [1 / 0.42, 1 / 0.38]
        ("speed", {"at_least": 2.7}, "missed", 2.5),
        ("time", {"at_most": 0.42}, "met", 0.4),
        ("time", {"at_most": 0.41}, "cannot tell", 0.4),
        ("time", {"at_most": 0.37}, "missed", 0.4),
        ("MiB saved", {"at_most": 0.4}, "met", 0.4),
        ("MiB saved", {"at_most": 0.39}, "missed", 0.4),
    ],
)
def test_a_target_is_met_or_missed_by_its_whole_interval(of, bounds, verdict: str, measured: float) -> None:
    place = {"method": "mpbn", "architecture": "resnet20", "width": 0.25, "timesteps": 4, "batch": 32}
    target = Target(says="x", subject="ours", reference="released semantics", of=of, **place, **bounds)
    (found,) = met([target], TIMINGS)
    assert (found.verdict, found.measured) == (verdict, pytest.approx(measured))
    assert found.low <= found.measured <= found.high


def test_a_target_of_a_setting_that_was_not_timed_is_left_out() -> None:
    target = Target(
        says="x",
        subject="ours",
        reference="released semantics",
        of="speed",
        at_least=1.6,
        method="mpbn",
        architecture="resnet20",
        width=1.0,
        timesteps=4,
        batch=16,
    )
    assert not list(met([target], TIMINGS))


def test_a_target_of_another_number_of_threads_is_left_out() -> None:
    place = {"method": "mpbn", "architecture": "resnet20", "width": 0.25, "timesteps": 4, "batch": 32}
    target = Target(
        says="x", subject="ours", reference="released semantics", of="speed", at_least=1.6, threads=2, **place
    )
    assert [len(list(met([target], TIMINGS, threads))) for threads in (1, 2, None)] == [0, 1, 1]
