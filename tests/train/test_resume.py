"""A run that is killed at random moments ends with the very bits of an undisturbed one."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from outcomes import metrics
from tiny import CHAIN, harness, write_tiny

from harness.store import Store, claim

KILLS = int(os.environ.get("HARNESS_KILLS", "4"))
"""Ten in the long form: HARNESS_KILLS=10 python -m pytest tests/train/test_resume.py"""


def weights(store: Store) -> dict[str, dict[str, torch.Tensor]]:
    return {path.parent.name: torch.load(path, weights_only=True) for path in store.root.glob("*/weights.pt")}


def processes(root: Path) -> list[int]:
    """The processes that train in the store at `root`."""
    return [held.pid for folder in root.glob("[0-9a-f]*") if (held := claim.holder(folder)) is not None]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], Store]:
    folder = tmp_path_factory.mktemp("undisturbed")
    arguments = write_tiny(folder)
    done = harness("run", *arguments, "--seeds", "0,1", "--on", "inline", "--store", folder / "runs")
    assert done.returncode == 0, done.stderr
    return arguments, Store(folder / "runs")


def test_killed_runs_end_like_an_undisturbed_one(undisturbed: tuple[list[str], Store], tmp_path: Path) -> None:
    """SIGKILL to the run, or to its jobs, or to all of them; local processes against the inline reference."""
    arguments, reference = undisturbed
    killed_and_gone_on_with([*arguments, "--seeds", "0,1"], tmp_path / "runs", reference)


@pytest.mark.skipif(KILLS < 10, reason="minutes: HARNESS_KILLS=10")
def test_a_killed_chain_ends_like_an_undisturbed_one(tmp_path: Path) -> None:
    """An ANN, and what begins from it: converted, and converted and then trained."""
    arguments = [*write_tiny(tmp_path, CHAIN), "--seeds", "0,1"]
    reference = Store(tmp_path / "undisturbed")
    done = harness("run", *arguments, "--on", "inline", "--store", reference.root)
    assert done.returncode == 0, done.stderr
    killed_and_gone_on_with(arguments, tmp_path / "runs", reference)


def killed_and_gone_on_with(arguments: list[str], root: Path, reference: Store) -> None:
    """A run in two processes is killed again and again; then it leaves what `reference` holds, and nothing else."""
    wanted = len(list(reference.results()))
    chance = random.Random(KILLS)
    command = [sys.executable, "-m", "harness", "run", *arguments, "--jobs", "2", "--store", str(root)]
    killed = 0
    while killed < KILLS:
        front = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for_training(root, front)
        time.sleep(chance.uniform(0, 1.5))
        victims = chance.choice([[front.pid], processes(root), [front.pid, *processes(root)]])
        for pid in victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        killed += 1
        if front.pid not in victims:  # the run goes on and starts its jobs again; it dies now, between two of them
            time.sleep(chance.uniform(0, 1.0))
            front.kill()
        front.wait()
        for pid in processes(root):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if len(list(root.glob("*/result.json"))) == wanted:
            break
    done = harness("run", *arguments, "--jobs", "2", "--store", root)
    assert done.returncode == 0, done.stderr

    store = Store(root)
    ours, theirs = ({r.cell.key: r for r in s.results()} for s in (store, reference))
    assert set(ours) == set(theirs)
    assert [metrics(ours[key]) for key in ours] == [metrics(theirs[key]) for key in ours]
    if KILLS >= 10:
        assert any(result.resumed for result in ours.values()), "no kill hit a cell after its first epoch"
    for key, tensors in weights(reference).items():
        assert all(torch.equal(tensor, weights(store)[key][name]) for name, tensor in tensors.items())
    left = [
        p.name for p in root.rglob("*") if p.name.startswith("claim") or p.name.endswith(".tmp") or "check" in p.name
    ]
    assert not left, left


def wait_for_training(root: Path, front: subprocess.Popen[bytes]) -> None:
    """Until a process has claimed a cell and begun, or the run has ended."""
    while front.poll() is None and not processes(root):
        time.sleep(0.02)


def test_a_second_run_trains_nothing(undisturbed: tuple[list[str], Store]) -> None:
    arguments, store = undisturbed
    before = {path: path.stat().st_mtime_ns for path in store.root.rglob("*") if path.is_file()}
    again = harness("run", *arguments, "--seeds", "0,1", "--store", store.root)
    assert again.returncode == 0
    assert before == {path: path.stat().st_mtime_ns for path in store.root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("damage", ["truncated", "empty", "missing"])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(
    undisturbed: tuple[list[str], Store], tmp_path: Path, damage: str
) -> None:
    """Interrupted after three epochs, the newest checkpoint damaged: the end is the same, one epoch is done again."""
    from harness.train import worker
    from harness.train.checkpoint import Checkpoint

    _, reference = undisturbed
    expected = next(reference.results())
    store = Store(tmp_path)

    def stop_after_three(cell, progress):  # type: ignore[no-untyped-def]
        if progress.epoch == 3 and progress.accuracy is not None:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "write_progress", lambda self, cell, progress: stop_after_three(cell, progress))
        assert worker.run_cell(expected.cell, tmp_path) == "interrupted"
    checkpoint = Checkpoint(store.folder(expected.cell))
    content = checkpoint.newest.read_bytes()
    {
        "truncated": lambda: checkpoint.newest.write_bytes(content[: len(content) // 2]),
        "empty": lambda: checkpoint.newest.write_bytes(b""),
        "missing": checkpoint.newest.unlink,
    }[damage]()
    state = checkpoint.load()
    assert state is not None and state.epoch == 2
    assert worker.run_cell(expected.cell, tmp_path) == "done"
    result = store.result(expected.cell)
    assert result is not None and result.resumed == 1 and metrics(result) == metrics(expected)
