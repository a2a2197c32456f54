"""A table or figure of the user's own: every name in it, every cell behind it, every recipe."""

from __future__ import annotations

from collections.abc import Iterator

from harness import tables
from harness.conformance.finding import Finding
from harness.errors import UserError, UserErrors
from harness.plan import parse_only, plan
from harness.requests import Asked
from harness.verbs import known, session


def check(name: str, asked: Asked) -> Iterator[Finding]:
    """Raises UserError for a file that cannot be read as one."""
    table, context = tables.load(name), session.context_for(asked)
    try:
        known.rows(table, context)
    except UserError as error:
        yield from _failed("names", error)
        yield from (Finding(what=what, state="-", detail="") for what in ("cells", "recipes"))
        return
    yield Finding(what="names", state="ok", detail=f"{table.name}: {len(table.row)} rows, {table.title}")
    made = plan(table, context, only=parse_only(asked.only))
    trained = sum(bool(line.cells) for line in made.lines)
    blank = "; ".join(f"row {line.number}: {line.blank}" for line in made.lines if line.blank)
    detail = (
        f"{len(made.cells)} of {trained} rows, protocol {made.protocol}{f', preset {made.preset}' * bool(made.preset)}"
    )
    yield Finding(what="cells", state="ok" if made.cells else "FAILED", detail="; ".join(filter(None, [detail, blank])))
    try:
        known.check([made])
    except UserError as error:
        yield from _failed("recipes", error)
    else:
        yield Finding(what="recipes", state="ok", detail="every name and amount in them is known")


def _failed(what: str, error: UserError) -> Iterator[Finding]:
    for problem in error.problems if isinstance(error, UserErrors) else (error,):
        yield Finding(what=what, state="FAILED", detail=str(problem))
