"""What a picture of the page offers: a link to it, itself as SVG, its numbers as CSV. Files are made by the script."""

from __future__ import annotations

from harness.report.markup import Html, element
from harness.tables import looks

COLOURS = 7


def own(method: str) -> str:
    """The class of what is drawn of a method, for its colour; one without a colour of its own has that of ink."""
    return f"own-{looks().get(method, COLOURS - 1) % COLOURS + 1}"


def link(anchor: str, text: str, what: str) -> Html:
    """To a part of the page; the script copies the whole address."""
    return element("a", text, href=f"#{anchor}", class_="link", aria_label=f"{text}: {what}")


def offered(figure: Html, numbers: str, name: str, what: str, anchor: str = "") -> Html:
    """A figure with its tools under it; `name`: of the files, `what`: what it shows."""
    tools = [link(anchor, "Link", what)] if anchor else []
    tools += [
        element("button", form.upper(), type="button", data_save=form, aria_label=f"Save as {form.upper()}: {what}")
        for form in ("svg", "csv")
    ]
    held = element("pre", numbers, class_="numbers", hidden=True)
    return element("div", figure, element("p", *tools, class_="tools"), held, class_="plot", data_name=name)
