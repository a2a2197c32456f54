"""A user's method beside the rows of a table: two pages, what was learned and what it costs, and rows for LaTeX."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.amounts import MINUS
from harness.comparison import Compared, Finding, spread
from harness.plan import Line as Planned
from harness.render.latex import escape
from harness.render.page import Column, Line, Page, Tone
from harness.stats import CONFIDENCE, Sample, power
from harness.tables import display, method_label, table_label

TONES: dict[Finding, Tone] = {
    Finding.BETTER: "good",
    Finding.WORSE: "bad",
    Finding.IDENTICAL: "high",
    Finding.NO_DIFFERENCE: "plain",
    Finding.INCOMPLETE: "open",
    Finding.UNLIKE: "open",
}
LEARNED = (
    Column(head="Method"),
    Column(head="Against"),
    Column(head="Its accuracy (n)", align="right"),
    Column(head="The other's (n)", align="right"),
    Column(head="Difference [95 %]", align="right"),
    Column(head="p (Holm)", align="right"),
    Column(head="Finding", toned=True),
    Column(head="Conclusion", place="under"),
)
COSTS = (
    Column(head="Method"),
    Column(head="Against"),
    Column(head="Parameters", align="right"),
    Column(head="Training step [95 %]", align="right"),
    Column(head="Folded latency [95 %]", align="right"),
    Column(head="Operations", align="right"),
    Column(head="Energy", align="right"),
)
EFFECT = 2.0
"""Percentage points, whose chance of being found is told."""


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A ratio of times, the user's over the row's."""

    ratio: float
    low: float
    high: float
    verdict: str
    rounds: int

    def __str__(self) -> str:
        return f"×{self.ratio:.2f} [{self.low:.2f}, {self.high:.2f}] {self.verdict}"


@dataclass(frozen=True, kw_only=True)
class Side:
    """What one method needs: parameters, and operations of an inference."""

    parameters: int | None = None
    macs: float | None = None
    acs: float | None = None
    microjoules: float | None = None


@dataclass(frozen=True, kw_only=True)
class Priced:
    """What a comparison costs; what is None was not measured."""

    mine: Side = Side()
    theirs: Side = Side()
    step: Measure | None = None
    latency: Measure | None = None


def comparison_pages(
    found: Sequence[Compared],
    prices: Sequence[Priced],
    *,
    table: str,
    protocol: str,
    preset: str | None,
    notes: Sequence[str] = (),
) -> tuple[Page, Page]:
    """What was learned, with all of it in its records, and what it costs. `prices`: one for each comparison."""
    methods = ", ".join(dict.fromkeys(display("method", c.own.row.method) for c in found))
    subtitle = f"protocol {protocol}" + (f" · preset {preset}" if preset else "")
    learned = Page(
        title=f"{methods} against {table_label(table)}",
        subtitle=subtitle,
        group="Setting",
        columns=LEARNED,
        lines=tuple(map(_learned, found)),
        notes=(*_how_judged(found), *notes),
        records=tuple(_record(c, price, table) for c, price in zip(found, prices, strict=True)),
    )
    costs = Page(
        title="What it costs",
        subtitle="×: over the other's",
        group="Setting",
        columns=COSTS,
        lines=tuple(_costs(c, price) for c, price in zip(found, prices, strict=True)),
        notes=_how_priced(prices),
    )
    return learned, costs.without_empty_columns()


def latex_rows(found: Sequence[Compared]) -> tuple[str, ...]:
    """A row for each setting, to paste into a table with these columns; the first line says which."""
    own = {c.own.number: c for c in found if c.mine.mean is not None}
    return (
        r"% Method & Data set & Network & T & Accuracy (\%), mean and sample standard deviation over n seeds \\",
        *(_latex_row(c.own, c.mine) for c in own.values()),
    )


def _latex_row(line: Planned, mine: Sample) -> str:
    std = rf"$\pm${mine.std:.2f}" if mine.std is not None else ""
    cells = [method_label(line.row), _trained_on(line), display("architecture", line.row.architecture)]
    told = [*map(escape, cells), str(line.row.timesteps), f"{mine.mean:.2f}{std} ({mine.n})"]
    return " & ".join(told) + r" \\"


def _learned(c: Compared) -> Line:
    return Line(
        group=_group(c),
        tone=TONES[c.finding],
        cells=(
            method_label(c.own.row),
            method_label(c.row.row),
            _mean(c.mine),
            _mean(c.theirs),
            _interval(c.difference),
            "" if c.corrected is None else _p(c.corrected),
            str(c.finding),
            conclusion(c),
        ),
    )


def conclusion(c: Compared) -> str:
    """The finding as a sentence."""
    mine, other, n = method_label(c.own.row), method_label(c.row.row), c.difference.n
    if c.finding == Finding.IDENTICAL:
        return f"Identical: {mine} and {other} learned the same, every epoch to the bit, in all {n} pairs."
    if c.finding == Finding.UNLIKE:
        return f"Not judged: the runs of {mine} and {other} were not computed alike ({', '.join(c.unlike)})."
    if c.finding == Finding.INCOMPLETE:
        return f"{n} of {c.asked} pairs are there: nothing is concluded yet."
    if c.finding in (Finding.BETTER, Finding.WORSE):
        size = abs(c.difference.mean or 0.0)
        return f"{mine} is {c.finding} than {other} by {size:.2f} points (p {_p(c.corrected or 0.0)}, n = {n})."
    if c.p is None:
        why = "one pair has no spread" if n == 1 else "all pairs differ by the same, which leaves no spread"
        return f"Cannot tell {mine} from {other} at n = {n}: {why} to judge by."
    if c.more is None:
        return f"No difference shown at n = {n}, nor would 10,000 seeds show one of this size."
    return (
        f"No difference shown at n = {n}; should mean and spread stay as they are, {c.more} more "
        f"seed{'s' * (c.more != 1)} would show one (--seeds)."
    )


