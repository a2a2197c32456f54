"""The claims and their two verdicts as a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.claims import Claim, Measured, MeasuredVerdict, Printed, PrintedVerdict
from harness.render.page import Column, Line, Page, Tone

TONES: dict[str, Tone] = {
    PrintedVerdict.SUPPORTED: "good",
    PrintedVerdict.NOT_SUPPORTED: "bad",
    PrintedVerdict.NOT_CHECKABLE: "quiet",
}
COLUMNS = (
    Column(head="#", align="right"),
    Column(head="Claim"),
    Column(head="Section"),
    Column(head="As printed", toned=True),
    Column(head="As measured"),
    Column(head="The paper says", place="under"),
    Column(head="Printed numbers", place="under"),
    Column(head="Measured", place="under"),
    Column(head="Note", place="under"),
)


def claims_page(
    claims: Sequence[Claim],
    printed: Mapping[str, Printed],
    measured: Mapping[str, Measured],
    *,
    protocol: str = "",
    preset: str | None = None,
) -> Page:
    """`printed` and `measured` by the claim's name; one that is not in `measured` was not looked for."""
    nothing = Measured(verdict=MeasuredVerdict.NOT_MEASURED, detail=())
    judged = [(claim, printed[claim.name], measured.get(claim.name, nothing)) for claim in claims]
    said = " · ".join(filter(None, [f"protocol {protocol}" * bool(protocol), f"preset {preset}" * bool(preset)]))
    return Page(
        title="Claims of the paper",
        subtitle=said,
        columns=COLUMNS,
        lines=tuple(_line(number, *one) for number, one in enumerate(judged, start=1)),
        notes=_notes([p for _, p, _ in judged], preset),
        records=tuple(_record(*one) for one in judged),
    ).without_empty_columns()


def _line(number: int, claim: Claim, printed: Printed, measured: Measured) -> Line:
    n = f" (n = {measured.n})" if measured.n else ""
    return Line(
        tone=TONES[printed.verdict],
        cells=(
            str(number),
            claim.name,
            claim.section,
            str(printed.verdict),
            f"{measured.verdict}{n}",
            claim.text,
            "; ".join(printed.arithmetic),
            "; ".join(measured.detail),
            claim.note,
        ),
    )


def _notes(printed: Sequence[Printed], preset: str | None) -> tuple[str, ...]:
    count = {verdict: sum(p.verdict == verdict for p in printed) for verdict in PrintedVerdict}
    notes = [
        ", ".join(f"{count[verdict]} {verdict}" for verdict in PrintedVerdict)
        + " by the paper's own printed numbers, whose spread it mostly does not give.",
        "As measured: holds or fails where the 95 % t interval of the seed-matched differences lies wholly on one side "
        "in every comparison of the claim; not corrected for the number of claims.",
    ]
    if preset:
        notes.append(f"Measured under preset {preset}, which is not the paper's experiment.")
    return tuple(notes)


def _record(claim: Claim, printed: Printed, measured: Measured) -> dict[str, object]:
    return {
        "claim": claim.name,
        "section": claim.section,
        "text": claim.text,
        "as_printed": str(printed.verdict),
        "as_measured": str(measured.verdict),
        "n": measured.n,
        "arithmetic": "; ".join(printed.arithmetic),
        "measured": "; ".join(measured.detail),
        "note": claim.note,
    }
