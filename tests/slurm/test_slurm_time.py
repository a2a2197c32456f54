"""A cell that takes longer than a job may: the job is told, saves, is requeued and goes on."""

from __future__ import annotations

from stage import Stage
from tiny import PROTOCOL

from harness.jobs import queue

EPOCHS = 240
"""More than a minute's; SLURM says that the time is up when 15 to 45 seconds of it are over."""


def test_a_cell_longer_than_its_job(stage: Stage) -> None:
    stage.table(PROTOCOL.replace("epochs = 6", f"epochs = {EPOCHS}"), seeds=1)
    stage.arguments += ["--only", "method=mpbn"]
    assert stage.run("--on", stage.profile("brief", partition="brief", time="1")).returncode == 0
    (task,) = queue.look(stage.store.root).tasks
    reference = stage.inline()
    stage.until_idle(1800)
    stage.compare(reference)
    (result,) = stage.store.results()
    said = task.log.read_text()
    assert result.resumed >= 1 and "SIGUSR2" in said, said
