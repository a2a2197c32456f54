"""What a call from Python answers: rows to work with, and pages to look at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

    from harness.render.page import Page


@dataclass(frozen=True, kw_only=True, repr=False)
class Shown(Sequence[Mapping[str, object]]):
    """The rows, as ``--format json`` has them. Printed, it is what the terminal shows; in a notebook, a table."""

    pages: tuple[Page, ...]
    complete: bool
    """All that was asked for has been trained."""
    problems: tuple[UserError, ...] = ()
    """What went wrong on the way, in a line each."""
    latex: tuple[str, ...] = ()
    """Of `compare`: the lines to paste into a table of one's own."""

    @property
    def rows(self) -> tuple[Mapping[str, object], ...]:
        return tuple(record for page in self.pages[:1] for record in page.records)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> Any:
        return self.rows[index]

    def __iter__(self) -> Iterator[Mapping[str, object]]:
        return iter(self.rows)

    def to_pandas(self) -> pd.DataFrame:
        """One row a row; accuracies in percent, empty where nothing is known."""
        import pandas

        return pandas.DataFrame([dict(row) for row in self.rows])

    def render(self, form: str = "terminal") -> str:
        """terminal, markdown, latex, csv, json or html. Raises UserError."""
        from harness.render import render

        return render(self.pages[:1] if form in ("csv", "json") else self.pages, form)

    def __repr__(self) -> str:
        return "\n".join([self.render(), *(f"harness: {problem}" for problem in self.problems)])

    def _repr_html_(self) -> str:
        """Of the whole page only what stands in it: a notebook has its own head and style."""
        from html import escape

        from harness.render import fragment

        told = "".join(f"<li>{escape(line)}</li>" for problem in self.problems for line in str(problem).splitlines())
        return fragment(self.pages) + (f"<ul>{told}</ul>" if told else "")
