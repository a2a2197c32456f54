"""What the page is drawn with: curves, markup, colours."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
from outcomes import result
from reader import read

import harness.report
from harness.report import details
from harness.report.chart import curves
from harness.report.markup import element
from harness.report.picture import inlined
from harness.spec import Cell, Recipe
from harness.store.result import Curve


def cell(epochs: int, seed: int = 0) -> Cell:
    return Cell(method="m", architecture="a", dataset="d", timesteps=1, seed=seed, recipe=Recipe(epochs=epochs))


def test_a_curve_with_a_hole_is_broken_there_and_no_part_of_the_mean() -> None:
    whole = result(cell(3, 0), 50.0, curve=Curve(test_accuracy=(10.0, 30.0, 50.0)))
    holed = result(cell(3, 1), 50.0, curve=Curve(test_accuracy=(20.0, math.nan, 90.0)))
    drawn = read(str(curves([whole, holed])))
    lines = [node.attributes["d"] or "" for node in drawn.find("path", class_="seed")][:2]
    assert [line.count("M") for line in lines] == [1, 2] and [line.count("L") for line in lines] == [2, 0]
    assert drawn.find("text", class_="value")[0].text == "50.00"
    assert "nan" not in str(curves([whole, holed]))


def test_a_seed_that_is_no_number_is_told_as_that() -> None:
    seed = details._seed(cell(2), result(cell(2), math.nan))
    assert seed[:3] == ("0", "✗ no number", "nan")


@pytest.mark.parametrize("values", [(), (math.nan,), (math.inf, math.nan)])
def test_no_curve_no_picture(values: tuple[float, ...]) -> None:
    assert curves([result(cell(2), 50.0, curve=Curve(test_accuracy=values))]) is None


@pytest.mark.parametrize("values", [(50.0,), (50.0, 50.0), (0.0, 100.0), (99.98, 99.99)])
def test_any_curve_lies_within_the_axes(values: tuple[float, ...]) -> None:
    drawn = read(str(curves([result(cell(len(values)), 50.0, curve=Curve(test_accuracy=values))])))
    (path,) = [
        node.attributes["d"] or "" for node in drawn.find("path", class_="mean") if node.attributes["d"] != "M0 5H24"
    ]
    points = [tuple(map(float, point.split())) for point in re.split("[ML]", path)[1:]]
    assert len(points) == len(values)
    assert all(44 <= x <= 496 and 11.9 <= y <= 212.1 for x, y in points)


def test_markup_escapes_whatever_it_is_given() -> None:
    assert element("p", "<b>&", title='"x"') == '<p title="&quot;x&quot;">&lt;b&gt;&amp;</p>'
    assert element("p", element("b", "x"), None, hidden=True, id=None) == "<p hidden><b>x</b></p>"


def palettes() -> list[dict[str, str]]:
    """Of `page.css`: in the light, in the dark."""
    blocks = re.findall(r":root \{(.*?)\}", (Path(harness.report.__file__).parent / "page.css").read_text(), re.S)
    found = [dict(re.findall(r"--([\w-]+): (#\w+);", block)) for block in blocks]
    assert len(found) == 2 and found[0].keys() == found[1].keys()
    return found


def luminance(colour: str) -> float:
    """Relative, WCAG 2."""
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_every_colour_stands_out_of_paper_and_panel(scheme: int) -> None:
    colours = palettes()[scheme]
    for name in colours.keys() - {"paper", "panel", "rule"}:
        for ground in ("paper", "panel"):
            darker, lighter = sorted((luminance(colours[name]), luminance(colours[ground])))
            least = 3.0 if name.startswith("series") else 4.5  # a line, or words
            assert (lighter + 0.05) / (darker + 0.05) >= least, (name, ground)


def test_a_picture_is_inlined_without_what_nobody_sees() -> None:
    path = '<path id="m0" d="M 208.587588 -292.843008 \nL 1.5 2 " transform="scale(0.015625)"/>'
    said = str(inlined(f'<svg viewBox="0 0 160 80">{path}</svg>', "a", "title"))
    assert 'id="a-m0" d="M 208.59 -292.84 L 1.5 2 " transform="scale(0.015625)"' in said
