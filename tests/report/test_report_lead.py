"""The answer's picture: a line a setting, and last their average."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

from outcomes import result
from reader import read
from reported import planned

from harness.report.gather import Found
from harness.report.lead import lead
from harness.stats import summarise

SEEN = {1: (50.0, 52.0, 54.0), 2: (51.0, 55.0, 58.0), 3: (60.0, 61.0, 62.0), 4: (65.1, 64.2, 62.9)}


def drawn(accuracies: dict[int, tuple[float, ...]]) -> str:
    plan = planned()
    made = {
        cell.key: result(cell, value)
        for line in plan.lines
        for cell, value in zip(line.cells, accuracies.get(line.number, ()), strict=False)
    }
    sight = SimpleNamespace(plan=plan, outcomes=made, summary=lambda line: summarise(line, plan, made))
    return str(lead(cast("Found", SimpleNamespace(tables=[sight], preset=SimpleNamespace(name="cpu")))))


def test_the_average_stands_below_the_settings() -> None:
    """2.67 and 3.07 points on average; 3.05, 3.1 and 2.45 of the seeds."""
    page = read(drawn(SEEN))
    (forest,) = page.find("svg", class_="forest")
    assert [text.text for text in forest.find("text", class_="value")] == [
        "+2.67 [−1.13, +6.46]",
        "+3.07 [−2.16, +8.29]",
        "+2.87 [+1.97, +3.77]",
    ]
    assert forest.find("text", class_="name")[-1].text == "average of 2"
    assert len(forest.find("circle", class_="dot")) == 9
    assert "Last: the settings averaged, seed by seed." in page.text
    assert "seed by seed" not in drawn({n: SEEN[n] for n in (1, 2)}), "one setting is its own"
