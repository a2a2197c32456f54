"""What one job does to one cell: claim, build, train, evaluate, fold, prove, record."""

from __future__ import annotations

import math
import os
import platform
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from baselines import firing, kernels, one_pass
from baselines import remains as inference
from baselines.network import Network
from baselines.recompute import Recompute
from harness import durable, environment, opened, plugins
from harness.data import Data, load
from harness.errors import UserError
from harness.identity import code
from harness.plugins import load_plugins
from harness.spec import Cell
from harness.store import Store
from harness.store.claim import Lost
from harness.store.probes import fingerprint
from harness.store.result import Failure, Progress, Result
from harness.train import distributed
from harness.train.build import network_of
from harness.train.checkpoint import Checkpoint, State, serialised
from harness.train.distributed import Group, PeerFailed
from harness.train.loop import Diverged, Pace, train
from harness.train.origin import Begun, origin_of
from harness.train.proof import prove
from harness.train.tally import doubled

PROOF_SAMPLES = 256
"""Test samples that a fold proof runs on."""

Status = Literal["done", "failed", "busy", "interrupted"]


class FoldFailed(Exception):
    """A fold proof did not pass."""


def run_cell(
    cell: Cell,
    store_root: Path,
    data_root: Path | None = None,
    plugins: tuple[str, ...] = (),
    threads: int = 1,
    recompute: Recompute = "nothing",
) -> Status:
    """Train `cell` and write its result, or its failure with the reason, into the store.

    `busy`: another process has the cell. `interrupted`: what was done of it is saved, and the next call goes on from
    there. What a cell does wrong is recorded as its failure; what is wrong around it (a full disk, data that has gone,
    a lost process) raises UserError or OSError, and costs it at most what was not saved. Where the environment says
    that this is one of several processes (see `distributed.py`), all of them call this, and the first alone records.
    """
    group = distributed.join()
    work = Work(cell, Store(store_root), data_root, plugins, threads, group, recompute)
    with group.together():
        return lead(work) if group.leads else follow(work)


@dataclass(frozen=True)
class Work:
    """A cell, what training it needs, and who does it."""

    cell: Cell
    store: Store
    data_root: Path | None
    plugins: tuple[str, ...]
    threads: int
    group: Group
    recompute: Recompute


def lead(work: Work) -> Status:
    """What the first process does, which is the only one as a rule."""
    cell, store, group = work.cell, work.store, work.group
    if store.result(cell) is not None:
        return group.tell("done")
    claim = store.claim(cell)
    if claim is None:
        return group.tell("busy")
    with claim:
        if store.result(cell) is not None:  # finished elsewhere between the look and the claim
            return group.tell("done")
        group.tell("go")
        log = Log(store.folder(cell) / "log.txt")
        try:
            with group.together():
                result = attempt(work, claim.beat, log)
            store.write_result(result, claim)
            Checkpoint(store.folder(cell)).remove()
        except KeyboardInterrupt as stop:
            log(f"interrupted{f' {stop}, saved' if str(stop) else ''}; the next run goes on from what was saved last")
            return "interrupted"
        except Lost as error:
            log(str(error))
            return "busy"
        except (UserError, OSError):
            raise
        except Exception as error:
            failure = describe_failure(cell, error)
            log(failure.traceback or failure.reason)
            store.write_failure(failure)
            return "failed"
        log(f"done: best {result.best_accuracy:.2f} % (epoch {result.best_epoch}), last {result.last_accuracy:.2f} %")
        return group.tell("done")


def follow(work: Work) -> Status:
    """What every other process does: its share of the training, and no record of it."""
    if (word := work.group.tell()) != "go":
        return word
    try:
        with work.group.together():
            fit(work, lambda pace: None, lambda text: None)
            return work.group.tell()
    except KeyboardInterrupt:
        return "interrupted"
    except (UserError, OSError):
        raise
    except Exception:  # the first process hears of it, and records it
        return "failed"


def attempt(work: Work, beat: Callable[[], None], log: Callable[[str], None]) -> Result:
    """One try at a cell, from its checkpoint or from the beginning."""
    cell, store, started = work.cell, work.store, now()

    def report(pace: Pace) -> None:
        beat()
        store.write_progress(cell, progress(pace, cell))
        if pace.accuracy is not None and pace.epochs_done == int(pace.epochs_done) and not pace.words:
            done, speed = int(pace.epochs_done), pace.images_per_second
            log(f"epoch {done}/{cell.recipe.epochs}: {pace.accuracy:.2f} %, {speed:.0f} images/s")

    data, network, state, checkpoint, begun = fit(work, report, log)
    beat()
    tested = first(data, PROOF_SAMPLES, cell.recipe.batch)
    proofs = prove(network, tested)
    shown = [images for images, _ in tested]
    rates, pixels = firing.rates(network, shown, doubled(cell.timesteps)), firing.pixels(network, shown)
    beat()  # while the proofs ran, the cell may have been taken over
    weights = serialised(network.state_dict())
    durable.write(store.folder(cell) / "weights.pt", weights)
    if failed := [f"{proof.fold} in {proof.precision}: {proof.why}" for proof in proofs if not proof.passed]:
        raise FoldFailed("; ".join(failed))
    accuracies = state.curve.test_accuracy
    return Result(
        cell=cell,
        curve=state.curve,
        best_accuracy=max(accuracies),
        best_epoch=accuracies.index(max(accuracies)) + 1,
        last_accuracy=accuracies[-1],
        parameters=sum(p.numel() for p in network.parameters()),
        proofs=proofs,
        samples={
            name: {"fingerprint": split.fingerprint, "samples": split.samples}
            for name, split in (("train", data.train), ("test", data.test))
        },
        environment=checkpoint.writer,
        attempts=checkpoint.earlier,
        started=started,
        finished=now(),
        seconds=sum(state.curve.seconds),
        resumed=state.resumed,
        remains=inference.remains(inference.folded(network)),
        rates=rates,
        pixels=pixels,
        weights=fingerprint(weights),
        begun=begun.fingerprint,
    )


