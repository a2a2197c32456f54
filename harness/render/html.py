"""HTML: one self-contained page, no script, nothing fetched."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from html import escape

from harness.render.page import Page, Tone

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 75em; padding: 0 1em; color: #222; }
h1 { font-size: 1.25em; margin-bottom: .1em; } p { color: #555; }
table { border-collapse: collapse; width: 100%; border-block: 2px solid #222; font-variant-numeric: tabular-nums; }
th, td { padding: .25em .6em; text-align: left; vertical-align: top; }
th, td:not(:last-child) { white-space: nowrap; } thead th { border-bottom: 1px solid #222; }
.right { text-align: right; white-space: nowrap; } tbody tr:nth-child(even) { background: #f5f5f5; }
.good { color: #17692c; } .bad { color: #b3261e; } .high { color: #0b57d0; } .open { color: #8a5a00; }
.quiet { color: #6b6b6b; } .strong { font-weight: bold; } ul { color: #555; font-size: .9em; padding-left: 1.2em; }
@media (prefers-color-scheme: dark) { body { background: #181818; color: #ddd; } p, ul { color: #aaa; }
  table, thead th { border-color: #888; } tbody tr:nth-child(even) { background: #222; }
  .good { color: #7fd394; } .bad { color: #ff8a80; } .high { color: #8ab4f8; } .open { color: #f2c46d; } }
""".strip()


def html(*pages: Page) -> str:
    """In ASCII, so that it is what it says in any encoding."""
    text = "\n".join(
        [
            "<!doctype html>",
            f'<html lang="en"><head><meta charset="utf-8"><title>{escape(pages[0].title)}</title>',
            '<meta name="viewport" content="width=device-width">',
            f"<style>\n{STYLE}\n</style></head><body>",
            fragment(*pages),
            "</body></html>",
        ]
    )
    return text.encode("ascii", "xmlcharrefreplace").decode()


def fragment(*pages: Page) -> str:
    """What stands in the page: for one that has a head and a style already."""
    return "\n".join(line for page in pages for line in _section(page))


def _section(page: Page) -> Iterator[str]:
    subtitle = f"<p>{escape(page.subtitle)}</p>" if page.subtitle else ""
    head = "".join(_cell("th", text, align) for text, align in zip(page.heads, page.aligns, strict=True))
    toned = [i + bool(page.group and i) for i, column in enumerate(page.columns) if column.toned]
    yield f"<h1>{escape(page.title)}</h1>{subtitle}"
    if page.answer:
        yield f"<p><strong>{escape(page.answer)}</strong></p>"
    yield f"<table><thead><tr>{head}</tr></thead><tbody>"
    for cells, line in zip(page.flat(), page.lines, strict=True):
        yield _row(cells, page.aligns, toned, line.tone, {i + bool(page.group and i) for i in line.strong})
    yield "</tbody></table>"
    yield f"<ul>{''.join(f'<li>{escape(note)}</li>' for note in page.notes)}</ul>"


def _row(cells: Sequence[str], aligns: Sequence[str], toned: Sequence[int], tone: Tone, strong: Collection[int]) -> str:
    marks = (f"{tone if i in toned else ''} {'strong' if i in strong else ''}".strip() for i in range(len(cells)))
    marked = zip(cells, aligns, marks, strict=True)
    return f"<tr>{''.join(_cell('td', text, align, mark) for text, align, mark in marked)}</tr>"


def _cell(tag: str, text: str, *classes: str) -> str:
    kept = " ".join(name for name in classes if name and name != "left")
    return f'<{tag} class="{kept}">{escape(text)}</{tag}>' if kept else f"<{tag}>{escape(text)}</{tag}>"
