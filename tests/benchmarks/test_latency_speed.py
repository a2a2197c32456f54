"""Inference of folded networks, in a form that pytest-benchmark compares between commits, on one machine.

``make bench ARGS="-k latency --benchmark-autosave"`` at one commit, ``... --benchmark-compare`` at the next. Which
network is faster than which is not asked here: that is `bench latency`, whose rounds are interleaved.
"""

from __future__ import annotations

import pytest
import torch

from harness.measure.inputs import one_thread
from harness.measure.networks import noise, prepared
from harness.measure.spec import Setting, Subject

CPU = torch.device("cpu")
SUBJECTS = (Subject(method="vanilla", folded=True), Subject(method="mpbn", folded=True), Subject(method="mpbn"))


@pytest.mark.benchmark(group="latency: resnet20, width 0.25, T = 4", warmup=True, warmup_iterations=3)
@pytest.mark.parametrize("batch", [1, 8])
@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.label)
def test_latency(benchmark, subject: Subject, batch: int) -> None:
    setting = Setting(architecture="resnet20", width=0.25, timesteps=4, batch=batch)
    network, images = prepared(subject, setting, CPU), noise(setting, CPU)
    with one_thread(), torch.inference_mode():
        assert benchmark(network, images).isfinite().all()
