"""CSV and JSON: the records of a page, unrounded by layout, under the same names in both."""

from __future__ import annotations

import csv as delimited
import io
import json as notation

from harness.render.page import Page


def csv(page: Page) -> str:
    text = io.StringIO()
    writer = delimited.DictWriter(text, fieldnames=list(page.records[0]) if page.records else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _plain(value) for key, value in record.items()} for record in page.records)
    return text.getvalue()


def json(page: Page) -> str:
    whole = {"title": page.title, "subtitle": page.subtitle, "rows": list(page.records), "notes": list(page.notes)}
    return notation.dumps(whole, indent=2, ensure_ascii=False, allow_nan=False)


def _plain(value: object) -> object:
    """Percent with two decimals where that is all there is, four otherwise; empty where unknown."""
    if isinstance(value, float):
        return f"{value:.2f}" if round(value, 2) == value else f"{value:.4f}"
    return str(value).lower() if isinstance(value, bool) else value
