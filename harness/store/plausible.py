"""Whether a record can be true: held against itself, and against the recipe of its cell, when it is read.

Types say what a number may be by itself (`result.py`, `probes.py`); here is what they must be to one another.
"""

from __future__ import annotations

import collections
import json
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from harness.store.probes import QUANTILES, Landscape, Operations, Potentials, Probe
from harness.store.result import Curve, FoldProof, Result, objection

AMOUNTS = ("cores", "memory_gib", "threads", "pack", "processes")
"""Of an environment, where it says them."""
LATER = ("by_timesteps",)
"""Series that a training which began with an older harness, and went on with a newer, has of its last epochs alone."""


def objection_to(result: Result, content: bytes) -> str:
    """Why `result`, read from `content`, cannot be true; empty if it can."""
    return next(_objections(result, content), "")


def _objections(result: Result, content: bytes) -> Iterator[str]:
    curve, epochs = result.curve, result.cell.recipe.epochs
    test = curve.test_accuracy
    if content != msgspec.json.encode(result) and (said := twice(content)):
        yield f"says `{said}` twice"
    if not 1 <= result.best_epoch <= epochs:
        yield f"its best epoch is {result.best_epoch} of {epochs}"
    for name in Curve.__struct_fields__:
        told = len(series := getattr(curve, name))
        if told > epochs or (told < epochs and name not in LATER and (series or name == "test_accuracy")):
            yield f"its curve has {len(series)} values of {name} for {epochs} epochs"
    if test and max(test) != result.best_accuracy:
        yield f"its best accuracy is {result.best_accuracy:g}, that of its curve {max(test):g}"
    if test and test[result.best_epoch - 1] != result.best_accuracy:
        yield f"its best epoch is {result.best_epoch}, where its curve is at {test[result.best_epoch - 1]:g}"
    if test and test[-1] != result.last_accuracy:
        yield f"its last accuracy is {result.last_accuracy:g}, that of its curve {test[-1]:g}"
    for name in AMOUNTS:
        if not isinstance(result.environment.get(name, 1), int | float):
            yield f"its environment has no number for {name}"
    if not all(isinstance(seen.get("samples", 1), int) for seen in result.samples.values()):
        yield "it has no number of samples"
    for proof in result.proofs:
        yield from _of_proof(proof)


def _of_proof(proof: FoldProof) -> Iterator[str]:
    name = f"its proof of {proof.fold} in {proof.precision}"
    if any(layer.spikes > layer.neurons or layer.mismatches > layer.neurons for layer in proof.layers):
        yield f"{name} counts more spikes than there can be"
    if proof.passed and (why := objection(proof.layers, proof.exact, proof.logit_difference)):
        yield f"{name} is said to have passed, though {why}"


def twice(content: bytes) -> str:
    """The name that an object of this JSON holds twice: readers differ in which of the two they take."""
    if msgspec.json.encode(msgspec.json.decode(content)) == content:  # as we write it, in fields of any version
        return ""
    found: list[str] = []

    def note(pairs: Sequence[tuple[str, Any]]) -> None:
        counts = collections.Counter(name for name, _ in pairs)
        found.extend(name for name, count in counts.items() if count > 1)

    json.loads(content, object_pairs_hook=note)
    return found[0] if found else ""


def objection_to_probe(probe: Probe | Operations) -> str:
    """Why `probe` cannot be true; empty if it can."""
    found = {Landscape: _of_landscape, Potentials: _of_potentials}.get(type(probe))
    return next(found(probe), "") if found else ""


def _of_landscape(probe: Landscape) -> Iterator[str]:
    points = len(probe.alphas)
    if points < 2 or any(one >= two for one, two in zip(probe.alphas, probe.alphas[1:], strict=False)):
        yield "its points are not in order"
    for curve in probe.curves:
        if not len(curve.loss) == len(curve.accuracy) == points:
            yield f"a curve of it has {len(curve.loss)} losses for {points} points"


def _of_potentials(probe: Potentials) -> Iterator[str]:
    spreads = [spread for step in probe.steps for spread in (step.before, step.after) if spread is not None]
    if not probe.low < probe.high:
        yield "its histograms have no width"
    if not spreads or len({len(spread.counts) for spread in spreads}) > 1 or len(spreads[0].counts) < 3:
        yield "its histograms are of different lengths"
    if not all(sum(spread.counts) for spread in spreads):
        yield "a histogram of it is empty"
    if len({(step.layer, step.step) for step in probe.steps}) < len(probe.steps):
        yield "it tells of a layer twice"
    if any(len(layer.quantiles) not in (0, len(QUANTILES)) for layer in probe.thresholds):
        yield f"it has not {len(QUANTILES)} quantiles"
