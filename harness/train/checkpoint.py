"""Save and resume a training run, to the bit. Two generations are kept, should the newest one be damaged."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import logging
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec
import torch
from torch import nn

from harness import durable, opened
from harness.store.result import Curve

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Underway:
    """How far an epoch is that has not ended. What differs between the processes of a cell is a list, by their rank."""

    batches: int
    """That have been trained on; all of them where the evaluation was interrupted."""
    seconds: float
    tallies: list[tuple[int, float, int]]
    """Samples, summed loss, hits."""
    random: list[dict[str, Any]]
    """State of torch's generators. Order and augmentation of the samples need none: they depend on (seed, epoch)."""


@dataclass(frozen=True)
class State:
    """All that training leaves behind, between two epochs or within one."""

    epoch: int
    """Epochs finished."""
    network: dict[str, Any]
    optimiser: dict[str, Any]
    curve: Curve
    resumed: int = 0
    underway: Underway | None = None


class Checkpoint:
    """`checkpoint.pt` in a cell's folder, and `checkpoint.previous.pt`, the one before."""

    def __init__(
        self, folder: Path, log: Callable[[str], None] = LOG.warning, writer: Mapping[str, Any] = MappingProxyType({})
    ) -> None:
        """`writer`: what is at work here: code, commit, machine. Every attempt at a cell is told in its checkpoint."""
        self.newest, self.previous = folder / "checkpoint.pt", folder / "checkpoint.previous.pt"
        self._log, self.writer = log, dict(writer)
        self.earlier: tuple[dict[str, Any], ...] = ()
        """The writers before this one."""

    def save(self, state: State) -> None:
        """Set the former newest aside, then write the new one in one step. Raises UserError, e.g. for a full disk."""
        fields = {name: getattr(state, name) for name in ("epoch", "network", "optimiser", "resumed")}
        fields["curve"] = msgspec.structs.asdict(state.curve)
        fields["writers"] = [*self.earlier, self.writer]
        if state.underway is not None:
            fields["underway"] = dataclasses.asdict(state.underway)
        content = serialised(fields)
        with contextlib.suppress(FileNotFoundError):
            self.newest.replace(self.previous)
        durable.write(self.newest, content)

    def load(self) -> State | None:
        """The newest readable state, on the CPU, or None to begin at the beginning."""
        for path in (self.newest, self.previous):
            try:
                with opened.reading(path) as file:  # no link, no FIFO
                    fields = torch.load(file, map_location="cpu", weights_only=True)
                curve, underway = Curve(**fields.pop("curve")), fields.pop("underway", None)
                self.earlier = tuple(fields.pop("writers", ()))
                return State(curve=curve, underway=underway and Underway(**underway), **fields)
            except FileNotFoundError:
                continue
            except (OSError, EOFError, RuntimeError, KeyError, TypeError, ValueError, pickle.UnpicklingError) as error:
                self._log(f"{path.name} cannot be read ({type(error).__name__}); taking the one before")
        return None

    def stray(self) -> str:
        """Why what was loaded is not to be gone on with, though it fits: the cell began from other weights then."""
        begun = [writer.get("begun") for writer in (*self.earlier[-1:], self.writer)]
        return "began from other weights" if self.earlier and begun[0] != begun[-1] else ""

    def set_aside(self, why: str) -> None:
        """Keep what cannot be gone on from as ``*.unfit``, and say so: the cell begins anew."""
        self._log(f"the checkpoint {why}; it is kept as {self.newest.name}.unfit, and training begins anew")
        for path in (self.newest, self.previous):
            with contextlib.suppress(FileNotFoundError):
                path.replace(path.with_name(f"{path.name}.unfit"))
        self.earlier = ()

    def remove(self) -> None:
        """Once the result is written, nothing is left to resume."""
        for path in (self.newest, self.previous):
            path.unlink(missing_ok=True)


def unfit(state: State, network: nn.Module, optimiser: torch.optim.Optimizer) -> str:
    """Why `state`, which could be read, is not one of this network and optimiser; empty where it is."""
    try:
        if _shapes(state.network) != _shapes(network.state_dict()):
            return "is of another network"
        if _sizes(state.optimiser) != _sizes(optimiser.state_dict()):
            return "is of another optimiser"
        if len(state.curve.test_accuracy) != state.epoch:
            return f"has {len(state.curve.test_accuracy)} epochs in its curve and says {state.epoch}"
    except (AttributeError, KeyError, TypeError) as error:
        return f"holds something else than a state ({type(error).__name__})"
    return ""


def _shapes(tensors: Mapping[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def _sizes(optimiser: Mapping[str, Any]) -> list[int]:
    return [len(group["params"]) for group in optimiser["param_groups"]]


def serialised(content: Any) -> bytes:
    """What `torch.save` would write to a file."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()
