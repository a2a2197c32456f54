"""A badge of one row, for the page of whoever made its method: its verdict, n and number. None without a verdict."""

from __future__ import annotations

from dataclasses import replace
from html import escape

from harness.errors import UserError
from harness.plan import Line, Plan
from harness.printable import printable
from harness.report.gather import gather
from harness.report.markup import slug
from harness.requests import Badge, Report
from harness.stats import RowSummary, Verdict
from harness.tables import display, method_label

COLOURS = {Verdict.REPRODUCED: "#00624a", Verdict.ABOVE: "#0a58a6", Verdict.BELOW: "#a33a00"}
"""Verdicts that hold a row against the paper's number; each in the colour it has in the report, white on it."""
LEFT = "#3a4048"
LETTER, EDGE, HIGH = 6.7, 8, 22
"""Width of a letter of 11 px, of an edge, and height, in pixels."""


def badge_of(request: Badge) -> tuple[str, str]:
    """The badge of a row by its number in a table, and a name for its file. Raises UserError."""
    found = gather(Report(asked=replace(request.asked, targets=(request.table,))))
    for sight in found.tables:
        for line in sight.plan.lines:
            if line.number == request.row:
                name = slug(sight.name.removesuffix(".toml"))
                return badge(sight.plan, line, sight.summary(line)), f"{name}-row-{line.number}.svg"
    raise UserError(f"has no row {request.row}", request.table, f"type: python -m harness table {request.table}")


def has_verdict(summary: RowSummary) -> bool:
    return summary.verdict in COLOURS


def badge(plan: Plan, line: Line, summary: RowSummary) -> str:
    """SVG. Raises UserError for a row that is not held against its number: there is nothing to boast of."""
    if not has_verdict(summary):
        raise UserError(
            f"has no verdict to show: {summary.verdict}",
            f"{plan.table.name}: row {line.number}",
            f"a badge wants a row that is {', '.join(COLOURS)}: all its seeds, without a preset, on official data",
        )
    row, spread = line.row, summary.sample
    what = f"{method_label(row)} · {display('architecture', row.architecture)}"
    left = printable(f"{what} · {display('dataset', row.dataset)} · T = {row.timesteps}")
    std = f"±{spread.std:.2f}" if spread.std is not None else ""
    return _drawn(
        left, f"{summary.verdict} · n = {spread.n} · {spread.mean:.2f}{std}", COLOURS[Verdict(summary.verdict)]
    )


def _drawn(left: str, right: str, colour: str) -> str:
    first, second = (round(len(text) * LETTER + 2 * EDGE) for text in (left, right))
    told = escape(f"{left}: {right}", quote=True)
    space = "http" + "://www.w3.org/2000/svg"
    middle = HIGH / 2 + 4
    return (
        f'<svg xmlns="{space}" width="{first + second}" height="{HIGH}" role="img" aria-label="{told}">'
        f"<title>{told}</title>"
        f'<rect width="{first}" height="{HIGH}" fill="{LEFT}"/>'
        f'<rect x="{first}" width="{second}" height="{HIGH}" fill="{colour}"/>'
        '<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle">'
        f'<text x="{first / 2:g}" y="{middle:g}" textLength="{first - 2 * EDGE}">{escape(left)}</text>'
        f'<text x="{first + second / 2:g}" y="{middle:g}" textLength="{second - 2 * EDGE}">{escape(right)}</text>'
        "</g></svg>\n"
    )