def fit(
    work: Work, report: Callable[[Pace], None], log: Callable[[str], None]
) -> tuple[Data, Network, State, Checkpoint, Begun]:
    """Train the cell's network; each process of the group on its share of every batch.

    Raises UserError if the code that is in memory now is not the one that the cell's key names.
    """
    cell, group = work.cell, work.group
    load_plugins(work.plugins)
    torch.set_num_threads(work.threads)
    environment.deterministic()
    environment.keep_memory()
    data, network = prepare(cell, work.data_root)
    code.prove(cell)  # when all of it has been loaded
    begun = origin_of(cell, work.store)
    network.recompute = work.recompute
    where = f"{group.size} × {device()}" if group.size > 1 else str(device())
    log(f"{cell.label} {cell.key} on {where}: {data.train.samples} training samples, {cell.recipe.epochs} epochs")
    writer = environment.describe() | how(work) | ({"begun": begun.fingerprint} if begun.fingerprint else {})
    checkpoint = Checkpoint(work.store.folder(cell), log, writer)
    state = train(network, data, cell.recipe, cell.seed, checkpoint, report, group, begun.weights)
    return data, network, state, checkpoint, begun


def how(work: Work) -> dict[str, Any]:
    """What of the way it was computed a result records: code, processes, neurons, rounding of convolutions on a GPU.

    Torch's default is left as it is there: cuDNN may round the factors of a float32 convolution to TF32.
    """
    told = {
        "code": code.whole(work.cell),
        "processes": work.group.size,
        "neurons": kernels.state(device()),
        "recompute": work.recompute,
    }
    if device().type == "cpu":
        return told
    convolutions = torch.backends.cudnn.conv.fp32_precision  # type: ignore[attr-defined]
    return {**told, "convolutions": convolutions}


def prepare(cell: Cell, data_root: Path | None) -> tuple[Data, Network]:
    """The cell's data and its freshly initialised network, on the device.

    Raises UserError if the samples are not those that the cell was planned for, or the network cannot be as it says.
    """
    data = load(cell.dataset, data_root, cell.recipe, cell.timesteps, device=device())
    if data.identity != cell.data:
        raise UserError(f"the samples are {data.identity}, planned were {cell.data}", cell.dataset, "plan again: run")
    environment.seed_everything(cell.seed)
    network = network_of(cell, data.shape, data.classes).to(device()).in_precision(cell.recipe.precision)
    if cell.recipe.one_pass:
        _join(network, cell)
    return data, network


def _join(network: Network, cell: Cell) -> None:
    try:
        one_pass.join(network.body, device())
    except one_pass.Impossible as error:
        what = f"norms and neurons cannot be computed in one pass: {error}"
        raise UserError(what, cell.label, "leave `one_pass` out of its recipe") from error


def first(data: Data, samples: int, batch: int) -> list[tuple[Tensor, Tensor]]:
    """The first test batches that hold at least `samples`, or all there are."""
    batches, held = [], 0
    for images, labels in data.test.batches(batch):
        batches.append((images, labels))
        held += len(labels)
        if held >= samples:
            break
    return batches


def describe_failure(cell: Cell, error: Exception) -> Failure:
    """Kind, one-line reason and traceback of what stopped a cell."""
    expected = isinstance(error, Diverged | FoldFailed)
    reason = str(error) if expected or isinstance(error, PeerFailed) else f"{type(error).__name__}: {error}"
    if not expected and (line := plugins.own_line(error)):
        reason += f" ({line})"
    return Failure(
        cell=cell,
        kind="diverged" if isinstance(error, Diverged) else "fold" if isinstance(error, FoldFailed) else "error",
        reason=" ".join(reason.split()),
        epoch=getattr(error, "epoch", 0),
        when=now(),
        traceback="" if expected else where(error),
        place=os.environ.get(environment.PLACE, ""),
    )


def where(error: Exception) -> str:
    """Its traceback, of the process in which it happened."""
    return error.traceback if isinstance(error, PeerFailed) else "".join(traceback.format_exception(error))


def progress(pace: Pace, cell: Cell) -> Progress:
    return Progress(
        epoch=math.ceil(pace.epochs_done),
        epochs=cell.recipe.epochs,
        accuracy=pace.accuracy,
        images_per_second=pace.images_per_second,
        seconds_left=pace.seconds_left,
        host=platform.node(),
        pid=os.getpid(),
        words=pace.words,
    )


class Log:
    """Appends lines with the time of day to a cell's log."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, text: str) -> None:
        with opened.appending(self.path) as file:
            file.write(f"{now()} {text}\n")


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
