"""Cells that begin from cells, on the cluster: in order, once, to the bit, and none that can never start."""

from __future__ import annotations

import os
import random

import pytest
from faults import EPOCHS, Cluster
from stage import Stage
from stand_in import make_failure
from test_slurm_table import queued
from tiny import CHAIN, PROTOCOL, harness

from harness import tables
from harness.jobs import queue
from harness.plan import plan
from harness.requests import Asked
from harness.verbs import session

KILLS = int(os.environ.get("HARNESS_KILLS", "3"))
CELLS = 6
"""Two seeds of an ANN, of its conversion, and of what goes on from a conversion."""
DECK = (Cluster.worker_killed, Cluster.job_killed, Cluster.cancelled, Cluster.requeued, Cluster.front_killed)


def test_a_chain_in_arrays_is_the_chain_of_inline(stage: Stage) -> None:
    stage.table(table=CHAIN, seeds=2)
    stage.said("scontrol", "update", "PartitionName=main", "State=down")
    place = stage.profile("pair", parallel=2)
    try:
        first = stage.run("--on", place)
        assert first.returncode == 0, first.stderr
        cells = queued(stage)
        assert len(cells) == len(set(cells)) == CELLS
        waiting = stage.said("squeue", "--noheader", "--format=%E")
        assert sum("after" in said for said in waiting) == len(waiting) - 1, "only the ANNs wait for nobody"
        again = stage.run("--on", place)
        assert again.returncode == 0 and queued(stage) == cells, again.stderr
    finally:
        stage.said("scontrol", "update", "PartitionName=main", "State=up")
    reference = stage.inline()
    stage.until_idle()
    stage.compare(reference)


def test_what_begins_from_a_failed_cell_is_blocked_and_not_submitted(stage: Stage) -> None:
    stage.table(table=CHAIN, seeds=1)
    table, protocol = stage.arguments[0], stage.arguments[2]
    ann, *others = plan(tables.load(table), session.context_for(Asked(protocol=protocol, seeds=(0,)))).cells
    stage.store.write_failure(make_failure(ann))
    place = stage.profile("pair")
    done = stage.run("--on", place)
    assert not queue.look(stage.store.root).tasks and not stage.jobs(), done.stderr
    told = harness("status", *stage.arguments, "--store", stage.store.root).stdout
    blocked = [line for line in told.splitlines() if f"blocked: {ann.key}" in line and "--retry failed" in line]
    assert len(blocked) == len(others) == 2, told
    again = stage.run("--on", place, "--retry", "failed")
    assert again.returncode == 0 and len(queued(stage)) == 3, again.stderr


def test_a_killed_chain_is_done_once(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """HARNESS_KILLS=10 says how many faults."""

    def say(text: str) -> None:
        with capsys.disabled():
            print(text, flush=True)

    deck = [DECK[n % len(DECK)] for n in range(KILLS)]
    random.Random(KILLS).shuffle(deck)
    stage.table(PROTOCOL.replace("epochs = 6", f"epochs = {EPOCHS}"), table=CHAIN, seeds=2)
    reference = stage.inline()
    cluster = Cluster(stage, CELLS, KILLS, say)
    cluster.suffer(deck)
    runs, cells, resumed = cluster.compare(reference)
    say(f"{KILLS} faults, in {runs} runs of {cells} cells of a chain; {resumed} took up a checkpoint")
    assert sum(cluster.counts[fault.__name__] for fault in DECK) >= 0.8 * KILLS
