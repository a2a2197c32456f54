"""What was tried on a device, as pages: what holds, what fails, what was left out; and how fast cells train there."""

from __future__ import annotations

from collections import Counter

import msgspec

from harness.measure.spec import Benched
from harness.measure.tried import Check, Outcome, Speed
from harness.plan import without_seed
from harness.render.page import Column, Line, Page, Tone

STAND_IN = "A processor stood in for a GPU, at tiny sizes: every part ran. No time here means anything."
TONES: dict[Outcome, Tone] = {"holds": "good", "fails": "bad", "measured": "plain", "left out": "open"}
CHECKS = (
    Column(head="Tried"),
    Column(head="Outcome", toned=True),
    Column(head="Detail", place="yields"),
)
SPEEDS = (
    Column(head="Cells"),
    Column(head="Width", align="right"),
    Column(head="Batch", align="right"),
    Column(head="Precision"),
    Column(head="images/s", align="right"),
)


def tried_pages(benched: Benched, where: str) -> list[Page]:
    """Two at most; `where`: the machine, for the last note."""
    notes = (*([STAND_IN] if benched.stand_in else []), where)
    pages = [_checks(benched, notes)] if benched.checks else []
    return [*pages, _speeds(benched, notes)] if benched.speeds else pages


def tally(checks: tuple[Check, ...]) -> str:
    """``41 hold, 1 fails, 3 left out``."""
    counts = Counter(check.outcome for check in checks)
    said = {"holds": "hold", "fails": "fail", "measured": "measured", "left out": "left out"}
    return ", ".join(f"{counts[outcome]} {word}" for outcome, word in said.items() if counts[outcome])


def _checks(benched: Benched, notes: tuple[str, ...]) -> Page:
    return Page(
        title=f"{benched.title}: what holds, what fails, what was left out",
        subtitle=tally(benched.checks),
        group="Section",
        columns=CHECKS,
        lines=tuple(
            Line(group=check.section, tone=TONES[check.outcome], cells=(check.says, check.outcome, check.detail))
            for check in benched.checks
        ),
        notes=notes,
        records=tuple({"bench": benched.bench, **msgspec.structs.asdict(check)} for check in benched.checks),
    ).without_empty_columns()


def _speeds(benched: Benched, notes: tuple[str, ...]) -> Page:
    return Page(
        title="Speed of cells",
        subtitle="whole epochs of the training loop, evaluation included, on samples made up and held in memory",
        columns=SPEEDS,
        lines=tuple(map(_speed, benched.speeds)),
        notes=notes,
        records=tuple(
            {
                "bench": benched.bench,
                "cell": without_seed(speed.cell.label),
                "width": speed.cell.recipe.width,
                "batch": speed.cell.recipe.batch,
                "precision": speed.cell.recipe.precision,
                "images_per_second": speed.images_per_second,
            }
            for speed in benched.speeds
        ),
    )


def _speed(speed: Speed) -> Line:
    recipe = speed.cell.recipe
    sizes = (f"{recipe.width:g}", str(recipe.batch), recipe.precision)
    return Line(cells=(without_seed(speed.cell.label), *sizes, f"{speed.images_per_second:,.0f}"))
