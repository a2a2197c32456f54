"""A page that shows measurements is not replaced by an emptier one unasked."""

from __future__ import annotations

import re
from pathlib import Path

from harness import opened
from harness.errors import UserError
from harness.report.gather import Found

FINISHED = re.compile(r"(\d+) of \d+ training runs are finished")
"""As the summary of every page says it."""
MOST = 2**28
"""Bytes of a page of ours; what is no file, as a device without end, holds none."""


def keep(path: Path, found: Found) -> None:
    """Raises UserError where the page that is at `path` shows more finished runs than this one would."""
    try:
        said = FINISHED.search(opened.read(path.resolve(), MOST).decode(errors="replace"))
    except OSError:
        return
    there, here = int(said[1]) if said else 0, len(found.results)
    if here < there:
        what = f"shows {there} finished runs, this report would show {here}; it was not replaced"
        raise UserError(what, str(path), "give another --out FILE, or --replace")
