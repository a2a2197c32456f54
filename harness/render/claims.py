"""The claims and their two verdicts as a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.render.page import Column, Line, Page, Tone
from harness.render.view import OTHER_RECIPE
from harness.statements import Claim, Measured, MeasuredVerdict, Paired, Printed, PrintedVerdict, Ratio
from harness.statements.judging import LEVEL
from harness.stats import Verdict

OWN = {
    PrintedVerdict.SUPPORTED: "agree",
    PrintedVerdict.NOT_SUPPORTED: "disagree",
    PrintedVerdict.NOT_CHECKABLE: "do not say",
}
"""Of the paper's own numbers, in words that cannot be taken for a measurement."""
TONES: dict[str, Tone] = {
    MeasuredVerdict.HOLDS: "good",
    MeasuredVerdict.FAILS: "bad",
    MeasuredVerdict.CANNOT_TELL: "open",
    MeasuredVerdict.NOT_MEASURED: "quiet",
}
COLUMNS = (
    Column(head="#", align="right"),
    Column(head="Claim"),
    Column(head="Section"),
    Column(head="As measured", toned=True),
    Column(head="Own numbers"),
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
        subtitle=where(protocol, preset),
        answer=_answer([m for _, _, m in judged], preset),
        columns=COLUMNS,
        lines=tuple(_line(number, *one) for number, one in enumerate(judged, start=1)),
        notes=_notes([p for _, p, _ in judged], [m for _, _, m in judged], preset),
        records=tuple(_record(*one, protocol, preset) for one in judged),
    ).without_empty_columns()


def where(protocol: str, preset: str | None) -> str:
    return " · ".join(filter(None, [f"protocol {protocol}" * bool(protocol), f"preset {preset}" * bool(preset)]))


def _answer(measured: Sequence[Measured], preset: str | None) -> str:
    """How many of each verdict, as measured."""
    count = {verdict: sum(m.verdict == verdict for m in measured) for verdict in TONES}
    if count[MeasuredVerdict.NOT_MEASURED] == len(measured):
        return "No claim is measured yet."
    told = ", ".join(f"{number} {verdict}" for verdict, number in count.items() if number)
    return f"Of {len(measured)} claims{f', in the smaller experiment of preset {preset}' if preset else ''}: {told}."


def _line(number: int, claim: Claim, printed: Printed, measured: Measured) -> Line:
    judgement = measured.judgement
    return Line(
        tone=TONES[measured.verdict],
        cells=(
            str(number),
            claim.name,
            claim.section,
            verdict_text(measured),
            OWN[printed.verdict],
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


def verdict_text(measured: Measured) -> str:
    """``holds (part, other recipe)``."""
    marks = ["part"] * bool(measured.part) + [str(Verdict.OTHER_RECIPE)] * measured.other_recipe
    return f"{measured.verdict} ({', '.join(marks)})" if marks else str(measured.verdict)


def p_text(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _notes(printed: Sequence[Printed], measured: Sequence[Measured], preset: str | None) -> tuple[str, ...]:
    count = {verdict: sum(p.verdict == verdict for p in printed) for verdict in PrintedVerdict}
    supported, not_supported, not_checkable = (count[verdict] for verdict in OWN)
    notes = [
        f"Own numbers: those that the paper prints, mostly without a spread, agree with {supported} of its claims, "
        f"disagree with {not_supported} and do not say of {not_checkable}. That is arithmetic, not a measurement."
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
    notes += [OTHER_RECIPE] * any(m.other_recipe for m in measured)
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
        "other_recipe": measured.other_recipe,
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
