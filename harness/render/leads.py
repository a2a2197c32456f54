"""Which method leads which: rows of a table that share a setting, seed by seed, and what n seeds tell of it."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.identity.alike import unlike
from harness.plan import Line, Plan
from harness.spec import Cell, Row
from harness.stats import CONFIDENCE, Outcome, Sample, Verdict, averaged, by_seed, holm, p_value, sample
from harness.tables import display, method_label


@dataclass(frozen=True, kw_only=True)
class Lead:
    """Left minus right, in percentage points, over seeds that both have; every seed that was asked for has its pair."""

    left: str
    right: str
    setting: str
    """What both share: data set, network, timesteps; ``average of 5`` of several."""
    differences: tuple[float, ...]
    cells: tuple[tuple[Cell, ...], tuple[Cell, ...]]
    changed: bool
    """The two differ by one change that the table names, not by their method."""
    printed: float | None
    """The difference of the paper's numbers, where this is the paper's experiment."""
    corrected: float | None = None
    """Two-sided p by Holm, over all leads that are told together; None where the seeds have no spread."""

    @property
    def sample(self) -> Sample:
        return sample(self.differences)

    @property
    def mean(self) -> float:
        return sum(self.differences) / len(self.differences)

    @property
    def shown(self) -> bool:
        return self.corrected is not None and self.corrected < 1 - CONFIDENCE

    @property
    def alone(self) -> bool:
        """Told from nothing if it were the only one that was looked at."""
        p = p_value(self.sample)
        return p is not None and p < 1 - CONFIDENCE


def leads(plans: Iterable[tuple[Plan, Mapping[str, Outcome]]]) -> tuple[Lead, ...]:
    """Of all plans together, the same cells once."""
    found: dict[object, Lead] = {}
    for lead in (lead for plan, outcomes in plans for lead in _leads(plan, outcomes)):
        found.setdefault(lead.cells, lead)
    kinds = ([lead for lead in found.values() if lead.changed is changed] for changed in (False, True))
    return tuple(lead for kind in kinds for lead in together(kind))


def together(found: Sequence[Lead]) -> tuple[Lead, ...]:
    """As one family: p corrected for their number."""
    judged = [p for lead in found if (p := p_value(lead.sample)) is not None]
    corrected = iter(holm(judged))
    return tuple(replace(one, corrected=next(corrected) if p_value(one.sample) is not None else None) for one in found)


def average(found: Sequence[Lead]) -> Lead | None:
    """Of the same two methods, over all their settings; None of one alone, or where their seeds differ.

    It is asked for before any single setting, so at 95 % by itself (a gatekeeper: after it the settings, by Holm).
    Its cells are those of the first setting, which say of which methods and seeds it is.
    """
    seeds = {tuple(sorted(cell.seed for cell in lead.cells[0])) for lead in found}
    if len(found) < 2 or len(seeds) > 1:
        return None
    printed = [lead.printed for lead in found if lead.printed is not None]
    return replace(
        found[0],
        setting=f"average of {len(found)}",
        differences=averaged([lead.differences for lead in found]),
        printed=statistics.fmean(printed) if len(printed) == len(found) else None,
        corrected=None,
    )


def _leads(plan: Plan, outcomes: Mapping[str, Outcome]) -> Iterator[Lead]:
    seen: set[object] = set()
    for left, right in _pairs(plan):
        cells = (left.cells, right.cells)
        if cells in seen or left.cells == right.cells:  # stand-ins make one setting of two
            continue
        seen.add(cells)
        sides = [[outcomes.get(cell.key) for cell in side] for side in cells]
        held = [by_seed(side) for side in sides]
        whole = all(len(h) == len(side) > 0 for h, side in zip(held, cells, strict=True))
        if whole and held[0].keys() == held[1].keys() and (plan.mixed or not unlike([*sides[0], *sides[1]])):
            yield _lead(plan, left, right, tuple(held[0][seed] - held[1][seed] for seed in sorted(held[0])))


def _pairs(plan: Plan) -> Iterator[tuple[Line, Line]]:
    """A changed row and its base, where the table names bases; else the row that a setting's others are held against.

    That is the user's own, or the paper's own of the highest printed number: by the measured one would flatter.
    """
    numbered = {line.number: line for line in plan.lines if not line.added}
    if any(line.row.base is not None for line in numbered.values()):
        yield from ((line, base) for line in numbered.values() if (base := numbered.get(line.row.base or 0)))
        return
    settings: dict[object, list[Line]] = {}
    for line in plan.lines:
        if line.cells:
            settings.setdefault((_setting(line.row), line.row.change.text), []).append(line)
    for rows in settings.values():
        first = max(reversed(rows), key=_rank)  # of equals the last: the base comes first
        yield from ((first, other) for other in rows if other is not first)


def _setting(row: Row) -> tuple[str, str, int]:
    return row.dataset, row.architecture, row.timesteps


def _rank(line: Line) -> tuple[bool, bool, float]:
    return line.added, not line.row.cited, line.row.accuracy or 0.0


def _lead(plan: Plan, left: Line, right: Line, differences: tuple[float, ...]) -> Lead:
    dataset, architecture, timesteps = left.cells[0].dataset, left.row.architecture, left.row.timesteps
    setting = (display("dataset", dataset), display("architecture", architecture), f"T = {timesteps}")
    return Lead(
        left=method_label(left.row),
        right=method_label(right.row),
        setting=", ".join(setting),
        differences=differences,
        cells=(left.cells, right.cells),
        changed=left.row.base is not None,
        printed=_printed(plan, left.row, right.row),
    )


def _printed(plan: Plan, left: Row, right: Row) -> float | None:
    if plan.preset or left.cited or right.cited or left.accuracy is None or right.accuracy is None:
        return None
    return left.accuracy - right.accuracy


COUNTED = (Verdict.REPRODUCED, Verdict.ABOVE, Verdict.BELOW)
"""Verdicts against the paper's own numbers."""
