"""From a check to everything that the store and the benches hold of it. Judges nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from harness.measure.spec import CONTROL, Benched, Timing
from harness.spec import Table
from harness.statements import pairing
from harness.statements.evidence import Evidence, Fold, Part, Ratio
from harness.statements.spec import Check, Compare, Converges, Costs, Flatter, Folds, Place, Spread, select
from harness.stats import fold_exact
from harness.store.result import Failure, Result

CLOCKS = ("cuda", "cpu")
"""What a ratio is taken from: the first of them that was read. Wall time is disturbed by others."""


def collect(check: Check, tables: Mapping[str, Table], evidence: Evidence) -> Iterator[Part]:
    """Everything that bears on `check`; of comparisons that stand-ins make the same, the first."""
    if isinstance(check, Folds):
        yield from (_fold(place, evidence) for place in select(check.rows, tables))
    elif isinstance(check, Costs):
        yield from _of_most_rounds(list(_ratios(check, evidence.benches)))
    elif isinstance(check, Flatter):
        yield from pairing.flatness(check, tables, evidence)
    elif isinstance(check, Converges):
        yield from pairing.convergence(check, tables, evidence)
    elif isinstance(check, Spread):
        yield from pairing.accuracy(check, (check.low, check.high), tables, evidence)
    elif isinstance(check, Compare) and check.relation == "above":
        yield from pairing.accuracy(check, (check.by, math.inf), tables, evidence)


def _fold(place: Place, evidence: Evidence) -> Fold:
    line = evidence.lines.get((place.table, place.number))
    found = [evidence.outcomes.get(cell.key) for cell in line.cells] if line else []
    shares, spikes = [], 0
    for outcome in found:
        if isinstance(outcome, Result) and fold_exact(outcome) is not None:
            exact = [proof for proof in outcome.proofs if proof.exact]
            compared = sum(layer.neurons for proof in exact for layer in proof.layers)
            spikes += compared
            shares.append(sum(proof.mismatches for proof in exact) / max(compared, 1))
    return Fold(
        label=f"fold of {place.name}, {pairing.dataset(place, line.cells if line else ())}",
        shares=tuple(shares),
        spikes=spikes,
        failed=sum(isinstance(outcome, Failure) and outcome.kind == "fold" for outcome in found),
        outside=pairing.outside(line),
    )


def _ratios(check: Costs, benches: Sequence[Benched]) -> Iterator[Ratio]:
    low, high = check.range
    for benched in benches:
        if benched.bench != check.bench:
            continue
        clock = next((c for c in CLOCKS if any(t.clock == c for t in benched.timings)), "wall")
        mine = [t for t in benched.timings if t.clock == clock and t.reference == check.reference]
        controls = {_key(t): t for t in mine if t.subject == CONTROL}
        for timing in mine:
            if timing.subject == check.subject and timing.setting.timesteps in (
                check.timesteps or (timing.setting.timesteps,)
            ):
                yield Ratio(
                    label=timing.setting.title,
                    device=str(benched.environment.get("device", "")),
                    clock=clock,
                    low=low,
                    high=high,
                    timing=timing,
                    control=controls.get(_key(timing)),
                    rounds=timing.rounds or benched.rounds,
                )


def _of_most_rounds(ratios: Sequence[Ratio]) -> Iterator[Ratio]:
    """Where several records time one setting, a short one does not make a long one less sure: the longest speak."""
    most: dict[tuple[str, str, str], int] = {}
    for ratio in ratios:
        where = (ratio.label, ratio.device, ratio.clock)
        most[where] = max(most.get(where, 0), ratio.rounds)
    return (ratio for ratio in ratios if ratio.rounds == most[ratio.label, ratio.device, ratio.clock])


def _key(timing: Timing) -> bytes:
    """The setting as it is written, and which of its groups: a control speaks of what was interleaved with it."""
    return msgspec.json.encode((timing.setting, timing.group))
