"""The records of a folder of benches (`results/bench/*.json`), as the claims read them."""

from __future__ import annotations

from pathlib import Path

from harness.errors import UserError
from harness.measure import records
from harness.measure.spec import Benched


def recorded(folder: Path) -> tuple[tuple[Benched, ...], tuple[UserError, ...]]:
    """In order of their names, and what cannot be read. A folder that is not there has none."""
    found, problems = [], []
    for path in sorted(folder.glob("*.json")):
        try:
            found.append(records.read(path))
        except UserError as problem:
            problems.append(problem)
    return tuple(found), tuple(problems)
