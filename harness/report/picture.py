"""A drawn figure as a part of the page: its ids its own, its colours those of the page, in the dark too."""

from __future__ import annotations

import re
from collections.abc import Callable

from harness.render.view import table_page
from harness.report.drawn import Picture, drawn
from harness.report.gather import Sight
from harness.report.markup import Html, element
from harness.report.plots import offered

COLOURS = {
    "#ffffff": "--paper", "white": "--paper", "#000000": "--ink", "#595959": "--quiet", "#e5e5e5": "--rule",
    "#0072b2": "--series-1", "#d55e00": "--series-2", "#009e73": "--series-3", "#cc79a7": "--series-4",
    "#56b4e9": "--series-5", "#e69f00": "--series-6",
}  # fmt: skip
"""As they are drawn -> what `page.css` calls them; others stay."""
SMALLEST, LARGEST = 16, 8
"""Points of a picture that are shown a rem wide: on a phone, where it is scrolled, and on a wide screen."""


def shows(sight: Sight) -> bool:
    """Anything that is measured."""
    return any(sight.of(line) for line in sight.plan.lines)


def picture(sight: Sight, anchor: str, drawn: Callable[[Sight], Picture] = drawn) -> Html:
    """From the results; where there are none, that is said instead."""
    title = table_page(sight.plan, {}).title
    label, _, about = title.partition(" · ")
    if not shows(sight):
        heading = element("h3", label, element("span", about, class_="of"))
        return element("section", heading, element("p", "Nothing of it is measured yet."), id=anchor)
    svg, told, numbers = drawn(sight)
    shown = element("div", inlined(svg, anchor, title), class_="scroll", tabindex=0, role="group", aria_label=title)
    caption = element("figcaption", *(element("span", line) for line in told))
    heading = element("h3", title, class_="unseen")  # it stands in the picture
    figure = offered(element("figure", shown, caption, class_="drawn"), numbers, sight.plan.table.name, title, anchor)
    return element("section", heading, figure, id=anchor)


def inlined(svg: str, anchor: str, title: str) -> Html:
    """An SVG file without its head and metadata; `anchor` goes before each of its ids."""
    body = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.S)
    head, _, rest = body.partition(">")
    box = re.search(r'viewBox="([^"]*)"', head)
    name = {"role": "img", "aria_label": title}
    opening = element("svg", class_="figure", viewBox=box[1] if box else None, style=_sizes(box), **name)
    return Html(opening.removesuffix("</svg>") + re.sub("<[^>]*>", lambda tag: _own(tag[0], anchor), rest))


def _sizes(box: re.Match[str] | None) -> str | None:
    """By its width in points, so that the words of a wide picture are no smaller than those of a narrow one."""
    points = float(box[1].split()[2]) if box else 0.0
    return f"min-width: {points / SMALLEST:.1f}rem; max-width: {points / LARGEST:.1f}rem" if points else None


def _own(tag: str, anchor: str) -> str:
    tag = re.sub(r'\bid="', f'id="{anchor}-', tag)
    tag = re.sub(r'(?:xlink:)?href="#', f'href="#{anchor}-', tag).replace("url(#", f"url(#{anchor}-")
    tag = re.sub(r'\b(?:d|x|y)="[^"]*"', lambda places: _rounded(places[0]), tag)
    return re.sub(r"(?<=: )(?:#[0-9a-f]{6}|white)\b", lambda colour: _variable(colour[0]), tag)


def _rounded(places: str) -> str:
    """To a hundredth of a point: what is finer nobody sees, and makes a page a tenth larger."""
    return re.sub(r"\s+", " ", re.sub(r"-?\d+\.\d{3,}", lambda number: f"{float(number[0]):.2f}", places))


def _variable(colour: str) -> str:
    return f"var({COLOURS[colour]})" if colour in COLOURS else colour
