"""What a table found, in a sentence or two: against the paper's numbers, and which method leads which."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from harness.amounts import signed
from harness.plan import Plan
from harness.render.leads import COUNTED, Lead, average, leads
from harness.stats import Outcome, RowSummary, summarise

FEW = 2
"""So many pairs of methods are each told by name; of more, how many."""


def table_answer(plan: Plan, outcomes: Mapping[str, Outcome]) -> str:
    """Of one table; of every number how many seeds stand behind it."""
    rows = [summarise(line, plan, outcomes) for line in plan.lines]
    if plan.protocol == "as recorded":
        return ""
    return answer(rows, leads([(plan, outcomes)]), plan.preset)


def answer(rows: Sequence[RowSummary], found: Sequence[Lead], preset: str | None) -> str:
    """`rows`: of all tables that are told of; `found`: the leads among them."""
    measured = [row for row in rows if row.accuracies]
    if not measured:
        return f"Not tried yet under preset {preset}." if preset else "Not tried yet."
    against = "Not tried at full size here." if preset else _against_the_paper(rows)
    told = list(_leading([lead for lead in found if not lead.changed])) + list(
        _changing([lead for lead in found if lead.changed])
    )
    if not told:
        told = ["no two methods have been run in one setting yet" if len(measured) > 1 else "a single row is measured"]
    where = f"in the smaller experiment (preset {preset}) " if preset else ""
    first = where + told[0]
    return " ".join([against, *(f"{text[:1].upper()}{text[1:]}." for text in (first, *told[1:]))])


def _against_the_paper(rows: Sequence[RowSummary]) -> str:
    counts = Counter(row.verdict for row in rows)
    judged = sum(counts[verdict] for verdict in COUNTED)
    if not judged:
        return f"None of {len(rows)} rows can be held against the paper yet."
    parts = [f"{counts[verdict]} {verdict}" for verdict in COUNTED if counts[verdict]]
    rest = len(rows) - judged
    return f"Of {len(rows)} rows {', '.join(parts)}{f', {rest} not judged' if rest else ''}."


def _leading(found: Sequence[Lead]) -> Iterator[str]:
    pairs: dict[tuple[str, str], list[Lead]] = {}
    for lead in found:
        pairs.setdefault((lead.left, lead.right), []).append(lead)
    if len(pairs) > FEW:
        ahead = sum(lead.mean > 0 for lead in found)
        left = list(dict.fromkeys(lead.left for lead in found))
        verb = "lead" if len(left) > 1 else "leads"
        many = f"{ahead} of {len(found)} comparisons at equal settings"
        yield f"{_listed(left)} {verb} in {many}; {_told(found)}"
        return
    for (left, right), its in pairs.items():
        yield f"{left} {_by(right, its)}; {_told(its, average(its))}"


def _by(right: str, its: Sequence[Lead]) -> str:
    """``leads baseline by 1.66 to 2.40 points at all 3 settings``"""
    means = [lead.mean for lead in its]
    if len(its) == 1:
        verb = "leads" if means[0] >= 0 else "trails"
        return f"{verb} {right} by {abs(means[0]):.2f} points{_interval(its[0])} ({its[0].setting})"
    where = f"in all {len(its)} settings"
    if min(means) >= 0 or max(means) <= 0:
        low, high = sorted(map(abs, (min(means), max(means))))
        return f"{'leads' if min(means) >= 0 else 'trails'} {right} by {low:.2f} to {high:.2f} points {where}"
    ahead = sum(mean > 0 for mean in means)
    return f"leads {right} in {ahead} of {len(its)} settings ({signed(min(means))} to {signed(max(means))} points)"


def _told(its: Sequence[Lead], mean: Lead | None = None) -> str:
    """What n seeds show of it, corrected for the number of looks, and of the mean over the settings."""
    n = " or ".join(map(str, sorted({len(lead.differences) for lead in its})))
    shown = sum(lead.shown for lead in its)
    if len(its) == 1:
        return f"n = {n} shows it" if shown else f"n = {n} cannot tell it from nothing"
    each = f"shows {'all' if shown == len(its) else f'{shown} of the {len(its)}'}"
    if mean is None:
        return f"n = {n} {each if shown else 'cannot tell any of them from nothing'}"
    average = f"their average: {signed(mean.mean)} points{_interval(mean)}"
    if shown:
        return f"n = {n} {each}{' and' if mean.alone else ', not'} {average}"
    return f"n = {n} cannot tell any of them from nothing, {'yet shows' if mean.alone else 'nor'} {average}"


def _changing(found: Sequence[Lead]) -> Iterator[str]:
    """Of a table of changes: how many do something, and the largest of them."""
    if not found:
        return
    n = " or ".join(map(str, sorted({len(lead.differences) for lead in found})))
    alone, shown = sum(lead.alone for lead in found), sum(lead.shown for lead in found)
    most = max(found, key=lambda lead: abs(lead.mean))
    corrected = f", {shown} when corrected for the {len(found)} looks (Holm)" if len(found) > 1 else ""
    changes = f"{len(found)} change{'s' * (len(found) > 1)}"
    largest = f"{most.left}, {signed(most.mean)} points{_interval(most)}"
    yield f"of {changes} n = {n} tells {alone} from nothing, each by itself{corrected}; the largest: {largest}"


def _interval(lead: Lead) -> str:
    if lead.sample.interval is None:
        return ""
    low, high = lead.sample.interval
    return f" [{signed(low)}, {signed(high)}]"


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
