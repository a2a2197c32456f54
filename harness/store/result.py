"""What a finished or failed cell leaves behind: `Result` and `Failure`, as they stand in the store."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from harness.spec import Cell

RESULT_VERSION = 1


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Base of stored records. Unknown fields are ignored, so a newer store can still be read."""


class Curve(Record, frozen=True):
    """One entry an epoch. Accuracies in percent, losses in nats, seconds of wall time."""

    train_loss: tuple[float, ...] = ()
    train_accuracy: tuple[float, ...] = ()
    test_loss: tuple[float, ...] = ()
    test_accuracy: tuple[float, ...] = ()
    learning_rate: tuple[float, ...] = ()
    seconds: tuple[float, ...] = ()


class LayerCheck(Record, frozen=True):
    """One spiking layer in a fold proof: how many spikes, how many of them differ after folding."""

    name: str
    neurons: int
    """Spike opportunities compared: samples × timesteps × elements."""
    spikes: int
    mismatches: int

    @property
    def rate(self) -> float:
        return self.spikes / self.neurons if self.neurons else 0.0


class FoldProof(Record, frozen=True):
    """That one fold changed nothing: the network before and after it, on the same real test batches."""

    fold: str
    """Which re-parameterisation: `mpbn-threshold`, `mpbn-leak`, `norm-conv`, `coefficient`."""
    precision: Literal["float32", "float64"]
    samples: int
    layers: tuple[LayerCheck, ...]
    logit_difference: float
    """Largest absolute difference of any logit."""
    accuracy_before: float
    accuracy_after: float
    exact: bool
    """Whether this fold is claimed to be exact: then a single mismatch fails it."""
    passed: bool
    why: str = ""
    """The reason, where it did not pass (a mismatch, a silent layer)."""

    @property
    def mismatches(self) -> int:
        return sum(layer.mismatches for layer in self.layers)


class Result(Record, frozen=True, kw_only=True):
    """One finished cell. Everything but `curve.seconds`, `environment` and the times repeats to the bit."""

    version: int = RESULT_VERSION
    cell: Cell
    curve: Curve
    best_accuracy: float
    best_epoch: int
    """Counted from 1."""
    last_accuracy: float
    parameters: int
    proofs: tuple[FoldProof, ...]
    samples: dict[str, Any]
    """`train`, `test`: fingerprint and count of the samples seen."""
    environment: dict[str, Any]
    started: str
    finished: str
    seconds: float
    """Training time, all attempts together."""
    resumed: int = 0
    """How often it was taken up again from a checkpoint."""
    remains: tuple[str, ...] = ()
    """What folding leaves for inference beside convolutions and plain neurons, and what it costs."""

    @property
    def accuracy(self) -> float:
        """The number the table shows (percent), by the recipe's `report` rule."""
        return self.best_accuracy if self.cell.recipe.report == "best" else self.last_accuracy

    @property
    def spiking_layers(self) -> tuple[LayerCheck, ...]:
        """Of the network as it was trained, on the test samples of a fold proof, in float32 if one is; else empty."""
        proofs = sorted(self.proofs, key=lambda proof: proof.precision != "float32")
        return proofs[0].layers if proofs else ()

    @property
    def firing_rates(self) -> dict[str, float]:
        """Spikes an element and step, by the name of the layer."""
        return {layer.name: layer.rate for layer in self.spiking_layers}


class Summary(Record, frozen=True, kw_only=True):
    """What a list of many results says of each; read four times as fast as all of it."""

    version: int = RESULT_VERSION
    cell: Cell
    best_accuracy: float
    last_accuracy: float
    seconds: float

    @property
    def accuracy(self) -> float:
        return self.best_accuracy if self.cell.recipe.report == "best" else self.last_accuracy


class Failure(Record, frozen=True):
    """A cell that ended without a result. Shown in its table; retried only when asked."""

    cell: Cell
    kind: Literal["diverged", "fold", "error", "killed"]
    reason: str
    """One line."""
    epoch: int
    when: str
    attempts: int = 1
    traceback: str = ""
    place: str = ""
    """What `--on` was given, where it failed in a job of a cluster."""


class Progress(Record, frozen=True):
    """Where a running cell is; rewritten at least once an epoch, its file time is the heartbeat."""

    epoch: int
    epochs: int
    accuracy: float | None
    images_per_second: float
    seconds_left: float
    host: str
    pid: int
    job: str = ""
    """The SLURM job it runs in: ``cluster:123_4``; empty elsewhere. The claim says it, whoever reads fills it in."""
    restarts: int = 0
    """How often that job was requeued: preempted, out of time, its node lost."""
