"""A planned table and what the store says of it, as a page: published number, measured number, verdict, evidence."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.amounts import MINUS
from harness.plan import Line as Planned
from harness.plan import Plan
from harness.render import beside
from harness.render.answer import table_answer
from harness.render.page import SUPERSCRIPTS, Column, Line, Page, Tone, rows_text
from harness.render.samples import measured, number
from harness.stats import Outcome, RowSummary, Verdict, reach, seeds_to_decide, summarise
from harness.tables import display, method_label, table_label

TONES: dict[str, Tone] = {
    Verdict.REPRODUCED: "good",
    Verdict.BELOW: "bad",
    Verdict.ABOVE: "high",
    Verdict.INCOMPLETE: "open",
    Verdict.UNLIKE: "open",
    Verdict.NOT_COMPARABLE: "plain",
    Verdict.OTHER_RECIPE: "plain",
    Verdict.UNPUBLISHED: "plain",
}
COLUMNS = (
    Column(head="#", align="right"),
    Column(head="Method"),
    Column(head="Network", place="yields"),
    Column(head="T", align="right"),
    Column(head="Paper", align="right"),
    Column(head="Measured (n)", align="right"),
    Column(head="Like for like (n)", align="right"),
    Column(head="Own − alike [95 %]", align="right", place="yields"),
    Column(head="Δ (limit)", align="right", place="away"),
    Column(head="Δ base [95 %]", align="right"),
    Column(head="Best−last", align="right", place="yields"),
    Column(head="Verdict", toned=True),
    Column(head="Evidence", place="beneath"),
)
OTHER_RECIPE = (
    f"{Verdict.OTHER_RECIPE}: the printed number was made by its own paper's recipe and network, not by this one; "
    "measured is that paper's idea, trained as every row here. Compare measured numbers with each other."
)
"""Beneath whatever shows a measured number of a method beside one that another paper printed of it."""
RESOLUTION = 0.5
"""Percentage points for which the page says how many seeds would tell them: about the smaller gains of Table 1."""


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One row with its summary and the marks of its footnotes."""

    line: Planned
    summary: RowSummary
    mark: str
    contrast: beside.Contrast | None = None
    alike: beside.Alike | None = None

    @property
    def trained_on(self) -> str:
        """The data set of its cells, by its own name; empty where nothing is trained."""
        return display("dataset", self.line.cells[0].dataset) if self.line.cells else ""

    @property
    def group(self) -> str:
        dataset = display("dataset", self.line.row.dataset)
        return dataset if self.trained_on in ("", dataset) else f"{self.trained_on} in place of {dataset}"


def table_page(plan: Plan, outcomes: Mapping[str, Outcome]) -> Page:
    """`plan` beside what the store holds for it (`outcomes` by cell key; an absent key is a missing seed)."""
    notes = dict.fromkeys(line.row.remark for line in plan.lines if line.row.remark)
    numbers = {note: number for number, note in enumerate(notes, start=1)}
    shown = [
        Shown(
            line=line,
            summary=summarise(line, plan, outcomes),
            mark=_mark(numbers.get(line.row.remark)),
            contrast=beside.contrast(line, plan, outcomes),
            alike=beside.alike(line, plan, outcomes),
        )
        for line in plan.lines
    ]
    lines = tuple(_line(row, group) for row, group in zip(shown, _groups(shown), strict=True))
    return Page(
        title=f"{table_label(plan.table.name)} · {plan.table.title}",
        subtitle=f"protocol {plan.protocol}" + (f" · preset {plan.preset}" if plan.preset else ""),
        answer=table_answer(plan, outcomes),
        group="Dataset",
        columns=COLUMNS,
        lines=lines,
        notes=(*(f"{_mark(number)} {note}" for note, number in numbers.items()), *_notes(plan, shown)),
        records=tuple(_record(plan, row) for row in shown),
    ).without_empty_columns()


