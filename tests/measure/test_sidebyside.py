"""The statistics of a bench, on times whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from harness.measure.sidebyside import Ratio, exponent, interleave, ratio, verdict

ROUNDS = 160


def times(truth: float, draw: np.random.Generator, noise: float = 0.04) -> np.ndarray:
    """Seconds with the long tail of a busy machine."""
    tail = np.where(draw.random(ROUNDS) < 0.1, draw.exponential(0.5, ROUNDS), 0)
    return truth * (1 + np.abs(draw.normal(0, noise, ROUNDS)) + tail)


def test_every_round_runs_everything_in_changing_order() -> None:
    said: list[str] = []
    work = {name: (lambda name=name: said.append(name)) for name in "abc"}

    def timer(piece) -> dict[str, float]:
        piece()
        return {"wall": float(len(said))}

    samples = interleave(work, rounds=20, timer=timer)
    rounds = [tuple(said[i : i + 3]) for i in range(0, len(said), 3)]
    assert all(sorted(r) == ["a", "b", "c"] for r in rounds) and len(set(rounds)) > 3
    assert {len(s["wall"]) for s in samples.values()} == {20}  # the warm-up is not among them
    assert len(rounds) == 23


@pytest.mark.parametrize("truth", [1.0, 1.1, 0.8])
def test_the_interval_covers_the_truth(truth: float) -> None:
    draw = np.random.default_rng(1)
    found = [ratio(times(truth, draw), times(1.0, draw)) for _ in range(100)]
    covered = sum(r.low <= truth <= r.high for r in found)
    assert covered >= 88  # of 100 at 95 %: fewer has a chance below 0.5 %
    assert all(r.low <= r.value <= r.high for r in found)


def test_noise_that_both_share_does_not_widen_the_interval() -> None:
    draw = np.random.default_rng(2)
    shared = 1 + draw.exponential(0.5, ROUNDS)
    mine, reference = 1.1 * shared * draw.normal(1, 0.001, ROUNDS), shared
    together, apart = ratio(mine, reference), ratio(mine, draw.permutation(reference))
    assert together.high - together.low < (apart.high - apart.low) / 3


def near(value: float, half: float) -> Ratio:
    return Ratio(value=value, low=value - half, high=value + half)


@pytest.mark.parametrize(
    ("found", "control", "said"),
    [
        (near(1.004, 0.01), near(1.0, 0.01), "same within 2 %"),
        (near(1.004, 0.01), near(1.0, 0.03), "cannot tell"),  # the control strays further than the bound
        (near(1.11, 0.02), near(1.0, 0.01), "slower"),
        (near(0.9, 0.02), near(1.0, 0.01), "faster"),
        (near(1.03, 0.02), near(1.0, 0.01), "cannot tell"),
        (near(1.06, 0.02), near(0.95, 0.01), "cannot tell"),  # a control off by 6 % forbids a claim of 4 %
    ],
)
def test_a_verdict_needs_the_interval_and_the_control(found: Ratio, control: Ratio, said: str) -> None:
    assert verdict(found, control, bound=0.02) == said


def test_an_eleven_percent_slower_network_would_be_caught() -> None:
    draw = np.random.default_rng(3)
    reference = times(1.0, draw)
    control, folded = ratio(times(1.0, draw), reference), ratio(times(1.11, draw), reference)
    assert verdict(folded, control, bound=0.02) == "slower"


def test_the_exponent_of_a_power_law() -> None:
    sizes = [1, 2, 4, 8]
    assert exponent(sizes, [3 * s**1.5 for s in sizes]) == pytest.approx(1.5)
