"""From what was asked to a case: the row, its two recipes, our runs of it, and the log."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterator

import msgspec

from harness import data, requests, tables
from harness.errors import UserError
from harness.gap.findings import Case
from harness.gap.measured import measured
from harness.gap.page import Setting, pages
from harness.gap.reading import read
from harness.plan import Context, Line, plan, stored_data
from harness.render.page import Page
from harness.spec import Row, Table
from harness.store import Store
from harness.store.result import Result
from harness.verbs.session import PROTOCOL, context_of, load_preset
from harness.verbs.systems import differing

ROW = re.compile(r"(.+):(\d{1,6})")
OWN = "own"


def explained(request: requests.ExplainGap) -> list[Page]:
    """Raises UserError, UserErrors."""
    row, where = row_of(request.row)
    if request.claimed is not None and not 0 <= request.claimed <= 100:
        raise UserError(f"{request.claimed:g} is no accuracy", "--claimed", "write percent, 0 to 100")
    preset = load_preset(request.preset)
    log, store = read(request.log, request.pattern), Store(request.store)
    lines = {
        name: _line(row, context_of(tables.load_protocol(name), preset, (0, 1, 2), ()), store)
        for name in (PROTOCOL, OWN)
    }
    ours = [result for line in lines.values() for result in _results(line, store)]
    recipes = [line.cells[0].recipe if line.cells else None for line in lines.values()]
    case = Case(
        log=log,
        row=row,
        claimed=request.claimed,
        common=recipes[0],
        own=recipes[1],
        ours=statistics.fmean(result.accuracy for result in ours) if ours else None,
        samples=_samples(lines[PROTOCOL]),
        measured=measured(request.measured),
    )
    return pages(case, where, list(_settings(row)), ours)


def row_of(text: str) -> tuple[Row, str]:
    """``TABLE:20`` -> the row. Raises UserError, UserErrors."""
    found = ROW.fullmatch(text)
    if found is None:
        raise UserError(f"`{text}` is no row", "--row", "type TABLE:NUMBER")
    table = tables.load_table(found[1])
    number = int(found[2])
    if not 1 <= number <= len(table.row):
        raise UserError(f"{table.name} has no row {number}", "--row", f"its rows are 1 to {len(table.row)}")
    return table.row[number - 1], f"{table.name}:{number}"


def _line(row: Row, context: Context, store: Store) -> Line:
    """The row alone, as a table of its own."""
    bare = Table(name="row", title="", row=(msgspec.structs.replace(row, base=None),))
    return plan(bare, context, identify=stored_data(store)).lines[0]


def _results(line: Line, store: Store) -> Iterator[Result]:
    for cell in line.cells:
        if (result := store.result(cell)) is not None:
            yield result


def _samples(line: Line) -> int | None:
    """Training samples of an epoch, by what is published of the set."""
    if not line.cells:
        return None
    cell = line.cells[0]
    published = data.published(cell.dataset)
    return cell.recipe.train_samples or (published["train"] if published else None)


def _settings(row: Row) -> Iterator[Setting]:
    return differing(row, tables.load_protocol(OWN))
