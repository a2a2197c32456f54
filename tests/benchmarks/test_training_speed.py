"""A training step of ours, in a form that pytest-benchmark compares between commits, on one machine.

``make bench ARGS="-k step --benchmark-autosave"`` at one commit, ``... --benchmark-compare`` at the next. What it is
beside other implementations is `bench training`, and method over method `bench overhead`.
"""

from __future__ import annotations

import pytest
import torch

from harness.measure.implementations import Stepper
from harness.measure.inputs import one_thread
from harness.measure.spec import Setting

CPU = torch.device("cpu")


@pytest.mark.benchmark(group="training step: resnet20, width 0.25, T = 4, batch 32")
@pytest.mark.parametrize("implementation", ["ours", "ours, recompute", "ours, no compiler", "bound"])
@pytest.mark.parametrize("method", ["mpbn", "vanilla"])
def test_step(benchmark, method: str, implementation: str) -> None:
    setting = Setting(architecture="resnet20", width=0.25, timesteps=4, batch=32, method=method)
    step = Stepper(implementation, setting, CPU, "tanh")
    with one_thread():
        benchmark.pedantic(step, rounds=20, warmup_rounds=2)
