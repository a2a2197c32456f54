"""Markup that cannot be forgotten to be escaped: text is escaped wherever it is not `Html` already.

Control signs, those that turn the order of letters round among them, are written out (`harness.printable`)."""

from __future__ import annotations

import re
from html import escape

from harness.printable import printable_lines


class Html(str):
    """Markup, as `element` makes it."""

    __slots__ = ()


def element(name: str, *children: str | None, **attributes: str | int | bool | None) -> Html:
    """``element("td", "a < b", class_="right")``. A `_` of an attribute is a dash; True is the bare attribute; None
    and False are left out, as are children that are None."""
    given = "".join(_attribute(key, value) for key, value in attributes.items() if value not in (None, False))
    if name in ("input", "meta", "br"):
        return Html(f"<{name}{given}>")
    return Html(f"<{name}{given}>{joined(*children)}</{name}>")


def joined(*children: str | None) -> Html:
    return Html(
        "".join(child if isinstance(child, Html) else escape(printable_lines(child)) for child in children if child)
    )


def slug(text: str) -> str:
    """For an id: letters, digits, dashes."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "part"


def _escaped(text: str) -> str:
    return escape(printable_lines(text))


def _attribute(key: str, value: str | int | bool | None) -> str:
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{_escaped(str(value))}"'
