"""Whatever happens to jobs, nodes, disk and front processes: every cell is done once, with the undisturbed numbers.

Faults are drawn from a deck, shuffled by a seed, and done to cells while they train; a fault that came too late (its
cell was done already) is drawn again. HARNESS_FAULTS=60 says how many, HARNESS_SEED=4 shuffles them.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable

import pytest
from faults import EPOCHS, Cluster
from stage import Stage
from tiny import PROTOCOL

SEED = int(os.environ.get("HARNESS_SEED", "4"))
CELLS, SEEDS = 6, 3

FAULTS: tuple[Callable[[Cluster], bool], ...] = (
    Cluster.cancelled,
    Cluster.requeued,
    Cluster.told_to_go,
    Cluster.preempted,
    Cluster.worker_killed,
    Cluster.job_killed,
    Cluster.killed_while_saving,
    Cluster.slurmd_restarted,
    Cluster.disk_full,
    Cluster.disk_full_at_the_result,
    Cluster.two_fronts,
    Cluster.front_killed,
)
SLOW = (Cluster.slurmd_lost, Cluster.node_lost)
"""It takes SLURM half a minute to miss a node: each is done twice in the full form."""


def test_every_cell_is_done_once_whatever_happens(
    stage: Stage, short: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    size = int(os.environ.get("HARNESS_FAULTS", len(FAULTS) if short else 60))
    slow = [fault for fault in SLOW for _ in range(2)] if size >= 60 else []
    deck = [*slow, *(FAULTS[n % len(FAULTS)] for n in range(size - len(slow)))]
    random.Random(SEED).shuffle(deck)

    def say(text: str) -> None:
        with capsys.disabled():
            print(text, flush=True)

    say(f"\n{size} faults, HARNESS_SEED={SEED}")
    stage.table(PROTOCOL.replace("epochs = 6", f"epochs = {EPOCHS}"), seeds=SEEDS)
    reference = stage.inline()
    cluster = Cluster(stage, CELLS, SEED, say)
    cluster.suffer(deck)
    runs, cells, resumed = cluster.compare(reference)
    hits = {fault.__name__: cluster.counts[fault.__name__] for fault in (*FAULTS, *SLOW)}
    for name, count in hits.items():
        say(f"{count:5}  {name.replace('_', ' ')}")
    say(f"{sum(hits.values()):5}  faults, in {runs} runs of {cells} cells; {resumed} cells took up a checkpoint")
    say(f"       {sum(map(bool, cluster.epochs))} of {len(cluster.epochs)} victims had trained for an epoch or more")
    assert resumed
    if size >= len(FAULTS):
        assert all(hits[fault.__name__] for fault in FAULTS), hits
    if size >= 60:
        assert runs >= 60 and all(hits.values()), hits
    assert sum(hits.values()) >= 0.8 * size, hits
