"""Save and resume a training run, to the bit. Two generations are kept, so a damaged newest one loses one epoch."""

from __future__ import annotations

import os
import pickle
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from harness.result import Curve


@dataclass(frozen=True)
class State:
    """All that an epoch leaves behind. No random state: order and augmentation are drawn from (seed, epoch)."""

    epoch: int
    """Epochs finished."""
    network: dict[str, Any]
    optimiser: dict[str, Any]
    curve: Curve
    resumed: int = 0


class Checkpoint:
    """`checkpoint.pt` in a cell's folder, and `checkpoint.previous.pt`, the one before."""

    def __init__(self, folder: Path) -> None:
        self.newest, self.previous = folder / "checkpoint.pt", folder / "checkpoint.previous.pt"

    def save(self, state: State) -> None:
        """Write to a temporary name, fsync, keep the former newest, rename: a kill at any moment leaves one whole."""
        fields = {name: getattr(state, name) for name in ("epoch", "network", "optimiser", "resumed")}
        curve = {name: list(getattr(state.curve, name)) for name in Curve.__struct_fields__}
        atomic_save(fields | {"curve": curve}, self.newest, keep=self.previous)

    def load(self) -> State | None:
        """The newest readable state, on the CPU, or None to begin at the beginning."""
        for path in (self.newest, self.previous):
            try:
                fields = torch.load(path, map_location="cpu", weights_only=True)
                curve = Curve(**{name: tuple(values) for name, values in fields.pop("curve").items()})
                return State(curve=curve, **fields)
            except FileNotFoundError:
                continue
            except (OSError, EOFError, RuntimeError, KeyError, TypeError, ValueError, pickle.UnpicklingError) as error:
                print(f"{path.name} cannot be read ({type(error).__name__}); taking the one before", file=sys.stderr)
        return None

    def remove(self) -> None:
        """Once the result is written, nothing is left to resume."""
        for path in (self.newest, self.previous):
            path.unlink(missing_ok=True)


def atomic_save(content: Any, path: Path, keep: Path | None = None) -> None:
    """`torch.save` that is never half-written; the file that was there moves to `keep`."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        if keep is not None and path.exists():
            path.replace(keep)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
