"""CSV and JSON: the records of pages, unrounded by layout, under the same names in both."""

from __future__ import annotations

import csv as delimited
import io

from harness.printable import as_json, inert
from harness.render.page import Page


def csv(*pages: Page) -> str:
    """One head, then the records of all pages."""
    text, records = io.StringIO(), [record for page in pages for record in page.records]
    names = dict.fromkeys(name for record in records for name in record)
    writer = delimited.DictWriter(text, fieldnames=list(names), lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _plain(value) for key, value in record.items()} for record in records)
    return text.getvalue()


def json(*pages: Page) -> str:
    """An object for a page; a list of them for several."""
    whole = [
        {"title": page.title, "subtitle": page.subtitle, "rows": list(page.records), "notes": list(page.notes)}
        for page in pages
    ]
    return as_json(whole[0] if len(whole) == 1 else whole)


def _plain(value: object) -> object:
    """Percent with two decimals where that is all there is, four otherwise; empty where unknown."""
    if isinstance(value, float):
        return f"{value:.2f}" if round(value, 2) == value else f"{value:.4f}"
    if isinstance(value, str):
        return inert(value)
    return str(value).lower() if isinstance(value, bool) else value
