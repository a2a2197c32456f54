"""The whole page: the first screen, then tables, figures, claims, what is missing."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path
from string import Template

from harness import __version__
from harness.plan import Line
from harness.render import table_page
from harness.report.benches import benches
from harness.report.details import details, terms
from harness.report.drawn import Picture, side_by_side
from harness.report.gather import Found, Sight
from harness.report.lead import lead
from harness.report.markup import Html, element, joined, slug
from harness.report.missing import missing
from harness.report.picture import picture, shows
from harness.report.rows import SENTENCE, Section, section, verdict
from harness.report.summary import summary
from harness.tables import display, method_label

BENCHES = Path("results/bench")
"""Where `report` looks for them unless it is told otherwise."""


def document(found: Found, step: Callable[[str], None] = lambda what: None) -> str:
    """The HTML file as text; `step` is told of each picture before it is drawn."""
    with side_by_side([sight for sight in found.figures if shows(sight)]) as draw:
        return _written(found, draw, step)


def _written(found: Found, draw: Callable[[Sight], Picture], step: Callable[[str], None]) -> str:
    taken: set[str] = set()
    tables = [_table(found, sight, _anchor(sight.name, taken)) for sight in found.tables]
    claims = _claims(found, _anchor("claims", taken))
    figures = []
    for sight in found.figures:
        step(f"drawing {sight.name}")
        figures.append(picture(sight, _anchor(f"figure {sight.name}", taken), draw))
    return Template(_form("html")).substitute(
        title=joined(f"Does the number hold? {found.paper.title}"),
        style=_form("css"),
        script=_form("js"),
        paper=element("p", f"{found.paper.title} · {found.paper.authors}, {found.paper.venue}", class_="paper"),
        lead=lead(found),
        summary=summary(found),
        verdicts=_options([*tables, claims]),
        contents=_contents(tables),
        tables=joined(*map(section, tables)),
        figures=joined(*figures) or element("p", "No figure was asked for."),
        claims=section(claims),
        benches=benches(found.benches),
        more=element("li", element("a", "Benches", href="#benches")) if found.benches else "",
        missing=missing(found),
        version=__version__,
        command=joined(_made_by(found)),
    )


def _form(suffix: str) -> str:
    return (files("harness.report") / f"page.{suffix}").read_text(encoding="utf-8")


def _anchor(name: str, taken: set[str]) -> str:
    """An id that no other section has."""
    base = slug(name)
    anchor = next(a for n in range(1, len(taken) + 2) if (a := base if n == 1 else f"{base}-{n}") not in taken)
    taken.add(anchor)
    return anchor


def _table(found: Found, sight: Sight, anchor: str) -> Section:
    return Section(
        anchor=anchor,
        page=table_page(sight.plan, sight.outcomes),
        behind=tuple(details(found, sight, line) for line in sight.plan.lines),
        measured=tuple(bool(sight.summary(line).accuracies) for line in sight.plan.lines),
        tokens=tuple(_tokens(line, number) for number, line in enumerate(sight.plan.lines, start=1)),
    )


def _tokens(line: Line, number: int) -> dict[str, str]:
    """Each by its own name and by the one in print: ``mpbn|MPBN``."""
    row = line.row
    sets = dict.fromkeys((row.dataset, *(cell.dataset for cell in line.cells)))
    return {
        "method": f"{row.method}|{method_label(row)}",
        "network": f"{row.architecture}|{display('architecture', row.architecture)}",
        "dataset": "|".join(dict.fromkeys(part for name in sets for part in (name, display("dataset", name)))),
        "t": str(row.timesteps),
        "row": str(number),
    }


def _claims(found: Found, anchor: str) -> Section:
    page = found.claims
    under = [
        i for i, column in enumerate(page.columns) if column.place in ("under", "beneath") and column.head != SENTENCE
    ]
    behind = (terms({page.columns[i].head: line.cells[i] for i in under}) for line in page.lines)
    measured = [i for i, column in enumerate(page.columns) if column.head == "As measured"]
    return Section(
        anchor=anchor,
        page=page,
        behind=tuple(element("div", one, class_="details") for one in behind),
        measured=tuple(not any("not measured" in line.cells[i] for i in measured) for line in page.lines),
        tokens=tuple({"claim": str(record["claim"]), "row": str(n)} for n, record in enumerate(page.records, start=1)),
    )


def _contents(tables: Sequence[Section]) -> Html:
    """Links to the tables; those to the other parts are in the form."""
    return joined(*(element("li", element("a", one.label, href=f"#{one.anchor}")) for one in tables))


def _options(sections: Sequence[Section]) -> Html:
    """Of the filter: every verdict that occurs."""
    verdicts = dict.fromkeys(verdict(one.page, line) for one in sections for line in one.page.lines)
    return joined(*(element("option", said, value=said) for said in verdicts if said))


def _made_by(found: Found) -> str:
    """The command that made this file, without what only this machine has."""
    shown = found.shown
    words = ["python", "-m", "harness", "report", *([s.name for s in found.sights] if shown.targets else [])]
    for name in ("preset", "protocol", "store"):
        words += [f"--{name}", str(given)] if (given := getattr(shown, name)) else []
    words += ["--bench", str(found.bench)] if found.bench != BENCHES else []
    for name, values in (("only", shown.only), ("plugin", shown.plugin)):
        words += [word for value in values for word in (f"--{name}", value)]
    return shlex.join([*words, "--seeds", ",".join(map(str, shown.seeds))])
