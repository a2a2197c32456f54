"""Every cell and every epoch as tidy files: ``cells`` has a row a cell, ``epochs`` a row an epoch; `key` joins them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from harness import durable
from harness.errors import UserError
from harness.plan import Plan
from harness.render import render, table_page
from harness.spec import Cell
from harness.stats import Outcome
from harness.store import frame
from harness.store.result import Result


def write(cells: Sequence[tuple[Cell, Outcome]], folder: Path, form: str) -> list[Path]:
    """``cells.csv`` and ``epochs.csv``, or the same as parquet, with the same columns. Raises UserError."""
    epochs = frame.epochs(outcome for _, outcome in cells if isinstance(outcome, Result))
    files = {f"cells.{form}": frame.cells(cells), f"epochs.{form}": epochs}
    durable.make_folder(folder)
    for name, data in files.items():
        durable.write(folder / name, _content(data, form))
    return [folder / name for name in files]


def _content(data: pd.DataFrame, form: str) -> bytes:
    if form == "csv":
        return frame.csv(data).encode()
    try:
        return data.to_parquet(engine="pyarrow", index=False)
    except ImportError:
        advice = "pip install pyarrow, or take --format csv"
        raise UserError("parquet needs the Python package pyarrow", "export", advice) from None


def write_latex(plans: Sequence[Plan], outcomes: Sequence[Mapping[str, Outcome]], folder: Path) -> list[Path]:
    r"""One ``TABLE.tex`` a table, to ``\input`` into a document with ``\usepackage{booktabs}``. Raises UserError."""
    durable.make_folder(folder)
    paths = []
    for plan, known in zip(plans, outcomes, strict=True):
        path = folder / f"{plan.table.name}{f'-{plan.preset}' if plan.preset else ''}.tex"
        durable.write(path, (render(table_page(plan, known), "latex") + "\n").encode())
        paths.append(path)
    return paths
