"""What a row is set beside: the row it differs from in one thing, and itself by the recipe that all rows share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.identity.alike import unlike
from harness.plan import Line, Plan
from harness.render.page import rows_text
from harness.render.samples import apart, measured
from harness.spec import Cell
from harness.stats import Outcome, Sample, by_seed, paired, sample


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """A row's place among those that differ in a single thing."""

    base: int | None
    """The row it is compared with; None for one that others are compared with."""
    difference: Sample
    unlike: tuple[str, ...] = ()
    """What changes bits and is not the same in both rows: then no difference is taken, unless asked for."""


@dataclass(frozen=True, kw_only=True)
class Alike:
    """What the recipe that all rows share made of a row that is trained as its own paper does it."""

    accuracies: Sample
    difference: Sample
    """Own minus alike, seed by seed."""
    unlike: tuple[str, ...] = ()
    """As of `Contrast`."""


def contrast(line: Line, plan: Plan, outcomes: Mapping[str, Outcome]) -> Contrast | None:
    """None in a table of which no row names a base."""
    numbered = {other.number: other for other in plan.lines if not other.added}
    if line.row.base is None or line.added:
        named = any(other.row.base == line.number for other in numbered.values())
        return Contrast(base=None, difference=sample(())) if named and not line.added else None
    base = numbered.get(line.row.base)
    difference, differences = _apart(line.cells, base.cells if base else (), plan, outcomes)
    return Contrast(base=line.row.base, difference=difference, unlike=differences)


def alike(line: Line, plan: Plan, outcomes: Mapping[str, Outcome]) -> Alike | None:
    """None where nothing is measured by the common recipe, or that is how the row is trained."""
    if not (found := by_seed(outcomes.get(cell.key) for cell in line.alike)):
        return None
    difference, differences = _apart(line.cells, line.alike, plan, outcomes)
    return Alike(accuracies=sample(list(found.values())), difference=difference, unlike=differences)


def _apart(
    cells: Sequence[Cell], others: Sequence[Cell], plan: Plan, outcomes: Mapping[str, Outcome]
) -> tuple[Sample, tuple[str, ...]]:
    """The difference, seed by seed; none, and why, where they were not computed alike, unless that was asked for."""
    sides = [[outcomes.get(cell.key) for cell in side] for side in (cells, others)]
    if (differences := unlike([*sides[0], *sides[1]])) and not plan.mixed:
        return sample(()), differences
    return paired(*sides), ()


def against_base(contrast: Contrast | None) -> str:
    if contrast is None:
        return ""
    return "base" if contrast.base is None else apart(contrast.difference, contrast.unlike)


def like_for_like(alike: Alike | None, asked: int) -> tuple[str, str]:
    """What the recipe that all rows share gives, and how far the row's own is from it."""
    if alike is None:
        return "", ""
    return measured(alike.accuracies, asked), apart(alike.difference, alike.unlike)


def alike_notes(plan: Plan, found: Sequence[Alike | None]) -> list[str]:
    if not any(found):
        preset = f" --preset {plan.preset}" if plan.preset else ""
        trained = f"run {plan.table.name} --protocol {plan.common}{preset}"
        return [f"Like for like: nothing in this store; what trains it: {trained}."] if plan.common else []
    return [
        "Like for like: the idea of the row's method in the network and recipe that all rows share (protocol "
        f"{plan.common}), from this store. Own − alike: mean over the seeds of the difference, with its t interval at "
        "95 %: what the method's own network and recipe add to the number."
    ]


def contrast_notes(found: Mapping[int, Contrast | None]) -> list[str]:
    """`found`: by the number of the row."""
    compared: dict[int, list[int]] = {}
    for number, contrast in found.items():
        if contrast and contrast.base is not None:
            compared.setdefault(contrast.base, []).append(number)
    if not compared:
        return []
    told = "; ".join(f"{rows_text(numbers)} from row {base}" for base, numbers in compared.items())
    count = sum(map(len, compared.values()))
    return [
        f"Δ base: mean over the seeds of the difference, seed by seed ({told}), with its t interval at 95 %; "
        f"{count} comparisons, each at 95 % by itself.",
        "Best−last: mean±std over the seeds of the best epoch's test accuracy minus the last's, what choosing "
        "the epoch on the test set adds.",
    ]


def alike_record(alike: Alike | None) -> dict[str, object]:
    accuracies, difference = (alike.accuracies, alike.difference) if alike else (sample(()), sample(()))
    low, high = difference.interval or (None, None)
    return {
        "alike_accuracy": accuracies.mean,
        "alike_std": accuracies.std,
        "alike_n": accuracies.n if alike else None,
        "alike_difference": difference.mean,
        "alike_low": low,
        "alike_high": high,
    }


def contrast_record(contrast: Contrast | None, base: int | None) -> dict[str, object]:
    difference = contrast.difference if contrast else sample(())
    low, high = difference.interval or (None, None)
    return {
        "base": base,
        "base_difference": difference.mean,
        "base_low": low,
        "base_high": high,
        "base_n": difference.n if base is not None else None,
    }
