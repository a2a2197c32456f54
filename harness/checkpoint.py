"""Save and resume a training run, to the bit. Two generations are kept, so a damaged newest one loses one epoch."""

from __future__ import annotations

import contextlib
import io
import pickle
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import torch

from harness import durable
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
        """Set the former newest aside, then write the new one in one step. Raises UserError, e.g. for a full disk."""
        fields = {name: getattr(state, name) for name in ("epoch", "network", "optimiser", "resumed")}
        content = serialised(fields | {"curve": msgspec.structs.asdict(state.curve)})
        with contextlib.suppress(FileNotFoundError):
            self.newest.replace(self.previous)
        durable.write(self.newest, content)

    def load(self) -> State | None:
        """The newest readable state, on the CPU, or None to begin at the beginning."""
        for path in (self.newest, self.previous):
            try:
                fields = torch.load(path, map_location="cpu", weights_only=True)
                curve = Curve(**fields.pop("curve"))
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


def serialised(content: Any) -> bytes:
    """What `torch.save` would write to a file."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()
