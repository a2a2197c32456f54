"""What a table found, in a sentence; which method leads which, and what n seeds tell of it."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from outcomes import result
from reported import planned

from harness.plan import Plan, state
from harness.render import render, table_page
from harness.render.answer import table_answer
from harness.render.leads import average, leads
from harness.stats import Outcome, holm, p_value, sample
from harness.store import Store


def outcomes(plan: Plan, accuracies: dict[int, tuple[float, ...]]) -> dict[str, Outcome]:
    """Row number -> accuracy of each seed."""
    return {
        cell.key: result(cell, value)
        for line in plan.lines
        for cell, value in zip(line.cells, accuracies.get(line.number, ()), strict=False)
    }


BARELY = {1: (50.0, 52.0, 54.0), 2: (52.0, 52.5, 57.0), 3: (60.0, 61.0, 62.0), 4: (61.0, 62.9, 63.1)}
CLEARLY = {1: (50.0, 52.0, 54.0), 2: (60.0, 62.1, 64.0), 3: (60.0, 61.0, 62.0), 4: (70.0, 70.9, 72.1)}


def test_nothing_measured_is_said_as_that() -> None:
    assert table_answer(planned("table1", None), {}) == "Not tried yet."
    assert table_answer(planned("table1", "cpu"), {}) == "Not tried yet under preset cpu."


def test_a_lead_that_the_seeds_cannot_tell_is_said_as_that() -> None:
    plan = planned()
    assert table_answer(plan, outcomes(plan, BARELY)) == (
        "Not tried at full size here. In the smaller experiment (preset cpu) MPBN leads baseline by 1.33 to 1.83 "
        "points in all 2 settings; n = 3 cannot tell any of them from nothing, yet shows their average: +1.58 points "
        "[+0.51, +2.65]."
    )


def test_one_that_they_show_too() -> None:
    plan = planned()
    assert table_answer(plan, outcomes(plan, CLEARLY)).endswith(
        "points in all 2 settings; n = 3 shows all and their average: +10.02 points [+9.94, +10.09]."
    )
    turned = {1: CLEARLY[2], 2: CLEARLY[1], 3: CLEARLY[4], 4: CLEARLY[3]}
    assert "MPBN trails baseline by 10.0" in table_answer(plan, outcomes(plan, turned))
    alone = {1: CLEARLY[1], 2: CLEARLY[2]}
    assert "MPBN leads baseline by 10.03 points [+9.89, +10.18] (CIFAR-10, ResNet20, T = 1); n = 3 shows it." in (
        table_answer(plan, outcomes(plan, alone))
    )
    mixed = CLEARLY | {1: CLEARLY[2], 2: CLEARLY[1]}
    assert "leads baseline in 1 of 2 settings (−10.03 to +10.00 points)" in table_answer(plan, outcomes(plan, mixed))


TOGETHER = {1: (50.0, 52.0, 54.0), 2: (51.0, 55.0, 58.0), 3: (60.0, 61.0, 62.0), 4: (65.1, 64.2, 62.9)}


def test_seeds_that_tell_no_setting_may_tell_their_average() -> None:
    """What one setting's seed is short of, the other's has more: 1 + 5.1, 3 + 3.2, 4 + 0.9."""
    plan = planned()
    made = outcomes(plan, TOGETHER)
    assert table_answer(plan, made).endswith(
        "n = 3 cannot tell any of them from nothing, yet shows their average: +2.87 points [+1.97, +3.77]."
    )
    mean = average(leads([(plan, made)]))
    assert mean is not None and mean.differences == pytest.approx((3.05, 3.1, 2.45)) and mean.setting == "average of 2"
    turned = {1: TOGETHER[2], 2: TOGETHER[1], 3: TOGETHER[3], 4: TOGETHER[4]}
    assert "nor their average: +0.20 points" in table_answer(plan, outcomes(plan, turned))


def test_some_settings_shown_and_the_average_not() -> None:
    plan = planned()
    made = outcomes(plan, {1: CLEARLY[1], 2: CLEARLY[2], 3: (60.0, 61.0, 62.0), 4: (40.0, 61.0, 72.0)})
    assert "n = 3 shows 1 of the 2, not their average: " in table_answer(plan, made)


def test_an_average_is_over_the_same_seeds_of_the_same_settings() -> None:
    plan = planned()
    found = leads([(plan, outcomes(plan, CLEARLY))])
    assert average(found[:1]) is None, "one alone is its own"
    others = tuple(tuple(msgspec.structs.replace(cell, seed=cell.seed + 1) for cell in side) for side in found[1].cells)
    assert average([found[0], replace(found[1], cells=others)]) is None  # type: ignore[arg-type]
    printed = [replace(lead, printed=value) for lead, value in zip(found, (1.0, 4.0), strict=True)]
    assert [getattr(average(its), "printed", 0) for its in (printed, [printed[0], found[1]])] == [2.5, None]


def test_of_many_pairs_their_number_is_told() -> None:
    plan = planned("table2", "smoke")
    told = table_answer(plan, outcomes(plan, {line.number: (80.0 + line.number,) * 3 for line in plan.lines}))
    assert "MPBN, InfLoR-SNN, RecDis-SNN style and Real Spike lead in 12 of 15 comparisons at equal settings; " in told


def test_p_is_corrected_for_all_that_is_told_together() -> None:
    plan = planned()
    found = leads([(plan, outcomes(plan, CLEARLY))])
    raw = [p_value(sample(one.differences)) for one in found]
    assert [one.corrected for one in found] == holm([p for p in raw if p is not None]) != raw


@pytest.mark.parametrize("lost", [{}, {4: (61.0, 62.9)}, {4: (61.0, 62.9, math.nan)}])
def test_a_row_that_lacks_a_seed_leads_nothing(lost: dict[int, tuple[float, ...]]) -> None:
    """A mean over the seeds that happened to finish would flatter."""
    plan = planned()
    told = leads([(plan, outcomes(plan, {1: BARELY[1], 2: BARELY[2], 3: BARELY[3]} | lost))])
    assert [one.setting for one in told] == ["CIFAR-10, ResNet20, T = 1"]


def test_runs_that_were_not_computed_alike_lead_nothing() -> None:
    plan = planned()
    made = outcomes(plan, BARELY)
    for line, threads in zip(plan.lines[2:4], (1, 7), strict=True):
        made[line.cells[0].key] = result(line.cells[0], 61.0, environment={"device": "cpu", "threads": threads})
    assert [one.setting for one in leads([(plan, made)])] == ["CIFAR-10, ResNet20, T = 1"]


def test_the_same_cells_are_told_once_wherever_they_stand() -> None:
    plan = planned()
    pages = [(plan, outcomes(plan, BARELY))] * 2
    assert len(leads(pages)) == 2 and leads(pages) == leads(pages[:1])


def test_at_full_size_rows_are_counted_by_verdict_and_the_papers_lead_is_known() -> None:
    plan = planned("table1", None)
    made = outcomes(plan, {1: (90.3, 90.4, 90.6), 2: (80.0, 80.1, 80.2)})
    assert table_answer(plan, made).startswith("Of 12 rows 1 reproduced, 1 below, 10 not judged. MPBN trails baseline")
    (lead,) = leads([(plan, made)])
    assert lead.printed == pytest.approx(92.22 - 90.40)
    (lead,) = leads([(planned(), outcomes(planned(), {1: BARELY[1], 2: BARELY[2]}))])
    assert lead.printed is None, "the paper's lead is not that of a smaller experiment"


def test_a_table_of_changes_says_how_many_do_something() -> None:
    plan = planned("ambiguities")
    made = outcomes(plan, {1: (60.0, 61.0, 62.0), 2: (50.0, 51.1, 52.0), 3: (60.0, 62.0, 61.0)})
    assert table_answer(plan, made).endswith(
        "of 2 changes n = 3 tells 1 from nothing, each by itself, 1 when corrected for the 2 looks (Holm); "
        "the largest: MPBN, surrogate tanh, −9.97 points [−10.11, −9.82]."
    )


def test_the_readme_says_what_the_recorded_results_do() -> None:
    root = Path(__file__).parents[2]
    made = planned()
    said = table_answer(made, state(made, Store(root / "results/cpu")).outcomes)
    assert said in " ".join((root / "README.md").read_text(encoding="utf-8").split()), said


@pytest.mark.parametrize("form", ["terminal", "markdown", "html"])
def test_it_stands_above_the_table(form: str) -> None:
    plan = planned()
    text = " ".join(render(table_page(plan, outcomes(plan, BARELY)), form).split())
    assert 0 < text.index("Not tried at full size here.") < text.index("Measured")
