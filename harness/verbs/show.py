"""One cell, as its folder in the store tells it: configuration, provenance, curve, fold proofs, log tail."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.amounts import duration
from harness.columns import columns
from harness.errors import UserError, did_you_mean
from harness.printable import readable, shortened
from harness.spec import Cell, notable
from harness.store import Store
from harness.store.result import Failure, FoldProof, Progress, Result
from harness.verbs.tail import tail

BARS = "▁▂▃▄▅▆▇█"
LISTED = "`status TABLE` lists cells with their keys"
LOG_LINES = 10
TRACEBACK = 20_000
"""Characters of one that are shown."""
MOST = 60
"""Widest sparkline, in epochs."""


def find_cell(text: str, store: Store) -> tuple[Cell, Store]:
    """By its key or the beginning of one, its label, or the path of its folder or of a file in it. Raises UserError."""
    if (folder := cell_folder(text)) is not None:
        store, key = (
            Store(folder.resolve().parent if folder.name in ("", "..") else folder.parent),
            folder.resolve().name,
        )
    else:
        key = _key(text, store)
    result_file = store.folder(key) / "result.json"
    cell = store.cell(key)
    if cell is None and os.path.lexists(result_file):
        cell = next((result.cell for result in store.results() if result.cell.key == key), None)
    if cell is None:
        raise next(iter(store.problems), UserError("no cell is recorded here", str(store.folder(key)), LISTED))
    return cell, store


def cell_folder(text: str) -> Path | None:
    """The folder that `text` is the path of, or of a file in it; None where nothing is there.

    A word alone is a path only where a cell lies: a folder that is called as a table does not take its name over.
    """
    path = Path(text)
    try:
        folder = path if path.is_dir() else path.parent if path.exists() else None
        word = path.name == text and text not in ("", "..")
        if folder is None or (word and not any((folder / name).exists() for name in ("cell.json", "result.json"))):
            return None
    except OSError:  # a name that no file system takes
        return None
    return folder


def _key(text: str, store: Store) -> str:
    keys = (store.find(text) or _labelled(text, store)) if text else []
    if not keys:
        raise UserError(f"no cell `{text}` in {store.root}", to_type=LISTED)
    if len(keys) > 1:
        raise UserError(f"`{text}` begins {len(keys)} keys", str(store.root), did_you_mean(text, keys[:8]))
    return keys[0]


def _labelled(text: str, store: Store) -> list[str]:
    """Keys of the cells that are called so. Raises UserError for several: recipes differ, and labels do not say it."""
    keys = [cell.key for cell in store.cells() if cell.label == text] if "/" in text else []
    if len(keys) > 1:
        raise UserError(f"{len(keys)} cells are called `{text}`", str(store.root), f"type a key: {', '.join(keys[:8])}")
    return keys


def sections(cell: Cell, store: Store) -> Iterator[tuple[str, str]]:
    """(heading, text) of all that is known."""
    outcome = store.outcome(cell)
    yield "", columns([("cell", cell.label), ("key", cell.key), ("data", cell.data), *_state(outcome)])
    if cell.origin is not None:
        yield "begins from", columns([_origin(origin, store) for origin in cell.lineage[:-1]])
    yield "recipe", columns([(name, _value(value)) for name, value in notable(cell.recipe).items()])
    if isinstance(outcome, Result):
        yield "curve", curve(outcome)
        yield "fold proofs", columns([_proof(proof) for proof in outcome.proofs]) or "none"
        if outcome.remains:
            yield "what does not fold, and costs at inference", "\n".join(outcome.remains)
        yield "samples", columns([(name, _value(said)) for name, said in outcome.samples.items()])
        yield "provenance", columns([(name, _value(said)) for name, said in outcome.environment.items() if said])
    if isinstance(outcome, Failure) and outcome.traceback:
        yield "traceback", readable(shortened(outcome.traceback.rstrip(), TRACEBACK))
    if tail := log_tail(store.log(cell)):
        yield f"log ({store.log(cell)})", tail
    yield "to repeat it in another store", f"python -m harness run {shlex.quote(str(store.folder(cell)))} --store DIR"


def curve(result: Result) -> str:
    """Accuracies and losses over the epochs, a bar an epoch."""
    series = (
        ("test accuracy", result.curve.test_accuracy, "%"),
        ("train accuracy", result.curve.train_accuracy, "%"),
        ("test loss", result.curve.test_loss, "nats"),
        ("train loss", result.curve.train_loss, "nats"),
    )
    shown = [(name, sparkline(v), f"{v[0]:.2f} -> {v[-1]:.2f} {unit}") for name, v, unit in series if v]
    return columns(shown)


def sparkline(values: Sequence[float]) -> str:
    """One character a value, from the lowest to the highest; a long series is thinned evenly, its last value kept."""
    step = -(-len(values) // MOST)
    thinned = list(values[::-step][::-1])
    low, high = min(thinned), max(thinned)
    scale = (len(BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(BARS[round((value - low) * scale)] for value in thinned)


def log_tail(path: Path) -> str:
    try:
        return readable(tail(path, LOG_LINES)[0].rstrip("\n"))
    except UserError:
        return ""


def _origin(origin: Cell, store: Store) -> tuple[str, ...]:
    outcome = store.outcome(origin)
    known = f"{outcome.accuracy:.2f} %" if isinstance(outcome, Result) else "failed" if outcome else "missing"
    return (origin.key, origin.label, "running" if isinstance(outcome, Progress) else known)


def _state(outcome: Result | Failure | Progress | None) -> Iterator[tuple[str, str]]:
    if isinstance(outcome, Result):
        yield "best", f"{outcome.best_accuracy:.2f} % (epoch {outcome.best_epoch} of {outcome.cell.recipe.epochs})"
        yield "last", f"{outcome.last_accuracy:.2f} %"
        yield "parameters", f"{outcome.parameters:,}"
        resumed = f", resumed {outcome.resumed} times" if outcome.resumed else ""
        yield "trained", f"{outcome.started} to {outcome.finished}, {duration(outcome.seconds)}{resumed}"
    elif isinstance(outcome, Failure):
        yield "failed", f"{outcome.kind} at epoch {outcome.epoch}: {outcome.reason} ({outcome.when})"
    elif isinstance(outcome, Progress):
        yield "running", f"epoch {outcome.epoch} of {outcome.epochs} on {outcome.host} (process {outcome.pid})"
    else:
        yield "state", "missing"


def _proof(proof: FoldProof) -> tuple[str, ...]:
    spikes = sum(layer.spikes for layer in proof.layers)
    word = "passed" if proof.passed else f"FAILED: {proof.why}"
    return (
        proof.fold,
        proof.precision,
        word,
        f"{proof.mismatches} of {spikes:,} spikes differ in {len(proof.layers)} layers, {proof.samples} samples, "
        f"logits by {proof.logit_difference:.1e}, accuracy {proof.accuracy_before:.2f} -> {proof.accuracy_after:.2f} %",
    )


def _value(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_value(said)}" for name, said in value.items())
    if isinstance(value, (tuple, list)):
        return ", ".join(map(str, value)) or "none"
    return "-" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