def _how_judged(found: Sequence[Compared]) -> list[str]:
    family = found[0].family if found else 0
    notes = [
        "Accuracy: test, of the epoch that the table shows, mean±sample standard deviation over n seeds.",
        "Difference: over pairs of the same seed, recipe and samples, in percentage points, with its t interval at "
        f"95 % by itself. p: paired t test, corrected for {family} comparison{'s' * (family != 1)} by Holm; better or "
        "worse where it is below 0.05, so that of 100 tables without a difference at most 5 would show one.",
    ]
    counts = {c.difference.n for c in found if c.p is not None}
    if family and (std := spread(found)) and len(counts) == 1:
        (n,) = counts
        chance = power(EFFECT, std, n, 1 - (1 - CONFIDENCE) / family)
        notes.append(
            f"At n = {n} and the deviation of the differences here, {std:.2f} points, a true difference of {EFFECT:g} "
            f"points is found with a chance of {100 * chance:.0f} % at least."
        )
    return notes


def _costs(c: Compared, price: Priced) -> Line:
    mine, theirs = price.mine, price.theirs
    return Line(
        group=_group(c),
        cells=(
            method_label(c.own.row),
            method_label(c.row.row),
            _beside(mine.parameters, theirs.parameters, lambda value: f"{value:,.0f}"),
            str(price.step or ""),
            str(price.latency or ""),
            "" if mine.macs is None or mine.acs is None else f"{mine.macs / 1e6:.2f} M MAC, {mine.acs / 1e6:.2f} M AC",
            _beside(mine.microjoules, theirs.microjoules, lambda value: f"{value:.2f} µJ"),
        ),
    )


def _beside(mine: float | None, theirs: float | None, told) -> str:
    if mine is None:
        return ""
    return told(mine) + (f" (×{mine / theirs:.2f})" if theirs else "")


def _how_priced(prices: Sequence[Priced]) -> tuple[str, ...]:
    notes = []
    if rounds := {m.rounds for price in prices for m in (price.step, price.latency) if m is not None}:
        told = f"{min(rounds)} to {max(rounds)}" if len(rounds) > 1 else str(*rounds)
        notes.append(
            f"Times: {told} rounds in one process, interleaved, on noise; ratio of medians with bootstrap interval; "
            "`cannot tell` where the method against its own double strays as far. Training: forward and backward."
        )
    if any(price.mine.macs is not None for price in prices):
        notes.append(
            "Operations of one inference, all timesteps: multiply-accumulates of layers that see real numbers (a still "
            "image's first layer once), accumulates of the others at the firing rates of the fold proof. Energy: "
            "4.6 pJ a MAC, 0.9 pJ an AC (45 nm, Horowitz, ISSCC 2014)."
        )
    return tuple(notes)


def _group(c: Compared) -> str:
    row = c.own.row
    trained, printed = _trained_on(c.own), display("dataset", row.dataset)
    data = trained if trained == printed else f"{trained} in place of {printed}"
    changed = f", {row.change.text}" if row.change.text else ""
    return f"{data}, {display('architecture', row.architecture)}, T = {row.timesteps}{changed}"


def _trained_on(line: Planned) -> str:
    return display("dataset", line.cells[0].dataset)


def _mean(found: Sample) -> str:
    if found.mean is None:
        return "–"
    return f"{found.mean:.2f}" + (f"±{found.std:.2f}" if found.std is not None else "") + f" ({found.n})"


def _interval(found: Sample) -> str:
    if found.mean is None:
        return "–"
    low_high = f" [{found.interval[0]:+.2f}, {found.interval[1]:+.2f}]" if found.interval else ""
    return f"{found.mean:+.2f}{low_high}".replace("-", MINUS)


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _record(c: Compared, price: Priced, table: str) -> Mapping[str, object]:
    row, other = c.own.row, c.row.row
    low, high = c.difference.interval or (None, None)
    record: dict[str, object] = {
        "table": table,
        "dataset": display("dataset", row.dataset),
        "trained_on": _trained_on(c.own),
        "method": method_label(row),
        "architecture": display("architecture", row.architecture),
        "timesteps": row.timesteps,
        "change": row.change.text,
        "against": method_label(other),
        "against_row": c.row.number,
        "accuracy": c.mine.mean,
        "std": c.mine.std,
        "against_accuracy": c.theirs.mean,
        "against_std": c.theirs.std,
        "difference": c.difference.mean,
        "difference_std": c.difference.std,
        "interval_low": low,
        "interval_high": high,
        "n": c.difference.n,
        "asked": c.asked,
        "p": c.p,
        "p_holm": c.corrected,
        "family": c.family,
        "finding": str(c.finding),
        "more_seeds": c.more,
        "conclusion": conclusion(c),
        "latex": _latex_row(c.own, c.mine) if c.mine.mean is not None else "",
    }
    for name, side in (("", price.mine), ("against_", price.theirs)):
        record |= {f"{name}{key}": getattr(side, key) for key in ("parameters", "macs", "acs", "microjoules")}
    for name, measure in (("step", price.step), ("latency", price.latency)):
        for key in ("ratio", "low", "high", "verdict"):
            record[f"{name}_{key}"] = None if measure is None else getattr(measure, key)
    return {key: _rounded(key, value) for key, value in record.items()}


def _rounded(key: str, value: object) -> object:
    if not isinstance(value, float):
        return value
    return float(f"{value:.4g}") if key in ("p", "p_holm") else round(value, 4)
