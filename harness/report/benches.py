"""The recorded benches: every ratio with its interval and verdict, growth, targets, and on which machine."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence

from harness.measure.spec import Benched
from harness.render.bench import bench_pages
from harness.render.page import Line, Page
from harness.render.tried import tally
from harness.report.markup import Html, element, joined, slug
from harness.report.summary import badge

MACHINE = ("device", "cpu", "threads", "neurons")
"""What two benches of one title may differ in."""
SHORT = 24
"""Timings up to which a bench is open from the start."""


def benches(found: Sequence[Benched]) -> Html:
    """A section, or nothing where no bench was recorded."""
    if not found:
        return Html("")
    parts = [
        _bench(benched, title, f"bench-{number}-{slug(benched.bench)}")
        for number, (benched, title) in enumerate(zip(found, _titles(found), strict=True), start=1)
    ]
    reading = "Ratios of times, side by side in one process; no time of one machine is held against that of another."
    return element("section", element("h2", "Benches"), element("p", reading), *parts, id="benches")


def _titles(found: Sequence[Benched]) -> list[str]:
    """None is another's: what the machine did otherwise stands behind those that share theirs, and then a number."""
    titles = [_distinguished(benched, found) for benched in found]
    places = [titles[: place + 1].count(title) for place, title in enumerate(titles)]
    return [
        title if titles.count(title) == 1 else f"{title} ({place})" for title, place in zip(titles, places, strict=True)
    ]


def _distinguished(benched: Benched, found: Sequence[Benched]) -> str:
    others = [other for other in found if other.title == benched.title and other is not benched]
    told = []
    for name in MACHINE:
        own = benched.environment.get(name)
        if own is not None and any(other.environment.get(name) != own for other in others):
            told.append(f"{name}: {own}")
    return f"{benched.title}, {', '.join(told)}" if told else benched.title


def _bench(benched: Benched, title: str, anchor: str) -> Html:
    first, *others = bench_pages(benched)
    machine = str(benched.environment.get("device", ""))
    heading = element("h3", title, element("span", machine, class_="of") if machine else None)
    tables = [_table(first, title)]
    for page in others:
        tables += [element("h4", page.title), _table(page, f"{title}: {page.title}")]
    said = dict.fromkeys(note for page in (first, *others) for note in page.notes)
    notes = element("ul", *(element("li", note) for note in said), class_="notes")
    summary = element("summary", heading, element("span", _tally(benched), class_="tally"))
    short = len(first.lines) <= SHORT
    return element("details", summary, *tables, notes, id=anchor, class_="table", open=short)


def _tally(benched: Benched) -> str:
    """``96 timings: 20 faster, 4 slower``; targets, or what was tried on a GPU, where the bench has some."""
    if benched.checks:
        return tally(benched.checks)
    verdicts = [met.verdict for met in benched.targets] or [timing.verdict for timing in benched.timings]
    counts = Counter(verdict for verdict in verdicts if verdict)
    counted = f"{len(benched.targets)} targets" if benched.targets else f"{len(benched.timings)} timings"
    told = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
    return f"{counted}: {told}" if told else counted


def _table(page: Page, name: str) -> Html:
    """To be scrolled sideways on a phone, by keyboard too."""
    rights = [column.align == "right" for column in page.columns]
    heads = (
        element("th", column.head, scope="col", class_="right" if right else None)
        for column, right in zip(page.columns, rights, strict=True)
    )
    groups = itertools.groupby(page.lines, key=lambda line: line.group)
    table = element(
        "table",
        element("caption", f"{page.subtitle[:1].upper()}{page.subtitle[1:]}."),
        element("thead", element("tr", *heads)),
        *(element("tbody", *_rows(page, group, list(lines))) for group, lines in groups),
        class_="bench",
    )
    return element("div", table, class_="scroll", tabindex=0, role="group", aria_label=name)


def _rows(page: Page, group: str, lines: Sequence[Line]) -> Iterator[Html]:
    if group:
        yield element("tr", element("th", group, scope="rowgroup", colspan=len(page.columns)), class_="setting")
    for line in lines:
        yield element("tr", *(_cell(page, line, i) for i in range(len(page.columns))))


def _cell(page: Page, line: Line, i: int) -> Html:
    column, text = page.columns[i], line.cells[i]
    if column.toned and text:
        return element("td", badge(text, line.tone) if line.tone != "plain" else text)
    if i == 0:
        return element("th", text, scope="row")
    return element("td", joined(text), class_="right" if column.align == "right" else None)
