"""The weights that a cell has left in the store, put back into its network."""

from __future__ import annotations

import io
from pathlib import Path

import torch

from baselines.network import Network
from harness import durable
from harness.errors import UserError
from harness.spec import Cell
from harness.store import Store
from harness.store.probes import fingerprint
from harness.store.reading import MOST_WEIGHTS


def path_of(cell: Cell, store: Store) -> Path:
    """Of the file. Raises UserError where there is none."""
    path = store.folder(cell) / "weights.pt"
    if not path.is_file():
        what = "has no weights: it is not trained yet, or they were not kept"
        raise UserError(what, str(path), f"type: python -m harness run {cell.key}")
    return path


def restore(network: Network, path: Path) -> str:
    """Into `network`, which fits; returns the fingerprint of the file. Raises UserError for any other content."""
    try:
        content = durable.read(path, MOST_WEIGHTS)
        state = torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
        network.load_state_dict(state)
    except OSError as error:
        raise UserError(f"cannot be read ({(error.strerror or str(error)).lower()})", str(path)) from None
    except Exception as error:  # torch raises all kinds for a file that was cut off, or is none of its own
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(f"does not hold the weights of this cell ({first})", str(path)) from None
    if odd := [name for name, tensor in network.state_dict().items() if not torch.isfinite(tensor).all()]:
        raise UserError(f"holds numbers that are not finite, in {odd[0]}", str(path))
    return fingerprint(content)
