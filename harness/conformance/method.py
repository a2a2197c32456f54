"""The methods that a file registers: each is trained small, folded, interrupted, exported."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import torch
from torch import Tensor

from baselines.network import Network
from harness import data, interrupts, plugins, tables
from harness.conformance.finding import Finding
from harness.errors import UserError
from harness.export import as_torch
from harness.export.network import agreement, axis, few, folded
from harness.identity import code
from harness.requests import Asked
from harness.spec import Cell
from harness.store import Store
from harness.train import worker
from harness.train.distributed import ALONE
from harness.train.proof import prove

SAMPLES = 32
"""That an exported network is held against the one it was made from."""


class Wrong(Exception):
    """What a step found, in a line."""


@dataclass
class Trial:
    """One method on its way through the steps, and what they leave to the next."""

    method: str
    plugin: str
    folder: Path
    cell: Cell | None = None
    made: dict[str, Any] = field(default_factory=dict)

    def work(self, store: str) -> worker.Work:
        assert self.cell is not None
        held = Store(self.folder / store)
        held.announce([self.cell])
        return worker.Work(self.cell, held, None, (self.plugin,), 1, ALONE, "nothing")


def check(name: str, asked: Asked) -> Iterator[Finding]:
    """Raises UserError for a file that registers nothing, or is none."""
    plugins.load_plugins(asked.plugin)
    methods = plugins.load(name).methods
    if not methods:
        raise UserError("registers no method", name, 'end it with METHODS.register("my-name", Method(...))')
    for method in methods:
        yield Finding(what="registers", state="ok", detail=method)
        with tempfile.TemporaryDirectory() as folder:
            yield from _steps(Trial(method, name, Path(folder)))


def _steps(trial: Trial) -> Iterator[Finding]:
    failed = False
    for what, step in STEPS.items():
        if failed:
            yield Finding(what=what, state="-", detail="")
            continue
        try:
            detail = step(trial)
        except (Exception, KeyboardInterrupt) as error:
            failed = what not in HARMLESS
            yield Finding(what=what, state="FAILED", detail=_told(error))
        else:
            yield Finding(what=what, state="ok", detail=detail)


def _told(error: BaseException) -> str:
    if isinstance(error, Wrong | UserError):
        return str(error)
    if isinstance(error, KeyboardInterrupt) and not isinstance(error, interrupts.Stopped):
        raise error
    line = plugins.own_line(error)
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}{f' ({line})' if line else ''}"


# --- The steps, each a line about what it found -----------------------------------------------------------------------


def key(trial: Trial) -> str:
    """It can be told what code its numbers come from."""
    small = tables.load_trial()
    cell = Cell(
        method=trial.method,
        architecture=small.architecture,
        dataset=small.dataset,
        timesteps=small.timesteps,
        seed=0,
        recipe=small.recipe,
        data=data.identify(small.dataset, None),
    )
    trial.cell = cell = code.stamping()(cell)
    return f"its numbers will be kept under the hash {cell.source} of its source"


def builds(trial: Trial) -> str:
    assert trial.cell is not None
    loaded, network = worker.prepare(trial.cell, None)
    trial.made |= {"data": loaded, "network": network}
    count = sum(parameter.numel() for parameter in network.parameters())
    return f"{trial.cell.architecture}, {count:,} parameters, {len(list(network.spiking_layers()))} spiking layers"


def steps(trial: Trial) -> str:
    """One step: a finite loss, and a gradient for all that is to be learned."""
    assert trial.cell is not None
    network: Network = trial.made["network"].train()
    images, labels = next(iter(trial.made["data"].train.epoch(0, 0, trial.cell.recipe.batch)))
    network.begin_epoch(0, trial.cell.recipe.epochs, lambda: torch.ones(()))
    loss = network.loss(network(images), labels)
    loss.backward()
    if not math.isfinite(loss.item()):
        raise Wrong(f"the loss is {loss.item()}")
    wanting = [name for name, p in network.named_parameters() if p.requires_grad and p.grad is None]
    if wanting:
        raise Wrong(f"no gradient reaches {', '.join(wanting[:3])}{', ...' * (len(wanting) > 3)}")
    return f"loss {loss.item():.3f}, a gradient for each of {len(list(network.parameters()))} parameter tensors"


def trains(trial: Trial) -> str:
    loaded, network, state, *_ = worker.fit(trial.work("whole"), lambda pace: None, lambda text: None)
    trial.made |= {"data": loaded, "trained": network, "curve": state.curve}
    first, last = state.curve.train_loss[0], state.curve.train_loss[-1]
    return (
        f"{len(state.curve.train_loss)} epochs, loss {first:.3f} -> {last:.3f}, {state.curve.test_accuracy[-1]:.0f} %"
    )


def resumes(trial: Trial) -> str:
    """Stopped within an epoch and gone on with, it ends with the same bits."""

    def stop(pace: object) -> None:
        interrupts.request()

    try:
        worker.fit(trial.work("cut"), stop, lambda text: None)
    except interrupts.Stopped:
        _, network, state, *_ = worker.fit(trial.work("cut"), lambda pace: None, lambda text: None)
    else:
        raise Wrong("it could not be stopped")
    other = trial.made["trained"].state_dict()
    changed = [name for name, value in network.state_dict().items() if not torch.equal(value, other[name])]
    if changed or timeless(state.curve) != timeless(trial.made["curve"]):
        raise Wrong(f"ends otherwise than undisturbed: {', '.join(changed[:3]) or 'its curve'}")
    return "stopped in the second epoch and gone on with: the same bits"


def folds(trial: Trial) -> str:
    assert trial.cell is not None
    batches = worker.first(trial.made["data"], worker.PROOF_SAMPLES, trial.cell.recipe.batch)
    proofs = prove(trial.made["trained"].eval(), batches)
    if wrong := [f"{proof.fold} in {proof.precision}: {proof.why}" for proof in proofs if not proof.passed]:
        raise Wrong("; ".join(wrong))
    told = [f"{proof.fold} {proof.mismatches} spikes differ" for proof in proofs if proof.precision == "float64"]
    return f"in float64: {', '.join(told)}"


def exports(trial: Trial) -> str:
    assert trial.cell is not None
    network = folded(trial.made["trained"])
    batches = [images for images, _ in worker.first(trial.made["data"], SAMPLES, trial.cell.recipe.batch)]
    images = few(torch.cat(batches, dim=axis(batches[0])), SAMPLES).float()
    names = list(network.spiking_layers())
    path = as_torch.write(network, images, trial.folder / "exported", spikes=True)

    def run(batch: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        return as_torch.run(path, names, batch)

    wrong, compared, _ = agreement(network, images, run)
    if wrong:
        raise Wrong(f"read back, {wrong:,} of {compared:,} spikes differ")
    return f"read back by torch: 0 of {compared:,} spikes differ"


def timeless(curve: Any) -> Any:
    """A curve without the times, which no two runs share."""
    return msgspec.structs.replace(curve, seconds=())


STEPS: dict[str, Callable[[Trial], str]] = {
    "key": key,
    "builds": builds,
    "one step": steps,
    "trains": trains,
    "resumes": resumes,
    "folds": folds,
    "exports": exports,
}
HARMLESS = ("resumes", "folds", "exports")
"""Steps that no other one needs."""
