"""What is missing, and what it would cost, as far as earlier results tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.amounts import duration
from harness.report.details import command, grid
from harness.report.gather import Found
from harness.report.markup import Html, element, joined
from harness.spec import Cell
from harness.tables import display, method_label, table_label


def missing(found: Found) -> Html:
    todo = found.unfinished
    parts = [element("p", text) for text in (*_said(found, todo), *_blank(found))]
    if found.problems:
        parts.append(element("p", "What could not be read, and counts as missing:"))
        parts.append(element("ul", *(element("li", text) for text in _problems(found))))
    if todo:
        heads = ("Method", "T", "Seeds to train", "Each, about", "Network", "Data set", "Known from", "Wanted by")
        parts.append(grid(heads, list(_shapes(found, todo)), right=(1, 2, 3), label="Cells to train, and their cost"))
        parts.append(element("p", "To train them:"))
        parts += (
            command(text) for text in dict.fromkeys(s.command for s in found.sights if _lacks(s.plan.cells, todo))
        )
    return joined(*parts)


def _said(found: Found, todo: Sequence[Cell]) -> Iterator[str]:
    every = {cell for sight in found.sights for cell in sight.plan.cells}
    if not every:
        yield "Nothing of these tables can be trained here yet."
        return
    if not todo:
        yield f"Nothing: all {len(every)} cells have their result."
        return
    failed = sum(cell in {c for s in found.sights for c in s.state.failed} for cell in todo)
    running = sum(cell in {c for s in found.sights for c in s.state.running} for cell in todo)
    counts = {"failed": failed, "running": running, "never trained": len(todo) - failed - running}
    told = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
    yield f"{len(todo)} of {len(every)} cells have no result: {told}."
    known = [found.past[cell].seconds for cell in todo if cell in found.past]
    if known:
        them = "They" if len(known) == len(todo) else f"{len(known)} of them"
        text = f"{them} would take about {duration(sum(known))}, one after another"
        yield f"{text}, on a machine as busy as the one that made the results here."
    if len(known) < len(todo):
        yield (
            f"Of {len(todo) - len(known)} nothing is known: no result of such a network and data set is in the store. "
            "The command below with --dry-run times a few steps of each."
        )


def _problems(found: Found) -> Iterator[str]:
    """Files by the folder of their cell, wherever the store lies."""
    for problem in found.problems:
        yield f"{'/'.join(Path(problem.where).parts[-2:])}: {problem.what}" if problem.where else problem.what


def _blank(found: Found) -> Iterator[str]:
    """Rows that no command can train."""
    reasons = Counter(line.blank for sight in found.tables for line in sight.plan.lines if line.blank)
    if reasons:
        told = ", ".join(f"{reason} ({count})" for reason, count in reasons.most_common())
        yield f"Rows for which nothing can be trained under this protocol and preset: {told}."


def _shapes(found: Found, todo: Sequence[Cell]) -> Iterator[tuple[str, ...]]:
    shapes: dict[Cell, list[Cell]] = {}
    for cell in todo:
        shapes.setdefault(cell.seedless, []).append(cell)
    lines = [line for sight in reversed(found.sights) for line in reversed(sight.plan.lines)]
    labels = {cell: method_label(line.row) for line in lines for cell in line.cells}  # the first that names it
    for shape, cells in shapes.items():
        known = found.past.get(cells[0])
        yield (
            labels.get(cells[0]) or display("method", cells[0].method),  # no row's own: others begin from it
            str(shape.timesteps),
            ", ".join(str(cell.seed) for cell in cells),
            duration(known.seconds) if known else "not known",
            display("architecture", shape.architecture),
            display("dataset", shape.dataset),
            known.source if known else "–",
            ", ".join(table_label(s.plan.table.name) for s in found.sights if _lacks(s.plan.cells, cells)),
        )


def _lacks(cells: Sequence[Cell], todo: Sequence[Cell]) -> bool:
    return not set(todo).isdisjoint(cells)
