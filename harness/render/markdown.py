"""Markdown: a pipe table, then the notes as a list."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.render.page import Page


def markdown(page: Page) -> str:
    rule = ["--:" if align == "right" else ":--" for align in page.aligns]
    table = [_row(page.heads), _row(rule), *_lines(page)]
    head = [f"**{_escape(page.title)}**" + (f" ({_escape(page.subtitle)})" if page.subtitle else ""), ""]
    head += [_escape(page.answer), ""] if page.answer else []
    notes = [f"- {_escape(note)}" for note in page.notes]
    return "\n".join([*head, *table, *([""] if notes else []), *notes])


def _lines(page: Page) -> Iterator[str]:
    for line, cells in zip(page.lines, page.flat(), strict=True):
        strong = {i + bool(page.group and i) for i in line.strong}
        texts = (f"**{_escape(cell)}**" if i in strong else _escape(cell) for i, cell in enumerate(cells))
        yield f"| {' | '.join(texts)} |"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(_escape(cell) for cell in cells)} |"


def _escape(text: str) -> str:
    """Only what Markdown would take for markup: a bar ends a cell, ``[45]`` may become a link."""
    for sign in ("\\", "|", "*", "_", "`", "[", "]", "<"):
        text = text.replace(sign, f"\\{sign}")
    return text.replace("\n", " ")
