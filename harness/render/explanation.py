"""The whole arithmetic of one claim's verdict as a page: every step, to be computed again by hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.amounts import MINUS
from harness.render.claims import TONES, verdict_text, where
from harness.render.page import Column, Line, Page, Tone
from harness.render.view import OTHER_RECIPE
from harness.statements import Claim, Fold, Measured, MeasuredVerdict, Paired, Printed, Ratio
from harness.statements.judging import LEVEL, MOST_SEEDS, judge_fold, judge_ratio, judgeable, one_sided, widened
from harness.statements.measured import told_difference, told_range, told_ratio
from harness.stats import quantile

STEPS = (
    Column(head="Step"),
    Column(head="Left", align="right"),
    Column(head="Right", align="right"),
    Column(head="Value", align="right"),
    Column(head="How"),
)
Step = tuple[str, float | None, float | None, float | None, str]
"""What, left, right, value, how it comes about."""


def explained(
    claim: Claim,
    printed: Printed,
    measured: Measured,
    commands: Sequence[str] = (),
    *,
    protocol: str = "",
    preset: str | None = None,
) -> Page:
    """All that a verdict comes from, to be computed again by hand; `commands`: what trains what is missing."""
    groups: list[tuple[str, list[Step]]] = [
        (f"{part.label} ({part.what})", list(_compared(part)))
        for part in (*measured.paired, *measured.outside)
        if isinstance(part, Paired)
    ]
    groups += [(fold.label, [_folded(fold)]) for fold in measured.folds]
    groups += [
        (f"{ratio.timing.subject} / {ratio.timing.reference}, {ratio.label}, {ratio.device}", list(_timed(ratio, all_)))
        for all_ in [len(measured.ratios)]
        for ratio in measured.ratios
    ]
    if measured.judgement is not None:
        groups.append(("the claim", list(_claimed(measured))))
    steps = [(group, step) for group, found in groups for step in found]
    notes = [
        f"The paper says ({claim.section}): {claim.text}",
        f"As printed: {printed.verdict}" + "".join(f"; {line}" for line in printed.arithmetic),
        f"As measured: {measured.verdict}" + (f"; {measured.needs}" if measured.needs else "") + f". {_rule(measured)}",
        *([claim.note] if claim.note else []),
        *([OTHER_RECIPE] if measured.other_recipe else []),
        *(f"To train or measure what is missing: {command}" for command in commands),
    ]
    return Page(
        title=f"Claim {claim.name}: {verdict_text(measured)}",
        subtitle=where(protocol, preset),
        group="Comparison",
        columns=STEPS,
        lines=tuple(_step_line(group, step, TONES[measured.verdict]) for group, step in steps),
        notes=tuple(notes),
        records=tuple(
            {
                "claim": claim.name,
                "comparison": group,
                **dict(zip(("step", "left", "right", "value", "how"), step, strict=True)),
            }
            for group, step in steps
        ),
    )


def _step_line(group: str, step: Step, tone: Tone) -> Line:
    what, left, right, value, how = step
    return Line(group=group, tone=tone, cells=(what, _number(left), _number(right), _number(value), how))


def _number(value: float | None) -> str:
    """Two decimals where they tell it, else four significant figures."""
    if value is None:
        return ""
    text = f"{value:.2f}" if round(value, 2) == round(value, 9) else f"{value:.4g}"
    return text.replace("-", MINUS)


def _compared(part: Paired) -> Iterator[Step]:
    for pair in part.pairs:
        yield f"seed {pair.seed}", pair.left, pair.right, pair.difference, f"left {MINUS} right"
    yield from (("", None, None, None, text) for text in (*part.lacking, *part.notes))
    spread = part.sample
    if spread.mean is None:
        yield "claimed", None, None, None, told_range(part.low, part.high)
        return
    yield "mean", None, None, spread.mean, f"of {part.n} difference{'s' * (part.n != 1)}, in {part.unit}"
    if spread.std is None or spread.interval is None:
        yield "claimed", None, None, None, f"{told_range(part.low, part.high)}; one pair has no spread"
        return
    n, std = part.n, spread.std
    yield "sd", None, None, std, f"divided by n {MINUS} 1 = {n - 1}"
    t = quantile(n - 1)
    yield "95 % interval", *spread.interval, t, f"mean ± t(.975, {n - 1}) · sd / √{n}; t in the last column"
    if not judgeable(part):
        why = "no spread to judge by" if part.complete else f"{part.n} of {part.asked} pairs: not judged yet"
        yield "claimed", None, None, None, f"{told_range(part.low, part.high)}; {why}"
        return
    for bound in part.bounds:
        how = f"(mean {MINUS} {bound:g}) / (sd / √{n})"
        yield "t", None, None, (spread.mean - bound) / (std / n**0.5), how
    inside, outside = one_sided(part)
    said = told_range(part.low, part.high)
    yield "p of holds", None, None, inside, f"one-sided: that it is not {said}"
    yield "p of fails", None, None, outside, f"one-sided: that it is {said}"


def _folded(fold: Fold) -> Step:
    said = f"{judge_fold(fold)}: {fold.n} networks, {fold.spikes:,} spikes compared, {fold.failed} failed proofs"
    return "changed", None, None, (sum(fold.shares) / fold.n if fold.n else None), said


def _timed(ratio: Ratio, settings: int) -> Iterator[Step]:
    timing, control = ratio.timing, ratio.control
    yield "ratio", timing.low, timing.high, timing.ratio, f"medians of {ratio.rounds} rounds, {ratio.clock} clock; ends"
    if control is not None:
        yield "A/A control", control.low, control.high, control.ratio, "the reference against itself; ends"
    yield "widened", *widened(ratio, settings), None, f"for {settings} settings, by which it may fail"
    yield "verdict", None, None, None, f"{judge_ratio(ratio, settings)}: claimed {told_range(ratio.low, ratio.high, 3)}"


def _claimed(measured: Measured) -> Iterator[Step]:
    j = measured.judgement
    assert j is not None
    judged = sum(map(judgeable, measured.paired))
    every = f"the largest p of holds of {judged}" if j.whole else f"only {judged} of {len(measured.paired)} are judged"
    yield "p of holds", None, None, j.holds, every
    yield "p of fails", None, None, j.fails, f"the smallest p of fails, times {j.bounds}"
    yield "p", None, None, j.p, "twice the smaller"
    factor = j.family - j.step + 1
    how = f"Holm: number {j.step} of {j.family}, from the smallest; times {factor}, not below the one before"
    yield "p (Holm)", None, None, j.corrected, how
    yield "verdict", None, None, None, f"{j.verdict}: {'below' if j.corrected < LEVEL else 'not below'} {LEVEL:.2f}"
    if j.verdict == MeasuredVerdict.CANNOT_TELL:
        level = LEVEL / factor / (j.bounds if j.towards == MeasuredVerdict.FAILS else 1)
        how = f"at which the expected interval decides, at 1 {MINUS} {_number(level)}; {told_difference(j.decisive)}"
        if j.seeds is None:
            how = f"no number of seeds up to {MOST_SEEDS} is expected to decide it"
        elif not j.whole:
            how += "; of what is judged now"
        yield "seeds", None, None, None if j.seeds is None else float(j.seeds), how


def _rule(measured: Measured) -> str:
    if measured.ratios:
        shown = measured.shown
        assert isinstance(shown, Ratio)
        return f"Rule: in every setting interval and control must allow it; the least clear is {told_ratio(shown)}."
    if measured.folds:
        return "Rule: not one spike may change in any network with a proof."
    if not measured.paired and not measured.outside:
        return "Nothing that it could be judged by is here."
    return (
        "Rule: it holds when every comparison is shown to be as claimed (the largest p counts), it fails when one is "
        "shown not to be (the smallest, times their number); p by Holm over the claims of this store."
    )
