"""Processes on several hosts that enter a cell, leave it and die at random: never two in it at once."""

from __future__ import annotations

import contextlib
import os
import random
import time
from pathlib import Path

import msgspec
import pytest
from test_claim import JOB, PROCESSES

from harness import durable, process
from harness.store import claim, holder


@pytest.mark.parametrize("seed", range(3))
def test_through_all_kinds_of_death_nobody_is_there_twice(folder: Path, seed: int) -> None:
    """Processes on three hosts, one of them a job that is requeued after each death, take turns and die at random."""
    kinds = ["home", "home", "away", "away", "job"]
    workers = [_Worker(folder, kind, seed * 100 + number) for number, kind in enumerate(kinds)]
    deadline = time.monotonic() + 60
    while sum(worker.deaths for worker in workers) < 25 or not all(worker.deaths for worker in workers):
        assert time.monotonic() < deadline, "nobody gets in any more"
        for worker in workers:
            worker.revive()
        time.sleep(0.005)
    for worker in workers:
        worker.end()
    entries = (folder.parent / "entries").read_text().split()
    assert len(entries) > 25 and "twice" not in entries


class _Worker:
    """A process that enters, leaves and dies, and is begun again."""

    def __init__(self, folder: Path, kind: str, seed: int) -> None:
        self.kind, self.deaths = kind, 0
        self._folder, self._seed = folder, seed
        self._process = self._begin()

    def revive(self) -> None:
        if self._process.is_alive():
            return
        self._process.join()
        if self.kind == "away" and (self._folder / "token").exists():
            with contextlib.suppress(FileNotFoundError):  # somebody who knows better frees it
                claim.free(self._folder, (self._folder / "token").read_text())
        self.deaths += 1
        self._process = self._begin()

    def end(self) -> None:
        self._process.kill()
        self._process.join()

    def _begin(self):
        begun = PROCESSES.Process(target=_enter_and_die, args=(self._folder, self.kind, self._seed, self.deaths))
        begun.start()
        return begun


def _enter_and_die(folder: Path, kind: str, seed: int, restarts: int) -> None:
    chance = random.Random(seed * 1000 + restarts)
    if kind != "home":
        process.HOST = process.PLACE = {"away": f"away{seed}", "job": "node"}[kind]
    if kind == "job":
        os.environ.update(JOB, SLURM_RESTART_COUNT=str(restarts))
    while True:
        mine = claim.acquire(folder)
        if mine is None:
            time.sleep(chance.random() * 0.004)
            continue
        inside = folder.parent / "inside"
        try:
            os.close(os.open(inside, os.O_CREAT | os.O_EXCL))
            word = kind
        except FileExistsError:
            word = "twice"
        with (folder.parent / "entries").open("a") as file:
            file.write(f"{word}\n")
        time.sleep(chance.random() * 0.004)
        inside.unlink(missing_ok=True)
        if chance.random() < 0.3:
            if kind == "away":
                _leave_behind(folder, mine, chance)
            os._exit(1)
        mine.release()


def _leave_behind(folder: Path, mine: claim.Claim, chance: random.Random) -> None:
    """The claim of a host that dies: its heartbeat long ago, or one that somebody knows to be dead."""
    if chance.random() < 0.5:
        os.utime(mine._path, (time.time() - holder.STALE_AFTER - 5,) * 2)
    else:
        token = msgspec.json.decode(mine._path.read_bytes(), type=holder.Holder).token
        durable.write(folder / "token", token.encode(), fsync=False)
