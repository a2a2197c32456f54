"""A page of the harness as a table to be sorted, filtered and opened: under each line stands what lies behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.render.page import Column, Line, Page
from harness.report.markup import Html, element
from harness.report.plots import link
from harness.report.summary import badge

NARROW = ("Paper", "Measured (n)", "Δ base [95 %]", "Own numbers")
"""Columns that stay on a phone, beside the name and the verdict; the others are told under the row's name there."""
SENTENCE = "The paper says"
"""The column of the claims that names a row better than its name does."""
SHORT = {"T": "T\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}", "Section": "stated in "}
"""What goes before a value where its column is gone; before other numbers its head, before names nothing."""


@dataclass(frozen=True, kw_only=True)
class Section:
    """A page, and of each of its lines what lies behind it, and whether it has a measured number."""

    anchor: str
    page: Page
    behind: tuple[Html, ...]
    measured: tuple[bool, ...]
    tokens: tuple[Mapping[str, str], ...]
    """What each line is found by: ``method`` -> ``mpbn|mpbn element-wise``."""

    @property
    def label(self) -> str:
        """``Table 1``"""
        label = self.page.title.partition(" · ")[0]
        return label[:1].upper() + label[1:]

    @property
    def shown(self) -> list[int]:
        """The columns of the table; the others stand behind its rows."""
        return [i for i, column in enumerate(self.page.columns) if column.place not in ("under", "beneath")]

    @property
    def name(self) -> int:
        """The column by which a row is called and opened."""
        return next(i for i, column in enumerate(self.page.columns) if column.head != "#")

    @property
    def sentence(self) -> int | None:
        return next((i for i, column in enumerate(self.page.columns) if column.head == SENTENCE), None)

    @property
    def grouped(self) -> bool:
        """Whether the groups differ: then they are a column, else told once."""
        return bool(self.page.group) and len({line.group for line in self.page.lines}) > 1

    def kept(self, i: int) -> bool:
        """On a phone."""
        column = self.page.columns[i]
        return i == self.name or column.toned or column.head in NARROW

    def classes(self, i: int) -> str | None:
        names = {"right": self.page.columns[i].align == "right", "wide": not self.kept(i), "name": i == self.name}
        return " ".join(name for name, so in names.items() if so) or None


def verdict(page: Page, line: Line) -> str:
    """By which the row is filtered."""
    return next((line.cells[i] for i, column in enumerate(page.columns) if column.toned), "")


def section(one: Section) -> Html:
    """Closed where nothing is measured: then there is only the paper's side to see."""
    title = one.page.title.partition(" · ")[2]
    heading = element("h3", one.label, element("span", title, class_="of") if title else None)
    count = element("span", f"{sum(one.measured)} of {len(one.measured)} measured", class_="tally")
    notes = element("ul", *(element("li", note) for note in one.page.notes), class_="notes")
    return element(
        "details",
        element("summary", heading, count),
        element("p", one.page.answer, class_="answer") if one.page.answer else None,
        element("div", _table(one), class_="scroll"),
        notes,
        id=one.anchor,
        class_="table",
        open=any(one.measured) or one.sentence is not None,
    )


def _table(one: Section) -> Html:
    heads = []
    for i in one.shown:
        heads.append(_head(one.page.columns[i].head, one.classes(i), before=one.page.columns[i].align == "right"))
        if i == one.name and one.grouped:
            heads.append(_head(one.page.group, "wide"))
    group = one.page.lines[0].group if one.page.group and not one.grouped else ""
    said = " · ".join(filter(None, [one.page.subtitle, group]))
    return element(
        "table",
        element("caption", f"{said[:1].upper()}{said[1:]}. Choose a row to see what lies behind it."),
        element("thead", element("tr", *heads)),
        *(_row(one, number, line) for number, line in enumerate(one.page.lines, start=1)),
        class_="rows" if one.sentence is None else "rows sentences",
    )


def _head(text: str, classes: str | None, *, before: bool = False) -> Html:
    """The sign of the order stands where it moves no head away from its numbers."""
    arrow = element("span", class_="arrow", aria_hidden="true")
    button = element("button", *((arrow, text) if before else (text, arrow)), type="button")
    return element("th", button, scope="col", class_=classes)


def _row(one: Section, number: int, line: Line) -> Html:
    anchor = f"{one.anchor}-row-{number}"
    cells: list[Html] = []
    for i in one.shown:
        if i == one.name:
            cells.append(element("th", *_name(one, line, f"{anchor}-more"), scope="row", class_=one.classes(i)))
            cells += [element("td", line.group, class_="wide")] if one.grouped else []
        else:
            toned = one.page.columns[i].toned
            text = badge(line.cells[i], line.tone) if toned else line.cells[i]
            cells.append(element("td", text, class_=one.classes(i), data_label=one.page.columns[i].head))
    return element(
        "tbody",
        element("tr", *cells, class_="row"),
        element(
            "tr",
            element("td", one.behind[number - 1], _tools(one, number, anchor), colspan=len(cells)),
            id=f"{anchor}-more",
            class_="more",
            hidden=True,
        ),
        id=anchor,
        class_=line.tone,
        data_verdict=verdict(one.page, line),
        data_measured=one.measured[number - 1],
        **{f"data_{key}": value.lower() for key, value in one.tokens[number - 1].items()},
    )


def _tools(one: Section, number: int, anchor: str) -> Html:
    return element("p", link(anchor, "Link to this row", f"row {number} of {one.label}"), class_="tools")


def _name(one: Section, line: Line, opens: str) -> list[Html]:
    """The button that opens the row, and beneath it, on a phone, the columns that are gone."""
    text = line.cells[one.name if one.sentence is None else one.sentence]
    gone = [i for i in one.shown if not one.kept(i) and one.page.columns[i].head != "#"]
    told = [line.group if one.grouped else ""]
    told += [_lead(one.page.columns[i]) + line.cells[i] for i in gone if line.cells[i]]
    return [
        element("button", text, type="button", class_="opens", aria_expanded="false", aria_controls=opens),
        *([element("span", line.cells[one.name], class_="small always")] if one.sentence is not None else []),
        element("span", ", ".join(filter(None, told)), class_="small"),
    ]


def _lead(column: Column) -> str:
    return SHORT.get(column.head, f"{column.head} " if column.align == "right" else "")
