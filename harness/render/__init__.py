"""Pages to text: `render(page, "markdown")`. What a page says is decided before; here it is only written down.

page = table_page(plan, outcomes)        # or claims_page(...)
print(render(page, "terminal"))
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path

from harness.errors import UserError, did_you_mean
from harness.plan import Plan
from harness.render.claims import claims_page
from harness.render.page import Column, Line, Page
from harness.render.view import table_page
from harness.stats import Outcome

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


def render(page: Page, form: str = "terminal") -> str:
    """`page` as text without a newline at its end. Raises UserError for an unknown format."""
    if form not in FORMATS:
        raise UserError(f"unknown format `{form}`", "--format", did_you_mean(form, FORMATS))
    module = importlib.import_module(f"{__name__}.{FORMATS[form]}")
    return getattr(module, form)(page).rstrip("\n")


def draw_figure(plan: Plan, outcomes: Mapping[str, Outcome], folder: Path) -> list[str]:
    """Writes a planned figure into `folder`; returns what to tell of it, a line each. Raises UserError."""
    from harness.render import figures  # late: it brings pandas and matplotlib

    return figures.write(plan, outcomes, folder)
