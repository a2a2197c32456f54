"""The trained network of a cell, and samples to look at it with."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

import msgspec
import torch

from baselines.network import Network
from harness import data, environment
from harness.data import Data
from harness.errors import UserError
from harness.identity import code
from harness.plugins import load_plugins
from harness.spec import Cell
from harness.store import Store
from harness.store.probes import fingerprint
from harness.train import worker

Batch = tuple[torch.Tensor, torch.Tensor]
"""Images and labels."""


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A network after its last epoch, in float32 and evaluation mode."""

    network: Network
    data: Data
    weights: str
    """Fingerprint of the file they were read from."""


def load(
    cell: Cell,
    store: Store,
    data_root: Path | None,
    plugins: tuple[str, ...] = (),
    *,
    train_samples: int | None = None,
    test_samples: int | None = None,
) -> Trained:
    """With so many samples of each split, evenly over the classes, none of them augmented.

    Raises UserError where there are no weights or no data, or where they or the code are not those of the cell.
    """
    path = store.folder(cell) / "weights.pt"
    if not path.is_file():
        what = "has no weights: it is not trained yet, or they were not kept"
        raise UserError(what, str(path), f"type: python -m harness run {cell.key}")
    load_plugins(plugins)
    torch.set_num_threads(1)
    environment.deterministic()
    there = data.samples(cell.dataset, data_root)
    recipe = msgspec.structs.replace(
        cell.recipe,
        augmentation=(),
        train_samples=_fewer(train_samples, cell.recipe.train_samples, there["train"]),
        test_samples=_fewer(test_samples, cell.recipe.test_samples, there["test"]),
    )
    content = path.read_bytes()
    samples, network = worker.prepare(msgspec.structs.replace(cell, recipe=recipe), data_root)
    code.prove(cell)
    try:
        network.load_state_dict(torch.load(io.BytesIO(content), weights_only=True, map_location="cpu"))
    except Exception as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"does not hold the weights of this cell ({first})", str(path)) from None
    return Trained(network=network.in_precision("float32").eval(), data=samples, weights=fingerprint(content))


def seeded(*parts: object) -> torch.Generator:
    """A CPU generator that depends on `parts` alone."""
    digest = hashlib.sha256(":".join(map(str, parts)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def _fewer(wanted: int | None, given: int | None, there: int) -> int | None:
    """As many as are `wanted`, or as the recipe takes or the set has where that is less."""
    return given if wanted is None else min(wanted, there if given is None else given)
