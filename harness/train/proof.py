"""The proof that folding changed nothing: the network before and after it, spike by spike, on real test samples."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn

from baselines.folding import (
    coefficients,
    fold_coefficients,
    fold_leaks,
    fold_norms,
    fold_thresholds,
    has_foldable_leak,
    has_foldable_norm,
    has_foldable_threshold,
)
from baselines.network import LONG, Network
from baselines.parts.potential import MPBN
from harness.store.result import FoldProof, LayerCheck, objection

Precision = Literal["float32", "float64"]
Batches = Iterable[tuple[Tensor, Tensor]]


def prove(network: Network, batches: Batches) -> tuple[FoldProof, ...]:
    """Every fold that `network` admits, each proved by itself, in float32 and in float64.

    MPBN, learned thresholds and rectified potentials into thresholds are claimed to be exact in both. MPBN that is
    carried into the leak, normalisation into convolutions, and coefficients into what receives them, round: in float32
    spikes that sit on the threshold may flip and are counted; in float64 not one may. An ANN proves it by
    its logits alone. What is walked through more than `LONG` timesteps has no normalisation that could fold.
    """
    if network.timesteps > LONG:
        return ()
    batches = list(batches)
    networks: dict[Precision, Network] = {"float32": network, "float64": copy.deepcopy(network).double()}
    modules, proofs = list(network.modules()), []
    thresholds = "mpbn-threshold" if any(isinstance(module, MPBN) for module in modules) else "threshold"
    folds = (
        (any(map(has_foldable_threshold, modules)), thresholds, fold_thresholds),
        (any(map(has_foldable_leak, modules)), "mpbn-leak", fold_leaks),
        (any(map(has_foldable_norm, modules)), "norm-conv", fold_norms),
        (bool(coefficients(network.body)), "coefficient", fold_coefficients),
    )
    for precision, before in networks.items():
        for what, fold in ((what, fold) for applies, what, fold in folds if applies):
            exact = fold is fold_thresholds or precision == "float64"
            proofs.append(compare(before, after := fold(before), batches, what, precision, exact))
            before = after
    return tuple(proofs)


@torch.no_grad()
def compare(
    before: Network,
    after: Network,
    batches: Batches,
    fold: str,
    precision: Precision,
    exact: bool,
) -> FoldProof:
    """Run both networks on the same samples and compare every spike of every layer.

    A network with a silent or saturated layer proves nothing and does not pass.
    """
    before.eval()
    after.eval()
    names = list(before.spiking_layers())
    counts = torch.zeros(len(names), 3, dtype=torch.long)  # neurons, spikes, mismatches
    hits, samples, difference = [0, 0], 0, 0.0
    for images, labels in batches:
        with recorded(before) as old, recorded(after) as new:
            logits = before(images), after(images)
        for row, name in zip(counts, names, strict=True):
            s, t = old[name], new[name]
            row += torch.tensor([s.numel(), int(s.sum(dtype=torch.double)), int((s != t).sum())])
        scores = [network.method.readout(y) for network, y in zip((before, after), logits, strict=True)]
        hits = [h + int((y.argmax(1) == labels).sum()) for h, y in zip(hits, scores, strict=True)]
        samples += len(labels)
        difference = max(difference, float((logits[0] - logits[1]).abs().max()))
    layers = tuple(
        LayerCheck(name=name, neurons=n, spikes=s, mismatches=m)
        for name, (n, s, m) in zip(names, counts.tolist(), strict=True)
    )
    why = objection(layers, exact, difference)
    return FoldProof(
        fold=fold,
        precision=precision,
        samples=samples,
        layers=layers,
        logit_difference=difference,
        accuracy_before=100.0 * hits[0] / max(1, samples),
        accuracy_after=100.0 * hits[1] / max(1, samples),
        exact=exact,
        passed=not why,
        why=why,
    )


@contextmanager
def recorded(network: Network) -> Iterator[dict[str, Tensor]]:
    """Name of the layer -> its spikes, filled by a forward pass."""
    spikes: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        return lambda module, inputs, output: spikes.__setitem__(name, output)

    hooks = [layer.register_forward_hook(keep(name)) for name, layer in network.spiking_layers().items()]
    try:
        yield spikes
    finally:
        for hook in hooks:
            hook.remove()
