"""A page that shows measurements is not replaced by an emptier one unasked."""

from __future__ import annotations

import re
from pathlib import Path

from harness.errors import UserError
from harness.report.gather import Found

FINISHED = re.compile(r"(\d+) of \d+ training runs are finished")
"""As the summary of every page says it."""


def keep(path: Path, found: Found) -> None:
    """Raises UserError where the page that is at `path` shows more finished runs than this one would."""
    try:
        said = FINISHED.search(path.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return
    there, here = int(said[1]) if said else 0, len(found.results)
    if here < there:
        what = f"shows {there} finished runs, this report would show {here}; it was not replaced"
        raise UserError(what, str(path), "give another --out FILE, or --replace")
