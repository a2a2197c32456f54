"""The claims and their two verdicts as a page; the whole arithmetic of one as several."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from harness.claims import Claim, Fold, Measured, MeasuredVerdict, Paired, Printed, PrintedVerdict, Ratio
from harness.claims.judging import LEVEL, MOST_SEEDS, judge_fold, judge_ratio, judgeable, one_sided, widened
from harness.claims.measured import told_difference, told_range, told_ratio
from harness.claims.printed import MINUS
from harness.render.page import Column, Line, Page, Tone
from harness.stats import quantile

TONES: dict[str, Tone] = {
    PrintedVerdict.SUPPORTED: "good",
    PrintedVerdict.NOT_SUPPORTED: "bad",
    PrintedVerdict.NOT_CHECKABLE: "quiet",
}
VERDICT_TONES: dict[str, Tone] = {
    MeasuredVerdict.HOLDS: "good",
    MeasuredVerdict.FAILS: "bad",
    MeasuredVerdict.CANNOT_TELL: "open",
    MeasuredVerdict.NOT_MEASURED: "quiet",
}
COLUMNS = (
    Column(head="#", align="right"),
    Column(head="Claim"),
    Column(head="Section"),
    Column(head="As printed", toned=True),
    Column(head="As measured"),
    Column(head="Effect [95 %]", place="beneath"),
    Column(head="n", align="right", place="beneath"),
    Column(head="p (Holm)", align="right", place="beneath"),
    Column(head="The paper says", place="under"),
    Column(head="Printed numbers", place="under"),
    Column(head="Measured", place="under"),
    Column(head="To decide it", place="under"),
    Column(head="Note", place="under"),
)
NOTHING = Measured(verdict=MeasuredVerdict.NOT_MEASURED)


def claims_page(
    claims: Sequence[Claim],
    printed: Mapping[str, Printed],
    measured: Mapping[str, Measured],
    *,
    protocol: str = "",
    preset: str | None = None,
) -> Page:
    """`printed` and `measured` by the claim's name; one that is not in `measured` was not looked for."""
    judged = [(claim, printed[claim.name], measured.get(claim.name, NOTHING)) for claim in claims]
    return Page(
        title="Claims of the paper",
        subtitle=_where(protocol, preset),
        columns=COLUMNS,
        lines=tuple(_line(number, *one) for number, one in enumerate(judged, start=1)),
        notes=_notes([p for _, p, _ in judged], [m for _, _, m in judged], preset),
        records=tuple(_record(*one, protocol, preset) for one in judged),
    ).without_empty_columns()


def _where(protocol: str, preset: str | None) -> str:
    return " · ".join(filter(None, [f"protocol {protocol}" * bool(protocol), f"preset {preset}" * bool(preset)]))


def _line(number: int, claim: Claim, printed: Printed, measured: Measured) -> Line:
    judgement = measured.judgement
    return Line(
        tone=TONES[printed.verdict],
        cells=(
            str(number),
            claim.name,
            claim.section,
            str(printed.verdict),
            str(measured.verdict) + " (part)" * bool(measured.part),
            measured.effect,
            str(measured.n or ""),
            p_text(judgement.corrected) if judgement else "",
            claim.text,
            "; ".join(printed.arithmetic),
            "; ".join(measured.detail),
            measured.needs,
            claim.note,
        ),
    )


def p_text(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _notes(printed: Sequence[Printed], measured: Sequence[Measured], preset: str | None) -> tuple[str, ...]:
    count = {verdict: sum(p.verdict == verdict for p in printed) for verdict in PrintedVerdict}
    notes = [
        ", ".join(f"{count[verdict]} {verdict}" for verdict in PrintedVerdict)
        + " by the paper's own printed numbers, whose spread it mostly does not give.",
    ]
    family = max((m.judgement.family for m in measured if m.judgement), default=0)
    if family:
        notes.append(
            "As measured: paired t tests over seeds; a claim holds where all its comparisons are shown, fails where "
            f"one is shown to be the other way; p by Holm over the {family} claim{'s' * (family != 1)} that this store "
            f"can judge, below {100 * LEVEL:g} %. Effect: the comparison it hangs on, its 95 % interval not corrected. "
            "claims --explain CLAIM shows the arithmetic."
        )
    if any(m.ratios for m in measured):
        notes.append(
            "Times: ratios of medians with bootstrap intervals over rounds, judged in every setting beside an A/A "
            "control; outside the family."
        )
    if any(m.part for m in measured):
        notes.append(
            "(part): the preset leaves some comparisons of the claim out, and the verdict does not speak of them."
        )
    if preset:
        notes.append(f"Measured under preset {preset}, which is not the paper's experiment.")
    return tuple(notes)


def _record(claim: Claim, printed: Printed, measured: Measured, protocol: str, preset: str | None) -> dict[str, object]:
    judgement, shown = measured.judgement, measured.shown
    value, low, high, unit = _effect(shown)
    return {
        "claim": claim.name,
        "section": claim.section,
        "text": claim.text,
        "protocol": protocol,
        "preset": preset,
        "as_printed": str(printed.verdict),
        "as_measured": str(measured.verdict),
        "part": measured.part,
        "effect": value,
        "effect_low": low,
        "effect_high": high,
        "unit": unit,
        "of": shown.label if shown else "",
        "n": measured.n,
        "p": judgement and float(f"{judgement.p:.4g}"),
        "p_holm": judgement and float(f"{judgement.corrected:.4g}"),
        "family": judgement.family if judgement else 0,
        "more_seeds": judgement and judgement.more,
        "to_decide": measured.needs,
        "arithmetic": "; ".join(printed.arithmetic),
        "measured": "; ".join(measured.detail),
        "note": claim.note,
    }


def _effect(shown: Paired | Ratio | None) -> tuple[float | None, float | None, float | None, str]:
    if isinstance(shown, Ratio):
        return round(shown.timing.ratio, 4), round(shown.timing.low, 4), round(shown.timing.high, 4), "times"
    if shown is None or shown.sample.mean is None:
        return None, None, None, ""
    low, high = (None if end is None else round(end, 4) for end in shown.sample.interval or (None, None))
    return round(shown.sample.mean, 4), low, high, shown.unit


# --- The arithmetic of one claim --------------------------------------------------------------------------------------

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
        *(f"To train or measure what is missing: {command}" for command in commands),
    ]
    return Page(
        title=f"Claim {claim.name}: {measured.verdict}",
        subtitle=_where(protocol, preset),
        group="Comparison",
        columns=STEPS,
        lines=tuple(_step_line(group, step, VERDICT_TONES[measured.verdict]) for group, step in steps),
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
