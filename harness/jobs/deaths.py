"""Cells whose process dies: tried again from their last epoch, unless that always happens at the same place."""

from __future__ import annotations

import os
from datetime import UTC, datetime

from harness import environment
from harness.errors import UserError
from harness.spec import Cell
from harness.store import Store
from harness.store.result import Failure

DEATHS = 3
"""A cell whose process dies this often without finishing another epoch is recorded as killed."""


class Deaths:
    """Counts them, as long as somebody watches."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[str, tuple[int, int]] = {}
        """Cell key -> how often its process died, and the epoch it had reached."""

    def after(self, cell: Cell) -> str | None:
        """`done`, `failed` or ``error: ...`` if the death of its process has ended `cell`; None: try again."""
        if (known := settled(cell, self._store)) is not None:
            return known
        said = self._store.progress(cell)
        epoch = said.epoch if said is not None else 0
        deaths, reached = self._known.get(cell.key, (0, -1))
        deaths = deaths + 1 if epoch <= reached else 1
        self._known[cell.key] = (deaths, epoch)
        if deaths < DEATHS:
            return None
        reason = f"its process died {deaths} times at epoch {epoch} without a word (out of memory?)"
        when = datetime.now(UTC).isoformat(timespec="seconds")
        place = os.environ.get(environment.PLACE, "")
        failure = Failure(cell=cell, kind="killed", reason=reason, epoch=epoch, when=when, place=place)
        try:
            self._store.write_failure(failure)
        except UserError as error:
            return f"error: {error}"
        return "failed"


def settled(cell: Cell, store: Store) -> str | None:
    """`done` or `failed`, if that is what the store says."""
    if store.result(cell) is not None:
        return "done"
    return "failed" if store.failure(cell) is not None else None
