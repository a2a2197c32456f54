"""What a finished or failed cell leaves behind: `Result` and `Failure`, as they stand in the store."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec

from harness.spec import Cell

RESULT_VERSION = 1

Percent = Annotated[float, msgspec.Meta(ge=0, le=100)]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=1e10)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Number = Annotated[float, msgspec.Meta(ge=-1e100, le=1e100)]
"""Finite, and so is a sum of many, or of their squares."""
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Told = str | int | float | bool | None
"""What is recorded for people."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Base of stored records. Unknown fields are ignored, so a newer store can still be read."""


class Curve(Record, frozen=True):
    """One entry an epoch. Accuracies in percent, losses in nats, seconds of wall time."""

    train_loss: tuple[Number, ...] = ()
    train_accuracy: tuple[Percent, ...] = ()
    test_loss: tuple[Number, ...] = ()
    test_accuracy: tuple[Percent, ...] = ()
    learning_rate: tuple[Number, ...] = ()
    seconds: tuple[Seconds, ...] = ()
    by_timesteps: tuple[tuple[Percent, ...], ...] = ()
    """Test accuracy after 1, 2, 4, … T timesteps; the last is `test_accuracy`. Of the last epochs alone where the first
    were trained before this was kept."""


class LayerCheck(Record, frozen=True):
    """One spiking layer in a fold proof: how many spikes, how many of them differ after folding."""

    name: str
    neurons: Count
    """Spike opportunities compared: samples × timesteps × elements."""
    spikes: Count
    mismatches: Count

    @property
    def rate(self) -> float:
        return self.spikes / self.neurons if self.neurons else 0.0


class FoldProof(Record, frozen=True):
    """That one fold changed nothing: the network before and after it, on the same real test batches."""

    fold: str
    """Which re-parameterisation: `mpbn-threshold`, `threshold` (no MPBN), `mpbn-leak`, `norm-conv`, `coefficient`."""
    precision: Literal["float32", "float64"]
    samples: Count
    layers: tuple[LayerCheck, ...]
    logit_difference: Number
    """Largest absolute difference of any logit."""
    accuracy_before: Percent
    accuracy_after: Percent
    exact: bool
    """Whether this fold is claimed to be exact: then a single mismatch fails it."""
    passed: bool
    why: str = ""
    """The reason, where it did not pass (a mismatch, a silent layer)."""

    @property
    def mismatches(self) -> int:
        return sum(layer.mismatches for layer in self.layers)


REAL = 1e-6
"""Most that the logits of an exact fold may differ: layers that pass on real values are compared by what they make."""


def objection(layers: Iterable[LayerCheck], exact: bool, difference: float) -> str:
    """Why these counts prove nothing or the opposite; empty if they prove the fold."""
    layers = tuple(layers)
    wrong = sum(layer.mismatches for layer in layers)
    if exact and wrong:
        return f"{wrong} of {sum(layer.neurons for layer in layers)} spikes differ"
    if exact and difference > REAL:
        return f"no spike differs, but a logit does, by {difference:.1e}"
    for layer in layers:
        if layer.spikes in (0, layer.neurons):
            state = "never fires" if layer.spikes == 0 else "always fires"
            return f"layer {layer.name} {state} on the test samples, so nothing is proved there"
    return "a logit is not finite" if not math.isfinite(difference) else ""


class Result(Record, frozen=True, kw_only=True):
    """One finished cell. Everything but `curve.seconds`, `environment` and the times repeats to the bit."""

    version: int = RESULT_VERSION
    cell: Cell
    curve: Curve
    best_accuracy: Percent
    best_epoch: Count
    """Counted from 1."""
    last_accuracy: Percent
    parameters: Count
    proofs: tuple[FoldProof, ...]
    samples: dict[str, dict[str, Told]]
    """`train`, `test`: fingerprint and count of the samples seen."""
    environment: dict[str, Told | dict[str, Told]]
    started: str
    finished: str
    seconds: Seconds
    """Training time, all attempts together."""
    resumed: Count = 0
    """How often it was taken up again from a checkpoint."""
    remains: tuple[str, ...] = ()
    """What folding leaves for inference beside convolutions and plain neurons, and what it costs."""
    rates: dict[str, tuple[Share, ...]] = msgspec.field(default_factory=dict)
    """Spikes an element and step, by the name of the layer, in the first 1, 2, 4, … T timesteps, on the test samples
    of the fold proofs. Older results tell nothing of it."""
    pixels: Share | None = None
    """Spikes a pixel and step, of either sign, where an encoder makes spikes of the image."""
    weights: str = ""
    """Fingerprint of the file of its weights."""
    begun: str = ""
    """That of the weights it began from; empty where it began from nothing."""
    attempts: tuple[dict[str, Told | dict[str, Told]], ...] = ()
    """What `environment` was in the attempts before the last one, whose work it went on with."""

    @property
    def accuracy(self) -> float:
        """The number the table shows (percent), by the recipe's `report` rule."""
        recipe = self.cell.recipe
        if recipe.report == "best" and recipe.among is not None:
            return max(self.curve.test_accuracy[-recipe.among :], default=self.best_accuracy)
        return self.best_accuracy if recipe.report == "best" else self.last_accuracy

    @property
    def spiking_layers(self) -> tuple[LayerCheck, ...]:
        """Of the network as it was trained, on the test samples of a fold proof, in float32 if one is; else empty."""
        proofs = sorted(self.proofs, key=lambda proof: proof.precision != "float32")
        return proofs[0].layers if proofs else ()

    @property
    def firing_rates(self) -> dict[str, float]:
        """Spikes an element and step, by the name of the layer."""
        proved = {layer.name: layer.rate for layer in self.spiking_layers}
        return proved or {name: told[-1] for name, told in self.rates.items()}


class Done(msgspec.Struct, frozen=True):
    """Of a result what a line says of it; a large store is told by these."""

    accuracy: float
    """As of `Result`: by the rule of its recipe."""
    seconds: float


class Failure(Record, frozen=True):
    """A cell that ended without a result. Shown in its table; retried only when asked."""

    cell: Cell
    kind: Literal["diverged", "fold", "error", "killed"]
    reason: str
    """One line."""
    epoch: Count
    when: str
    attempts: Count = 1
    traceback: str = ""
    place: str = ""
    """What `--on` was given, where it failed in a job of a cluster."""


class Progress(Record, frozen=True):
    """Where a running cell is; rewritten at least once an epoch, its file time is the heartbeat."""

    epoch: Count
    epochs: Count
    accuracy: Percent | None
    images_per_second: Number
    seconds_left: Seconds
    host: str
    pid: int
    words: str = ""
    """What it does besides training, before its first epoch and as it is tested."""
    job: str = ""
    """The SLURM job it runs in: ``cluster:123_4``; empty elsewhere. The claim says it, whoever reads fills it in."""
    restarts: int = 0
    """How often that job was requeued: preempted, out of time, its node lost."""
