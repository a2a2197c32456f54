"""Cells, results and jobs that cost nothing, for tests of the engine. Real processes import and run these jobs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from outcomes import proof, result

from harness.process import HOST
from harness.spec import Cell, Recipe
from harness.store import Store
from harness.store.result import Curve, Failure, LayerCheck, Progress, Result


def make_cell(seed: int = 0, method: str = "vanilla", timesteps: int = 2, **recipe: int) -> Cell:
    return Cell(
        method=method,
        architecture="resnet20",
        dataset="digits",
        timesteps=timesteps,
        seed=seed,
        recipe=Recipe(**{"epochs": 3, **recipe}),
    )


def make_result(cell: Cell, accuracy: float = 90.0, proofs: int = 0) -> Result:
    """With a curve of the recipe's epochs and proofs of twenty layers: as large as a real one."""
    epochs = cell.recipe.epochs
    step = min(1.0, accuracy / epochs)
    series = tuple(accuracy - step * (epochs - 1 - epoch) for epoch in range(epochs))
    curve = Curve(train_loss=series, train_accuracy=series, test_loss=series, test_accuracy=series, seconds=series)
    layers = tuple(LayerCheck(name=f"block{n}.neuron", neurons=10**6, spikes=12345, mismatches=0) for n in range(20))
    every = (proof(fold="norm-conv", precision="float64", samples=512, layers=layers, logit_difference=1e-12),) * proofs
    return result(cell, accuracy, curve=curve, best_epoch=epochs, last_accuracy=accuracy, proofs=every)


def make_failure(cell: Cell) -> Failure:
    return Failure(cell=cell, kind="diverged", reason="the loss became nan in epoch 2", epoch=2, when="now")


def train(cell: Cell, store_root: Path, *rest: object) -> str:
    """Like the real job, without a network: claims, counts how often each cell is trained, records."""
    return _train(cell, store_root, seconds=0.05)


def train_until_told(cell: Cell, store_root: Path, *rest: object) -> str:
    return _train(cell, store_root, seconds=0.0, first=lambda: _wait_until(lambda: (store_root / "go").exists()))


def claim_late(cell: Cell, store_root: Path, *rest: object) -> str:
    """Says where it is, then claims as late as one that has torch to import."""
    with (store_root / "begun.txt").open("a") as file:
        file.write(f"{cell.key}\n")
    time.sleep(1.0)
    return _train(cell, store_root, seconds=1.0)


def train_slowly(cell: Cell, store_root: Path, *rest: object) -> str:
    return _train(cell, store_root, seconds=30.0)


def fail_odd_seeds(cell: Cell, store_root: Path, *rest: object) -> str:
    if cell.seed % 2 == 0:
        return _train(cell, store_root, seconds=0.0)
    store = Store(store_root)
    claim = store.claim(cell)
    assert claim is not None
    with claim:
        store.write_failure(make_failure(cell))
    return "failed"


def die_at_first(cell: Cell, store_root: Path, *rest: object) -> str:
    """Its process is killed the first time, as by a lack of memory."""
    marker = Store(store_root).folder(cell) / "died"
    if not marker.exists():
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()
        os.kill(os.getpid(), 9)
    return _train(cell, store_root, seconds=0.0)


def die_always(cell: Cell, store_root: Path, *rest: object) -> str:
    os.kill(os.getpid(), 9)
    return "never"


def die_odd_seeds(cell: Cell, store_root: Path, *rest: object) -> str:
    return die_always(cell, store_root) if cell.seed % 2 else _train(cell, store_root, seconds=0.0)


def stumble(cell: Cell, store_root: Path, *rest: object) -> str:
    raise ValueError("a mistake of the harness itself")


def show_large_pages(cell: Cell, store_root: Path, *rest: object) -> str:
    """How much of the memory of two holders, torch and malloc, is in them, in MiB; 64 each."""
    import torch

    seen = [_in_large_pages()]
    kept = torch.ones(2**24)
    seen.append(_in_large_pages())
    more = b"\1" * 2**26
    seen.append(_in_large_pages())
    print("large pages", seen[1] - seen[0], seen[2] - seen[1], len(kept) + len(more))
    print("tunables", os.environ.get("GLIBC_TUNABLES"))
    return _train(cell, store_root, seconds=0.0)


def _in_large_pages() -> int:
    if not (told := Path("/proc/self/smaps_rollup")).exists():
        return 0
    lines = dict(line.split(":", 1) for line in told.read_text().splitlines()[1:])
    return int(lines["AnonHugePages"].split()[0]) // 1024


def show_threads(cell: Cell, store_root: Path, *rest: object) -> str:
    print(f"threads {os.environ['OMP_NUM_THREADS']}")
    return _train(cell, store_root, seconds=0.0)


def wait_for_another(cell: Cell, store_root: Path, *rest: object) -> str:
    """Holds its cell until another process holds one too, so that each of two has trained one of two cells."""
    return _train(cell, store_root, seconds=0.5, first=lambda: _gpu_then_wait(store_root))


def _gpu_then_wait(store_root: Path) -> None:
    print(f"gpu {os.environ['CUDA_VISIBLE_DEVICES']}", flush=True)  # after the claim: one that lost the race is silent
    _wait_until(lambda: len(list(store_root.glob("*/claim"))) >= 2)


def _wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


def _train(cell: Cell, store_root: Path, seconds: float, first: Callable[[], None] = lambda: None) -> str:
    store = Store(store_root)
    if store.result(cell) is not None:
        return "done"
    claim = store.claim(cell)
    if claim is None:
        return "busy"
    with claim:
        if store.result(cell) is not None:
            return "done"
        first()
        with (store.root / "trained.txt").open("a") as file:  # one short append is atomic
            file.write(f"{cell.key} {time.time()} begins\n")
        progress = Progress(
            epoch=1, epochs=3, accuracy=50.0, images_per_second=9.0, seconds_left=9.0, host=HOST, pid=os.getpid()
        )
        store.write_progress(cell, progress)
        time.sleep(seconds)
        with (store.root / "trained.txt").open("a") as file:
            file.write(f"{cell.key} {time.time()} ends\n")
        store.write_result(make_result(cell, accuracy=80.0 + cell.seed), claim)
    return "done"