def _groups(shown: Sequence[Shown]) -> list[str]:
    """Headings of the rows; one without cells goes under that of its data set, so that groups stay together."""
    heading: dict[str, str] = {}
    for row in shown:
        if row.trained_on or row.line.row.dataset not in heading:
            heading[row.line.row.dataset] = row.group
    return [heading[row.line.row.dataset] for row in shown]


def _line(shown: Shown, group: str) -> Line:
    row, summary = shown.line.row, shown.summary
    reference = f" [{row.reference}]" if row.reference is not None else ""
    own = " (yours)" if shown.line.added else ""
    return Line(
        group=group,
        tone=TONES.get(summary.verdict, "quiet"),
        cells=(
            str(shown.line.number),
            f"{method_label(row)}{reference}{own}{shown.mark}",
            display("architecture", shown.line.network),
            str(row.timesteps),
            number(row.accuracy, row.std),
            measured(summary.sample, summary.asked),
            *beside.like_for_like(shown.alike, len(shown.line.alike)),
            _difference(summary),
            beside.against_base(shown.contrast),
            _selection(shown),
            str(summary.verdict),
            summary.evidence,
        ),
    )


def _difference(summary: RowSummary) -> str:
    """Only where the row is judged: a stand-in's distance from the paper's number means nothing."""
    if summary.verdict not in (Verdict.REPRODUCED, Verdict.ABOVE, Verdict.BELOW) or summary.difference is None:
        return ""
    return f"{summary.difference:+.2f} (±{summary.tolerance:.2f})".replace("-", MINUS)


def _selection(shown: Shown) -> str:
    return "" if shown.contrast is None else number(shown.summary.selection.mean, shown.summary.selection.std)


def _notes(plan: Plan, shown: Sequence[Shown]) -> list[str]:
    """Beneath the table: footnotes, what went wrong, what is shown, and how little n seeds can tell."""
    troubles = [f"Row {s.line.number}: {text}" for s in shown for text in s.summary.troubles]
    troubles += _unlike(shown)
    trained = [s for s in shown if s.line.cells]
    if not any(s.summary.accuracies for s in trained):
        return [*plan.table.footnote, *troubles, *_nothing_yet(trained)]
    told = [
        _which_epoch(trained),
        *_own(plan, trained),
        *beside.alike_notes(plan, [row.alike for row in shown]),
        *beside.contrast_notes({row.line.number: row.contrast for row in shown}),
        *_other_recipes(shown),
        *_limits(plan, trained),
    ]
    return [*plan.table.footnote, *troubles, *told]


def _unlike(shown: Sequence[Shown]) -> list[str]:
    """What a mean or a difference over runs that were not computed alike would hide."""
    rows: dict[str, list[int]] = {}
    for row in shown:
        sides = (side.unlike for side in (row.contrast, row.alike) if side is not None)
        for text in dict.fromkeys((*row.summary.unlike, *(text for side in sides for text in side))):
            rows.setdefault(text, []).append(row.line.number)
    if not rows:
        return []
    told = "; ".join(f"{text} ({rows_text(numbers)})" for text, numbers in rows.items())
    return [f"Unlike runs, whose bits differ not by method and seed alone: {told}. --mixed judges them all the same."]


def _nothing_yet(trained: Sequence[Shown]) -> list[str]:
    cells = len({cell for s in trained for cell in s.line.cells})
    return [f"Nothing is measured yet: {cells} cells to train."] if cells else []


def _which_epoch(trained: Sequence[Shown]) -> str:
    report = {cell.recipe.report for s in trained for cell in s.line.cells}
    text = "Measured: mean±sample standard deviation over n seeds, test accuracy in percent of the "
    if report != {"best"}:
        return text + "last epoch."
    best, last = (
        [value for s in trained if (value := getattr(s.summary, name)) is not None] for name in ("best", "last")
    )
    text += "best epoch, as the paper's: chosen on the test set, it flatters"
    if len(best) != len(last):
        return text + "."
    gap = statistics.fmean(best) - statistics.fmean(last)
    return f"{text} (the last epoch is {gap:.2f} points lower on average)."


