"""What a cell costs beside its training: from the job's start to its first step, checkpoints, proof, record.

One real cell as preset `cpu` has them (ResNet20 of width 16, T = 2, batches of 100), in a process of its own, on a part
of the samples; shares are of the whole cell's time, all samples and epochs of the preset, scaled up from its last one.
``make bench ARGS="-s -k engine"`` prints them. CIFAR-10 where it is (HARNESS_DATA), else digits of the same size.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from harness import data
from harness.data.base import data_root
from harness.errors import UserError
from harness.spec import Cell, Recipe

BOUND = 0.02
PART = 25
"""The cell is trained on one sample of so many."""
TRAIN, TEST, EPOCHS = 50_000, 10_000, 8
"""Of a cell of preset `cpu`."""
JOB = """
import json, os, sys, time
begun, said = float(os.environ["BEGUN"]), {}

def timed(name, function):
    def call(*given, **named):
        before = time.time()
        try:
            return function(*given, **named)
        finally:
            said.setdefault(name, []).append(time.time() - before)
    return call

import msgspec
from pathlib import Path
from harness import durable, environment
environment.limit_threads(1)
from harness.train import worker
from harness.train.checkpoint import Checkpoint
from harness.spec import Cell
from harness.store import Store
import harness.train.loop as loop
said["imports"] = [time.time() - begun]

class Epoch(loop.Epoch):
    def __init__(self, *given):
        said.setdefault("to the first step", [time.time() - begun])
        super().__init__(*given)

loop.Epoch = Epoch
Checkpoint.save = timed("checkpoint", Checkpoint.save)
worker.prove = timed("proof", worker.prove)
Store.write_result = timed("record", Store.write_result)
cell = msgspec.json.decode(sys.stdin.read(), type=Cell)
folder, root = Path(sys.argv[1]), Path(sys.argv[2])
status = worker.run_cell(cell, folder, root)
result = Store(folder).result(cell) or Store(folder).failure(cell)
seconds = result.curve.seconds if status == "done" else ()
print(json.dumps({"status": status, "said": said, "epochs": seconds, "why": getattr(result, "reason", "")}))
"""


def cell_of(root: Path) -> Cell:
    """Trained on CIFAR-10 where it is at hand."""
    samples = {"train_samples": TRAIN // PART, "test_samples": TEST // PART}
    recipe = Recipe(epochs=2, batch=100, augmentation=("crop", "flip"), width=0.25, **samples)
    name = "cifar10"
    try:
        identity = data.identify(name, root)
    except UserError:
        name, recipe = "digits", msgspec.structs.replace(recipe, size=32, train_samples=1000, test_samples=200)
        identity = data.identify(name, root)
    return Cell(method="mpbn", architecture="resnet20", dataset=name, timesteps=2, seed=0, recipe=recipe, data=identity)


def test_engine_beside_the_training_of_a_cell(tmp_path: Path, capsys: pytest.CaptureFixture[str], benchmark) -> None:
    root = data_root(None)
    cell = cell_of(root)

    def job() -> dict:
        command = [sys.executable, "-c", JOB, str(tmp_path / "runs"), str(root)]
        told = os.environ | {"BEGUN": str(time.time())}
        given = msgspec.json.encode(cell).decode()
        done = subprocess.run(command, input=given, capture_output=True, text=True, env=told, timeout=3600)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    found = benchmark.pedantic(job, rounds=1)
    assert found["status"] == "done", found["why"]
    said = found["said"]
    assert len(said["checkpoint"]) == 2 and len(said["proof"]) == len(said["record"]) == 1
    scale = TRAIN / (cell.recipe.train_samples or TRAIN)
    trained = found["epochs"][-1] * scale * EPOCHS
    costs = {
        "to the first step (once a job)": said["to the first step"][0],
        f"checkpoints ({EPOCHS}, one an epoch)": sum(said["checkpoint"]) / len(said["checkpoint"]) * EPOCHS,
        "fold proofs": said["proof"][0],
        "record": said["record"][0],
    }
    whole = trained + sum(costs.values())
    with capsys.disabled():
        print(f"\na cell of preset cpu as forecast from {cell.dataset}: {whole:,.0f} s, of which")
        for name, seconds in costs.items():
            print(f"  {name:<34} {seconds:8.2f} s  {100 * seconds / whole:6.3f} %")
        print(f"  {'all beside training':<34} {sum(costs.values()):8.2f} s  {100 * sum(costs.values()) / whole:6.3f} %")
        print(f"  (imports are {said['imports'][0]:.2f} s of the first)")
    assert sum(costs.values()) / whole < BOUND
