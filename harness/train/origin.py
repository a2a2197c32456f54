"""The weights that a cell begins from: those of another cell in the store, and no others."""

from __future__ import annotations

import io
from dataclasses import dataclass, field

import torch
from torch import Tensor

from harness import durable
from harness.errors import UserError
from harness.spec import Cell
from harness.store import Store
from harness.store.probes import fingerprint
from harness.store.reading import MOST_WEIGHTS


@dataclass(frozen=True)
class Begun:
    """What a cell begins from."""

    weights: dict[str, Tensor] | None = field(default=None, repr=False)
    """By name, on the CPU; None where it begins from nothing."""
    fingerprint: str = ""
    """Of the file that they were in."""


def origin_of(cell: Cell, store: Store) -> Begun:
    """Raises UserError where the origin has no result, or its weights are not those that the result speaks of."""
    origin = cell.origin
    if origin is None:
        return Begun()
    path = store.folder(origin) / "weights.pt"
    again = f"move {path.parent} away, and type: python -m harness run {cell.key}"
    if (result := store.result(origin)) is None:
        raise UserError(
            f"begins from {origin.key} {origin.label}, which has no result",
            f"{cell.key} {cell.label}",
            f"type: python -m harness run {cell.key}",
        )
    try:
        content = durable.read(path, most=MOST_WEIGHTS)
    except OSError as error:
        raise UserError(f"cannot be read ({(error.strerror or str(error)).lower()})", str(path), again) from None
    if (found := fingerprint(content)) != result.weights:
        said = result.weights or "none, as older results"
        what = f"holds other weights ({found}) than its result names ({said}), so nothing begins from them"
        raise UserError(what, str(path), again)
    return Begun(torch.load(io.BytesIO(content), weights_only=True, map_location="cpu"), found)
