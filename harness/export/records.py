"""Every cell and every epoch as tidy files: ``cells`` has a row a cell, ``epochs`` a row an epoch; `key` joins them."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from harness import durable
from harness.errors import UserError
from harness.export import lines
from harness.plan import Plan
from harness.render import render, table_page
from harness.spec import Cell
from harness.stats import Outcome
from harness.store import Store, index, tidy
from harness.store.index import Sign
from harness.store.result import Result

NAMES = ("cells", "epochs")


def write(cells: Sequence[Cell], store: Store, folder: Path, form: str) -> list[Path]:
    """``cells.csv`` and ``epochs.csv``, or the same as parquet, with the same columns. Raises UserError."""
    durable.make_folder(folder)
    paths = [folder / f"{name}.{form}" for name in NAMES]
    if form == "csv":
        with durable.replacing(paths[0]) as summaries, durable.replacing(paths[1]) as epochs:
            _write_csv(cells, store, summaries, epochs)
    else:
        _write_parquet(((cell, store.outcome(cell)) for cell in cells), paths)
    return paths


def _write_csv(cells: Sequence[Cell], store: Store, summaries: BinaryIO, epochs: BinaryIO) -> None:
    """One cell after the other: a store may hold more than the memory."""
    names = tidy.recipe_names(cells)
    recipe = functools.cache(lambda recipe: tidy.line(tidy.of_recipe(recipe, names)).encode())
    summaries.write(f"{tidy.line(tidy.cell_columns(names))}\n".encode())
    epochs.write(f"{tidy.line(tidy.EPOCHS)}\n".encode())
    with lines.Kept(store.root) as kept:
        for cell, seen in store.signs(cells):
            found = _lines(cell, seen, store, kept)
            summaries.write(b"%s,%s,%s\n" % (found.cell, recipe(cell.recipe), found.summary))
            epochs.write(found.epochs)


def _lines(cell: Cell, seen: Sign, store: Store, kept: lines.Kept) -> lines.Lines:
    if (known := kept.lines(cell.key, seen)) is not None:
        return known
    outcome = store.outcome(cell)
    found = lines.of(cell, outcome)
    done = isinstance(outcome, Result) and outcome.cell.key == cell.key
    if done and seen == index.sign(f"{store.folder(cell)}/result.json"):
        kept.note(cell.key, seen, found)
    return found


def _write_parquet(found: Iterable[tuple[Cell, Outcome]], paths: Sequence[Path]) -> None:
    from harness.store import frame

    for path, data in zip(paths, frame.both(found), strict=True):
        try:
            content = data.to_parquet(engine="pyarrow", index=False)
        except ImportError:
            advice = "pip install pyarrow, or take --format csv"
            raise UserError("parquet needs the Python package pyarrow", "export", advice) from None
        durable.write(path, content)


def write_latex(plans: Sequence[Plan], outcomes: Sequence[Mapping[str, Outcome]], folder: Path) -> list[Path]:
    r"""One ``TABLE.tex`` a table, to ``\input`` into a document with ``\usepackage{booktabs}``. Raises UserError."""
    durable.make_folder(folder)
    paths = []
    for plan, known in zip(plans, outcomes, strict=True):
        path = folder / f"{plan.table.name}{f'-{plan.preset}' if plan.preset else ''}.tex"
        durable.write(path, (render(table_page(plan, known), "latex") + "\n").encode())
        paths.append(path)
    return paths
