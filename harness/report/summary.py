"""The first screen: what was asked, what was found, on which machine, and what must not be concluded."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from msgspec.structs import asdict

from harness.amounts import duration
from harness.render.page import Tone
from harness.render.view import TONES
from harness.report.details import terms
from harness.report.gather import Found
from harness.report.markup import Html, element, joined
from harness.stats import RowSummary, reach
from harness.store.result import Result
from harness.tables import display, table_label

CLAIMED = {"As measured": "as measured", "Own numbers": "by the paper’s own arithmetic"}
"""Columns of the claims that are counted; the measured verdict leads."""
MARKS: dict[Tone, str] = {"good": "✓", "bad": "▼", "high": "▲", "open": "◐", "plain": "≠", "quiet": "–"}
"""A shape beside each colour, so that neither colour nor print is needed to tell verdicts apart."""


def badge(text: str, tone: Tone) -> Html:
    mark = element("span", MARKS[tone], class_="mark", aria_hidden="true")
    return element("span", mark, text, class_=f"badge {tone}")


def summary(found: Found) -> Html:
    rows = [sight.summary(line) for sight in found.tables for line in sight.plan.lines]
    cards = {
        "What was found": joined(*_found(found, rows)),
        "What must not be concluded": element("ul", *(element("li", text) for text in _limits(found, rows))),
        "What was asked": joined(*(element("p", text) for text in _asked(found))),
        "On which machine": _machine(found.results),
    }
    return element(
        "div",
        *(element("section", element("h2", title), content) for title, content in cards.items()),
        class_="first",
    )


def _asked(found: Found) -> Iterator[str]:
    rows = sum(len(sight.plan.lines) for sight in found.tables)
    labels = _listed(_run_together([table_label(sight.plan.table.name) for sight in found.tables]))
    seeds = len(found.shown.seeds)
    yield (
        f"Do the numbers of “{found.paper.title}” ({found.paper.authors}, {found.paper.venue}) hold? "
        f"{labels}: {rows} rows, {seeds} seed{'s' * (seeds > 1)} each, trained again."
    )
    yield f"Protocol {found.protocol.name}: {found.protocol.description}."
    if found.preset:
        replaced = [name.replace("_", " ") for name, value in asdict(found.preset.recipe).items() if value is not None]
        yield f"Preset {found.preset.name}: {found.preset.description}. It replaces {_listed(replaced)}."


def _found(found: Found, rows: Sequence[RowSummary]) -> Iterator[Html]:
    measured = sum(bool(row.accuracies) for row in rows)
    cells = {cell for sight in found.sights for cell in sight.plan.cells}
    yield element("p", element("strong", f"{measured} of {len(rows)}"), " rows have a measured number", class_="lead")
    yield element("p", f"{len(found.results)} of {len(cells)} training runs are finished. Rows by verdict:")
    counts = Counter(row.verdict for row in rows)
    known = [verdict for verdict in TONES if counts[verdict]]
    others = sorted(set(counts) - set(known))
    yield element("ul", *(_count(v, TONES.get(v, "quiet"), counts[v]) for v in (*known, *others)), class_="counts")
    for head, tally in _claims(found).items():
        yield element("p", f"{len(found.claims.lines)} claims, {head}: {tally}.")


def _count(verdict: str, tone: Tone, count: int) -> Html:
    """A button that shows these rows alone."""
    name = f"{count} {verdict}: show these rows"
    number = element("span", str(count), class_="number")
    return element(
        "li", element("button", number, badge(verdict, tone), type="button", data_show=verdict, aria_label=name)
    )


def _claims(found: Found) -> dict[str, str]:
    """``as measured`` -> ``1 holds, 27 not measured``; without what stands in brackets behind a verdict."""
    told = {}
    for i, column in enumerate(found.claims.columns):
        if column.head in CLAIMED:
            counts = Counter(line.cells[i].partition(" (")[0] for line in found.claims.lines)
            told[CLAIMED[column.head]] = ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common())
    return told


def _machine(results: Sequence[Result]) -> Html:
    if not results:
        return element("p", "On none: nothing is measured yet.")
    places = Counter(_place(result) for result in results)
    seconds = [result.seconds for result in results]
    began, ended = (sorted(filter(None, (getattr(r, name)[:10] for r in results))) for name in ("started", "finished"))
    dates = f"{began[0]} to {ended[-1]}" if began and ended and began[0] != ended[-1] else "".join(ended[-1:])
    return terms(
        {
            "Machine": _listed([place if len(places) == 1 else f"{place} ({n} runs)" for place, n in places.items()]),
            "Software": _each(results, lambda e: f"torch {e['packages']['torch']}, Python {e['python']}"),
            "Code": _each(results, lambda e: f"commit {e['commit']}"),
            "When": dates,
            "Training": f"{duration(sum(seconds))} in {len(seconds)} runs, the longest {duration(max(seconds))}",
            "Data": _listed(sorted({f"{display('dataset', r.cell.dataset)}, {r.cell.data} samples" for r in results})),
        }
    )


def _place(result: Result) -> str:
    said = result.environment
    device = said.get("device", "")
    parts = [f"{said.get('cpu') or 'unknown processor'}, {said.get('cores', '?')} cores"]
    parts += [f"{said['memory_gib']:g} GiB"] if said.get("memory_gib") else []
    return ", ".join([*([str(device)] if device not in ("", "cpu") else []), *parts, *(["no GPU"] * (device == "cpu"))])


def _each(results: Sequence[Result], tell: Callable[[Mapping[str, Any]], str]) -> str:
    """What `tell` says of each environment, each once; nothing of one that lacks it."""
    told: dict[str, None] = {}
    for result in results:
        try:
            told[tell(result.environment)] = None
        except (KeyError, TypeError):
            continue
    return _listed(list(told))


def _limits(found: Found, rows: Sequence[RowSummary]) -> Iterator[str]:
    if found.preset:
        yield (
            f"Nothing about the paper's numbers: preset {found.preset.name} is another, smaller experiment. Its "
            "numbers stand beside the printed ones, and no row is held against them; only differences within this "
            "report mean something."
        )
    if any(row.variant for row in rows):
        yield "Nothing about the official data sets from rows trained on other samples: they are marked as variants."
    n = max((row.sample.n for row in rows), default=0)
    if n > 1:
        yield (
            f"No small difference: with {n} seeds, a row is told from one published run only from {reach(n, 1):.2f} "
            "sample standard deviations on. “Reproduced” means not told apart, not equal."
        )
    elif n:
        yield "No difference at all from a single seed."
    gaps = [gap for r in found.results if math.isfinite(gap := r.best_accuracy - r.last_accuracy)]
    if gaps:
        yield (
            "No accuracy on unseen data: as in the paper, the best epoch is chosen on the test set "
            f"({statistics.fmean(gaps):.2f} points above the last epoch here, on average)."
        )
    if any(row.missing or row.running or row.troubles for row in rows):
        yield "Nothing from a row that is incomplete: a mean over the seeds that happened to finish is no result."
    yield "Nothing from a row without a measured number: that it was not trained says nothing against it."


def _run_together(labels: Sequence[str]) -> list[str]:
    """``Tables 1 to 6`` for labels that count up."""
    numbers = [int(label.removeprefix("Table ")) for label in labels if label.removeprefix("Table ").isdecimal()]
    if len(numbers) < 3 or numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        return list(labels)
    return [f"Tables {numbers[0]} to {numbers[-1]}", *labels[len(numbers) :]]


def _listed(parts: Sequence[str]) -> str:
    """``a, b and c``"""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}" if parts else ""
