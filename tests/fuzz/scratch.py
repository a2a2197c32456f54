"""A small world in which every verb has something to do and every kind of file occurs, true to the last number.

Nothing of it is trained; the weights are those that a network begins with. Paths in it are relative: it is copied for
every input, and that copy is what the verbs see as the working directory.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import struct
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec
import numpy as np
import torch
from fake_slurm import FakeSlurm
from outcomes import proof
from PIL import Image
from stand_in import make_failure
from tiny import PROTOCOL, TABLE

from harness import arguments, data, tables
from harness.data.sets.cifar10 import CLASSES
from harness.jobs.queue import HOME as QUEUE
from harness.jobs.queue import Array
from harness.measure.spec import Benched, Setting, Timing
from harness.measure.tried import Check, Speed
from harness.plan import Plan, plan
from harness.process import HOST
from harness.spec import Cell, Figure, Recipe
from harness.store import Store
from harness.store.claim import Holder
from harness.store.probes import (
    QUANTILES,
    Landscape,
    LayerStep,
    LayerThresholds,
    LossCurve,
    Operations,
    Potentials,
    Spread,
    fingerprint,
)
from harness.store.result import Curve, LayerCheck, Progress, Result
from harness.train.build import network_of
from harness.train.checkpoint import Checkpoint, State, serialised
from harness.verbs import session

STORE, OTHER = Path("results/runs"), Path("other")
KINDS: dict[str, tuple[str, ...]] = {
    "result": ("results/runs/*/result.json", "other/*/result.json"),
    "cell": ("results/runs/*/cell.json", "other/*/cell.json"),
    "claim": ("results/runs/*/claim",),
    "progress": ("results/runs/*/progress.json",),
    "failure": ("results/runs/*/failed.json",),
    "log": ("results/runs/*/log.txt",),
    "weights": ("results/runs/*/weights.pt", "other/*/weights.pt"),
    "checkpoint": ("results/runs/*/checkpoint*.pt",),
    "probe": tuple(f"results/runs/*/{name}.json" for name in ("landscape", "potentials", "operations")),
    "front": ("results/runs/.jobs/*~*/*",),
    "queue": ("results/runs/.jobs/slurm/*/*", "slurm/slurm.json"),
    "bench record": ("results/bench/*.json",),
    "log of others": ("log.csv",),
    "table": ("tiny.toml", "tables/table1.toml"),
    "figure": ("figures/*.toml", "tables/figure2.toml"),
    "preset": ("preset.toml", "tables/presets/smoke.toml"),
    "protocol": ("protocol.toml", "tables/protocols/paper.toml"),
    "claims": ("tables/claims.toml",),
    "names": ("tables/names.toml", "tables/settings.toml", "tables/paper.toml"),
    "bench": ("bench.toml", "tables/benches/latency.toml"),
    "profile": ("here.toml", "results/clusters/*.toml", "home/.config/snn-harness/clusters/*.toml"),
    "plugin": ("mine.py",),
    "data": ("data/**/*.png", "data/**/*.gz", "batches/**/*_batch*"),
}
"""Kind of file -> where it lies."""


def of_kind(root: Path, kind: str) -> list[Path]:
    return sorted(path for pattern in KINDS[kind] for path in root.glob(pattern) if not path.is_dir())


def build(root: Path) -> None:
    """Make it in `root`, which becomes the working directory."""
    root.mkdir(parents=True, exist_ok=True)
    os.chdir(root)
    shutil.copytree(tables.folder(), "tables")
    _definitions()
    _figures()
    cells = planned().cells
    _store(Store(STORE), cells)
    _other(Store(OTHER), cells)
    _jobs(Store(STORE), cells)
    Path("results/bench").mkdir(parents=True)
    Path("results/bench/latency-cpu.json").write_bytes(msgspec.json.encode(benched()))
    Path("results/bench/gpu-one.json").write_bytes(msgspec.json.encode(tried()))
    _data()
    FakeSlurm(Path("slurm").absolute())
    for name in ("home", "temporary"):
        Path(name).mkdir(exist_ok=True)


def planned() -> Plan:
    asked = arguments.parse(["table", "tiny.toml", "--protocol", "protocol.toml"]).asked
    identity = data.identify("digits", None)
    context = session.context_for(asked)
    return plan(tables.load_table("tiny.toml"), context, identify=lambda cells: {"digits": identity})


def result_of(cell: Cell, accuracy: float, parameters: int = 1000) -> Result:
    """Whole, and of a piece: its curve ends at what it claims, its proofs speak of the same layers."""
    epochs = cell.recipe.epochs
    test = tuple(accuracy - (epochs - epoch) for epoch in range(1, epochs + 1))
    loss = tuple(2.0 / epoch for epoch in range(1, epochs + 1))
    seconds = (1.5,) * epochs
    curve = Curve(loss, test, loss, test, (0.1,) * epochs, seconds)  # type: ignore[misc]
    layers = tuple(LayerCheck(name=f"body.{n}", neurons=1000, spikes=300 + n, mismatches=0) for n in range(3))
    said = {"samples": 100, "layers": layers, "accuracy_before": test[-1], "accuracy_after": test[-1]}
    proofs = (proof(**said), proof(fold="norm-conv", precision="float64", exact=False, logit_difference=1e-12, **said))
    where = {"harness": "0.1.0", "python": "3.11", "cores": 2, "device": "cpu", "threads": 1, "processes": 1}
    where |= {"packages": {"torch": "2.15.0"}, "commit": "abcdef012345", "command": "python -m harness run tiny.toml"}
    return Result(
        cell=cell,
        curve=curve,
        best_accuracy=test[-1],
        best_epoch=epochs,
        last_accuracy=test[-1],
        parameters=parameters,
        proofs=proofs,
        samples={"train": {"fingerprint": "a" * 16, "samples": 200}, "test": {"fingerprint": "b" * 16, "samples": 100}},
        environment=where,
        started="2026-11-24T09:07:13+00:00",
        finished="2026-11-24T09:43:24+00:00",
        seconds=sum(seconds),
    )


def _definitions() -> None:
    Path("tiny.toml").write_text(TABLE)
    Path("log.csv").write_text("epoch,accuracy\n1,40.0\n2,61.5\n3,60.0\n")
    Path("protocol.toml").write_text(PROTOCOL)
    Path("preset.toml").write_text(
        'name = "less"\ndescription = "two epochs"\nonly = { timesteps = ["2"] }\n[recipe]\nepochs = 2\nbatch = 10\n'
        "[architecture.vgg11]\nwidth = 0.05\n[dataset.digits]\ntrain_samples = 100\n"
    )
    profile = Path("tables").parent / "here.toml"
    for path in (profile, Path("results/clusters/mine.toml"), Path("home/.config/snn-harness/clusters/own.toml")):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            'description = "some nodes"\npartition = "main"\ntime = "01:00:00"\nmargin = 1.5\ngpus = 0\ncpus = 2\n'
            'memory = "4G"\npack = 1\nparallel = 64\ndata = "data"\nsetup = ["module load cuda"]\n'
            'environment = { NCCL_DEBUG = "WARN" }\nextra = { mail-type = "FAIL" }\n'
        )
    Path("mine.py").write_text(
        '"""A method."""\n\nfrom dataclasses import replace\n\nfrom baselines import METHODS\n\n'
        'METHODS.register("mine", replace(METHODS.get("mpbn"), description="mine"))\n'
    )
    Path("bench.toml").write_text(
        'kind = "latency"\nname = "small"\ntitle = "Inference"\nrounds = 5\n[reference]\nmethod = "vanilla"\n'
        '[[subject]]\nmethod = "mpbn"\nfolded = true\nwithin = 0.02\n[[grid]]\narchitecture = ["vgg11"]\n'
        "width = [0.05]\ntimesteps = [2]\nbatch = [4]\n"
    )


def _figures() -> None:
    """One of every kind, of the rows of the table without what is printed for them."""
    Path("figures").mkdir()
    rows = TABLE.partition("[[row]]")[2].replace("[[row]]", "[[panel.row]]")
    rows = "\n".join(line for line in rows.splitlines() if not line.startswith("accuracy"))
    for kind in get_args(get_type_hints(Figure)["kind"]):
        text = f'name = "{kind}"\ntitle = "drawn"\nkind = "{kind}"\n[[panel]]\n[[panel.row]]{rows}\n'
        Path(f"figures/{kind}.toml").write_text(text)


def _store(store: Store, cells: tuple[Cell, ...]) -> None:
    """Of each of two methods two seeds are done; of one the third failed, of the other it is under way."""
    for cell in cells:
        store.announce([cell])
        store.log(cell).write_text("2026-11-24T09:07:13+00:00 epoch 1/6: 50.00 %, 99 images/s\n" * 3)
        if cell.seed < 2:
            _finish(store, cell)
    failed, running = (cell for cell in cells if cell.seed == 2)
    store.write_failure(make_failure(failed))
    _begin(store, running)


def _finish(store: Store, cell: Cell) -> None:
    torch.manual_seed(cell.seed)
    network = network_of(cell, (1, 32, 32), 10)
    parameters = sum(p.numel() for p in network.parameters())
    weights = store.folder(cell) / "weights.pt"
    weights.write_bytes(serialised(network.state_dict()))
    store.write_result(result_of(cell, 80.0 + cell.seed, parameters))
    for name, probe in probes(fingerprint(weights.read_bytes())).items():
        assert store.write_probe(cell, name, probe)


def probes(weights: str) -> dict[str, Landscape | Potentials | Operations]:
    said: dict[str, Any] = {"weights": weights, "data": "d" * 16, "split": "train", "samples": 100}
    alphas = (-1.0, -0.25, 0.0, 0.25, 1.0)
    curves = tuple(
        LossCurve(direction=0, statistics=kind, loss=tuple(1 + a**2 for a in alphas), accuracy=(50.0,) * 5)
        for kind in ("running", "re-estimated")
    )
    spread = Spread(mean=0.1, std=1.0, above=0.25, counts=(0, 10, 30, 10, 0))
    steps = tuple(LayerStep(layer="body.0", step=step, before=spread, after=spread) for step in (1, 2))
    quantiles = tuple(0.1 * (n + 1) for n in range(len(QUANTILES)))
    thresholds = (LayerThresholds(layer="body.0", count=8, quantiles=quantiles, negative=0.1, infinite=0.0),)
    return {
        "landscape": Landscape(alphas=alphas, moved=("w",), curves=curves, **said),
        "potentials": Potentials(threshold=0.5, low=-2.0, high=2.0, steps=steps, thresholds=thresholds, **said),
        "operations": Operations(macs=1e6, acs=2e6, rates={f"body.{n}": (300 + n) / 1000 for n in range(3)}),
    }


def _begin(store: Store, cell: Cell) -> None:
    """As another host would: its heartbeat is the time of its file, so it lives."""
    folder = store.folder(cell)
    held = Holder(host="another", pid=4711, born="1", since=1.7e9, token="0123456789abcdef", job="fake:101_0")
    (folder / "claim").write_bytes(msgspec.json.encode(held))
    progress = Progress(
        epoch=2, epochs=6, accuracy=55.0, images_per_second=9.0, seconds_left=9.0, host="another", pid=4711
    )
    store.write_progress(cell, progress)
    torch.manual_seed(cell.seed)
    network = network_of(cell, (1, 32, 32), 10)
    state = State(1, network.state_dict(), {}, replace_epochs(result_of(cell, 50.0).curve, 1))
    for _ in range(2):
        Checkpoint(folder).save(state)


def replace_epochs(curve: Curve, epochs: int) -> Curve:
    return Curve(**{name: getattr(curve, name)[:epochs] for name in Curve.__struct_fields__})


def _other(other: Store, cells: tuple[Cell, ...]) -> None:
    """A store to merge: one cell that both have, one that is news."""
    for cell in (cells[0], next(cell for cell in cells if cell.seed == 2)):
        other.announce([cell])
        _finish(other, cell)


def _jobs(store: Store, cells: tuple[Cell, ...]) -> None:
    keys = tuple((cell.key,) for cell in cells if cell.seed == 2)
    array = Array(
        name="harness-20261124-1",
        profile="here",
        on="here.toml",
        cluster="fake",
        submitted="2026-11-24T09:00:00+00:00",
        tasks=keys,
        job="101",
    )
    folder = store.root / QUEUE / array.name
    folder.mkdir(parents=True)
    (folder / "array.json").write_bytes(msgspec.json.encode(array))
    (folder / "101_0_0_log.out").write_text("submitit INFO\nslurmstepd: error: out of memory\n")
    front = store.root / ".jobs" / f"{HOST}~4711~1"
    front.mkdir()
    (front / "cells").write_text(f"{cells[0].key}\n")
    (front / "0.events").write_text(json.dumps(["began", cells[0].key, ""]) + "\n")


def benched() -> Benched:
    setting = Setting(architecture="resnet20", width=0.25, timesteps=4, batch=32)

    def timing(subject: str, ratio: float) -> Timing:
        values = {"milliseconds": 10 * ratio, "ratio": ratio, "low": ratio - 0.01, "high": ratio + 0.01}
        return Timing(setting=setting, subject=subject, reference="vanilla", clock="cpu", **values)

    where = {"device": "cpu", "cpu": "one", "threads": 1, "packages": {"torch": "2.15.0"}, "neurons": "C"}
    return Benched(
        bench="latency",
        title="Inference, folded",
        rounds=160,
        timings=(timing("vanilla", 1.0), timing("A/A control", 1.003), timing("mpbn, folded", 1.02)),
        environment={**where, "command": "python -m harness bench latency"},
        when="2026-11-24T10:00:00+00:00",
    )


def tried() -> Benched:
    """On a GPU, whose speeds a dry run goes by."""
    cell = Cell(method="mpbn", architecture="resnet20", dataset="cifar10", timesteps=2, seed=0, recipe=Recipe(epochs=2))
    checks = (Check(says="mpbn", outcome="holds", detail="1e-7", section="kernels"),)
    speeds = (Speed(cell=cell, images_per_second=1000.0),)
    where = benched().environment | {"device": "NVIDIA One", "command": "make test-gpu"}
    given = {"bench": "gpu", "title": "On a GPU", "checks": checks, "speeds": speeds, "environment": where}
    return msgspec.structs.replace(benched(), **given)


def _data() -> None:
    """CIFAR-10 as a tree of images and, elsewhere, as pickled batches; Fashion-MNIST as IDX files."""
    import pickle

    random = np.random.default_rng(0)
    for split in ("train", "test"):
        for name in CLASSES:
            folder = Path("data/cifar10") / split / name
            folder.mkdir(parents=True)
            Image.fromarray(random.integers(0, 256, (32, 32, 3), np.uint8)).save(folder / "0.png")
    batches = Path("batches/cifar-10-batches-py")
    batches.mkdir(parents=True)
    for name in (*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"):
        images = random.integers(0, 256, (10, 3072), np.uint8)
        content = {"data": images, "labels": list(range(10)), "batch_label": name}
        (batches / name).write_bytes(pickle.dumps(content, protocol=2))
    idx = Path("data/fashion-mnist")
    idx.mkdir()
    for prefix in ("train", "t10k"):
        pixels = struct.pack(">IIII", 0x803, 10, 28, 28) + random.integers(0, 256, 7840, np.uint8).tobytes()
        (idx / f"{prefix}-images-idx3-ubyte.gz").write_bytes(gzip.compress(pixels, 1, mtime=0))
        labels = struct.pack(">II", 0x801, 10) + bytes(range(10))
        (idx / f"{prefix}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels, 1, mtime=0))
