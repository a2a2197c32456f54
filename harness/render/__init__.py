"""Pages to text: `render(page, "markdown")`. What a page says is decided before; here it is only written down.

page = table_page(plan, outcomes)        # or claims_page(...)
print(render(page, "terminal"))
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from harness.errors import UserError, did_you_mean
from harness.plan import Plan
from harness.printable import printable
from harness.render.claims import claims_page
from harness.render.page import Column, Line, Page
from harness.render.view import table_page
from harness.stats import Outcome
from harness.store.probes import Probes

FORMATS = {
    "terminal": "terminal",
    "markdown": "markdown",
    "latex": "latex",
    "html": "html",
    "csv": "records",
    "json": "records",
}
"""Format -> the module of this package that has a function of the format's name, Page -> str."""

__all__ = ["FORMATS", "Column", "Line", "Page", "claims_page", "draw_figure", "render", "table_page"]


DOCUMENTS = ("html", "csv", "json")
"""Formats that know a document, which several pages share: their functions take all of them."""


def render(page: Page | Sequence[Page], form: str = "terminal") -> str:
    """One page, or several, as text without a newline at its end. Raises UserError for an unknown format."""
    if form not in FORMATS:
        raise UserError(f"unknown format `{form}`", "--format", did_you_mean(form, FORMATS))
    write = getattr(importlib.import_module(f"{__name__}.{FORMATS[form]}"), form)
    pages = [_safe(each) for each in ([page] if isinstance(page, Page) else page)]
    return write(*pages).rstrip("\n") if form in DOCUMENTS else "\n\n".join(write(each).rstrip("\n") for each in pages)


def fragment(pages: Sequence[Page]) -> str:
    """HTML to stand in another page, which has a head and a style of its own."""
    from harness.render import html

    return html.fragment(*map(_safe, pages))


def _safe(page: Page) -> Page:
    """Each text in one line, without signs that a terminal obeys. Records are for machines: each format's own."""
    return replace(
        page,
        title=printable(page.title),
        subtitle=printable(page.subtitle),
        answer=printable(page.answer),
        lines=tuple(
            replace(line, group=printable(line.group), cells=tuple(map(printable, line.cells))) for line in page.lines
        ),
        notes=tuple(note for note in map(printable, page.notes) if note.strip()),
    )


def draw_figure(plan: Plan, outcomes: Mapping[str, Outcome], folder: Path, probes: Mapping[str, Probes]) -> list[str]:
    """Writes a planned figure into `folder`; returns what to tell of it, a line each. Raises UserError."""
    from harness.render import figures  # late: it brings matplotlib

    return figures.write(plan, outcomes, folder, probes)
