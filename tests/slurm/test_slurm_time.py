"""A cell that takes longer than a job may: the job is told, saves, is requeued and goes on."""

from __future__ import annotations

import math

from stage import Stage
from tiny import PROTOCOL

from harness.jobs import queue
from harness.store import Store

SECONDS = 90.0
"""Of training, on this machine. A job may take 60, and SLURM says its time is up when 15 to 45 of them are over."""
TRIED = 30
"""Epochs that tell how long one takes."""


def test_a_cell_longer_than_its_job(stage: Stage) -> None:
    stage.table(of_epochs(TRIED), seeds=1)
    stage.arguments += ["--only", "method=mpbn"]
    tried = stage.folder / "tried"
    assert stage.run("--on", "inline", store=tried).returncode == 0
    (result,) = Store(tried).results()
    stage.table(of_epochs(math.ceil(TRIED * SECONDS / sum(result.curve.seconds))), seeds=1)
    stage.arguments += ["--only", "method=mpbn"]
    assert stage.run("--on", stage.profile("brief", partition="brief", time="1")).returncode == 0
    (task,) = queue.look(stage.store.root).tasks
    reference = stage.inline()
    stage.until_idle(1800)
    stage.compare(reference)
    (result,) = stage.store.results()
    said = task.log.read_text()
    assert result.resumed >= 1 and "SIGUSR2" in said, said


def of_epochs(epochs: int) -> str:
    """The tiny protocol, so long."""
    return PROTOCOL.replace("epochs = 6", f"epochs = {epochs}")