def _other_recipes(shown: Sequence[Shown]) -> list[str]:
    return [OTHER_RECIPE] * any(row.summary.verdict == Verdict.OTHER_RECIPE for row in shown)


def _own(plan: Plan, trained: Sequence[Shown]) -> list[str]:
    """Where the settings of rows come from that are trained as their own papers do it."""
    if not plan.own:
        return []
    rows: dict[tuple[str, ...], list[int]] = {}
    for row in trained:
        rows.setdefault(row.line.chosen, []).append(row.line.number)
    told = "; ".join(f"{rows_text(numbers)}: {', '.join(names)}" for names, numbers in rows.items() if names)
    whence = "Each row is trained as its own paper or code does it; each setting and its source: show protocol own."
    return [f"{whence} Chosen, where nothing public says it: {told}." if told else whence]


def _limits(plan: Plan, trained: Sequence[Shown]) -> list[str]:
    if plan.preset is not None:
        return [f"Verdict: preset {plan.preset} is not the paper's experiment, so no row is compared with its number."]
    spreads = [s.summary.sample for s in trained if s.summary.sample.std is not None]
    if not spreads:
        return ["Verdict: two seeds at least are needed to judge a row."]
    n = max(spread.n for spread in spreads)
    s = statistics.median(spread.std for spread in spreads if spread.std is not None)
    seeds = seeds_to_decide(RESOLUTION, s)
    return [
        "Verdict: reproduced if |mean − paper| ≤ t·s·√(1/n + 1/k), t at 95 %, k the runs behind the paper's number. "
        f"At n = {n} that is {reach(n, 1):.2f} s against one run, {reach(n, 3):.2f} s against three; "
        f"at the median s here, {s:.2f}, it is {reach(n, 1) * s:.2f} and {reach(n, 3) * s:.2f} points. "
        f"To tell {RESOLUTION:.2f} points from an exact number takes {seeds or 'over 10,000'} seeds at that s."
    ]


def _record(plan: Plan, shown: Shown) -> dict[str, object]:
    """The contract of the command line first, then what it leaves open."""
    row, summary, line = shown.line.row, shown.summary, shown.line
    low, high = summary.sample.interval or (None, None)
    record: dict[str, object] = {
        "table": plan.table.name,
        "row": line.number,
        "dataset": display("dataset", row.dataset),
        "method": method_label(row),
        "architecture": display("architecture", row.architecture),
        "timesteps": row.timesteps,
        "paper_accuracy": row.accuracy,
        "paper_std": row.std,
        "accuracy": summary.sample.mean,
        "std": summary.sample.std,
        "n": summary.sample.n,
        "verdict": str(summary.verdict),
        "reference": row.reference,
        "type": row.type,
        "note": row.note,
        "protocol": plan.protocol,
        "preset": plan.preset,
        "trained_on": shown.trained_on,
        "variant": summary.variant,
        "added": line.added,
        "asked": summary.asked,
        "running": summary.running,
        "missing": summary.missing,
        "difference": summary.difference,
        "limit": summary.tolerance,
        "interval_low": low,
        "interval_high": high,
        "best_accuracy": summary.best,
        "last_accuracy": summary.last,
        "evidence": summary.evidence,
        "unlike": "; ".join(summary.unlike),
        "troubles": "; ".join(summary.troubles),
        "change": row.change.text,
        "network": line.network,
        "reported": "; ".join(f"{other.accuracy:.2f} {other.what}" for other in row.reported),
        "chosen": " ".join(line.chosen),
        **beside.alike_record(shown.alike),
        **beside.contrast_record(shown.contrast, row.base),
        "best_minus_last": summary.selection.mean,
        "best_minus_last_std": summary.selection.std,
    }
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in record.items()}


def _mark(number: int | None) -> str:
    return str(number).translate(dict(enumerate(SUPERSCRIPTS, start=ord("0")))) if number else ""
