"""A table as a paper prints it: methods by data sets, in bold the best of each column and what ties with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.identity.alike import unlike
from harness.plan import Line as Planned
from harness.plan import Plan
from harness.render.page import Column, Line, Page
from harness.stats import CONFIDENCE, Outcome, RowSummary, Verdict, by_seed, holm, p_value, sample, summarise
from harness.tables import display, method_label, table_label

MOST = 6
"""Columns of data sets and timesteps; where there would be more, the timesteps go to the rows."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A row of the table that has a number to show."""

    line: Planned
    summary: RowSummary
    accuracies: Mapping[int, float]
    outcomes: tuple[Outcome, ...]

    @property
    def whole(self) -> bool:
        """Every seed that was asked for: a mean over those that finished would flatter."""
        return bool(self.line.cells) and len(self.accuracies) == len(self.line.cells)


def compact_page(plan: Plan, outcomes: Mapping[str, Outcome]) -> Page:
    """Measured numbers alone; rows that nothing is measured of are left out."""
    entries = [entry for line in plan.lines if (entry := _entry(line, plan, outcomes)).accuracies]
    groups: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        groups.setdefault((_dataset(entry.line), f"T = {entry.line.row.timesteps}"), []).append(entry)
    wide = len(groups) > MOST
    heads = list(dict.fromkeys(dataset if wide else f"{dataset}, {steps}" for dataset, steps in groups))
    places: dict[tuple[str, ...], dict[str, Entry]] = {}
    for (dataset, steps), held in groups.items():
        for entry in held:
            side = (*_side(entry.line), *([steps] if wide else []))
            places.setdefault(side, {}).setdefault(dataset if wide else f"{dataset}, {steps}", entry)
    best = {id(entry) for held in groups.values() for entry in _best(held, plan)}
    columns = [Column(head=head) for head in ("Method", "Network", *(["T"] if wide else []))]
    first = len(columns)
    columns += [Column(head=head, align="right") for head in heads]
    lines = []
    for side, its in places.items():
        found = [its.get(head) for head in heads]
        bold = frozenset(first + i for i, entry in enumerate(found) if entry and id(entry) in best)
        lines.append(Line(cells=(*side, *map(_cell, found)), strong=bold))
    return Page(
        title=f"{table_label(plan.table.name)}, compact · {plan.table.title}",
        subtitle=f"protocol {plan.protocol}" + (f" · preset {plan.preset}" if plan.preset else ""),
        columns=tuple(columns),
        lines=tuple(lines),
        notes=_notes(plan, entries),
        records=tuple(
            {"method": side[0], "network": side[1], **({"timesteps": side[2]} if wide else {})}
            | {head: _mean(its.get(head)) for head in heads}
            for side, its in places.items()
        ),
    )


def _entry(line: Planned, plan: Plan, outcomes: Mapping[str, Outcome]) -> Entry:
    held = tuple(outcomes.get(cell.key) for cell in line.cells)
    return Entry(line=line, summary=summarise(line, plan, outcomes), accuracies=by_seed(held), outcomes=held)


def _side(line: Planned) -> tuple[str, str]:
    own = " (yours)" if line.added else ""
    return method_label(line.row) + own, display("architecture", line.row.architecture)


def _dataset(line: Planned) -> str:
    """What is trained on, where that is another than the row's."""
    return display("dataset", line.cells[0].dataset if line.cells else line.row.dataset)


def _best(entries: Sequence[Entry], plan: Plan) -> list[Entry]:
    """Of one data set at one T: the highest mean, and all that paired t tests do not tell from it (Holm over them)."""
    able = [entry for entry in entries if entry.whole and entry.summary.verdict != Verdict.UNLIKE]
    if len(able) < 2:
        return []
    first = max(able, key=lambda entry: entry.summary.sample.mean or 0.0)
    others = [entry for entry in able if entry is not first]
    ps = [_p(first, other, plan) for other in others]
    corrected = holm(ps)
    return [first, *(entry for entry, p in zip(others, corrected, strict=True) if p >= 1 - CONFIDENCE)]


def _p(first: Entry, other: Entry, plan: Plan) -> float:
    """1 where the two cannot be compared seed by seed: then nothing tells them apart."""
    if first.accuracies.keys() != other.accuracies.keys():
        return 1.0
    if unlike([*first.outcomes, *other.outcomes]) and not plan.mixed:
        return 1.0
    differences = sample([first.accuracies[seed] - other.accuracies[seed] for seed in sorted(first.accuracies)])
    p = p_value(differences)
    return p if p is not None else float(not differences.mean)


def _cell(entry: Entry | None) -> str:
    if entry is None:
        return "–"
    spread, asked = entry.summary.sample, len(entry.line.cells)
    std = "" if spread.std is None else f"±{spread.std:.2f}"
    return f"{spread.mean:.2f}{std}" + ("" if entry.whole else f" ({spread.n} of {asked})")


def _mean(entry: Entry | None) -> float | None:
    return None if entry is None or entry.summary.sample.mean is None else round(entry.summary.sample.mean, 4)


def _notes(plan: Plan, entries: Sequence[Entry]) -> tuple[str, ...]:
    if not entries:
        return ("Nothing of it is measured yet.",)
    n = " or ".join(map(str, sorted({entry.summary.sample.n for entry in entries})))
    report = {cell.recipe.report for entry in entries for cell in entry.line.cells}
    epoch = "the best epoch, chosen on the test set" if report == {"best"} else "the last epoch"
    notes = [
        f"Test accuracy in percent of {epoch}, mean±sample standard deviation over n = {n} seeds. Bold: the "
        "highest mean at a T, and all that a paired t test over seeds does not tell from it (5 %, Holm)."
    ]
    if plan.preset:
        notes.append(f"Preset {plan.preset} is not the paper's experiment.")
    return tuple(notes)
