"""Save and resume a training run, to the bit. Two generations are kept, should the newest one be damaged."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import logging
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import torch

from harness import durable
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

    def __init__(self, folder: Path, log: Callable[[str], None] = LOG.warning) -> None:
        self.newest, self.previous = folder / "checkpoint.pt", folder / "checkpoint.previous.pt"
        self._log = log

    def save(self, state: State) -> None:
        """Set the former newest aside, then write the new one in one step. Raises UserError, e.g. for a full disk."""
        fields = {name: getattr(state, name) for name in ("epoch", "network", "optimiser", "resumed")}
        fields["curve"] = msgspec.structs.asdict(state.curve)
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
                fields = torch.load(path, map_location="cpu", weights_only=True)
                curve, underway = Curve(**fields.pop("curve")), fields.pop("underway", None)
                return State(curve=curve, underway=underway and Underway(**underway), **fields)
            except FileNotFoundError:
                continue
            except (OSError, EOFError, RuntimeError, KeyError, TypeError, ValueError, pickle.UnpicklingError) as error:
                self._log(f"{path.name} cannot be read ({type(error).__name__}); taking the one before")
        return None

    def remove(self) -> None:
        """Once the result is written, nothing is left to resume."""
        for path in (self.newest, self.previous):
            path.unlink(missing_ok=True)


def serialised(content: Any) -> bytes:
    """What `torch.save` would write to a file."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()
