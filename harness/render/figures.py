"""A planned figure and what the store says of it, written down: the picture three times, and its numbers beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure as Picture
from pandas import DataFrame

from harness import durable, frame
from harness.plan import Line, Plan
from harness.render import curves
from harness.render.curves import Panel, Series
from harness.render.view import Shown
from harness.result import Result
from harness.spec import Figure
from harness.stats import Outcome, summarise
from harness.tables import display, method_label, table_label

READING = "Test accuracy of every epoch; thin: one seed, bold: mean over the n seeds that finished."


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """One row of a figure: its place in the store's words, and the results that have a curve to draw."""

    shown: Shown
    results: tuple[Result, ...]
    broken: tuple[int, ...]
    """Seeds that finished, but without a whole curve."""

    @property
    def label(self) -> str:
        return method_label(self.shown.line.row) + (" (yours)" if self.shown.line.added else "")

    @property
    def setting(self) -> tuple[str, ...]:
        """Data set, network, timesteps, as the panel's title says them; the width where a preset changes it."""
        row, cells = self.shown.line.row, self.shown.line.cells
        width = cells[0].recipe.width if cells else 1.0
        network = display("architecture", row.architecture) + ("" if width == 1 else f" (width × {width:g})")
        return self.shown.group, network, f"T = {row.timesteps}"

    @property
    def count(self) -> str:
        asked, n = self.shown.summary.asked, len(self.results)
        return self.shown.line.blank or (f"n = {n}" if n == asked else f"n = {n} of {asked}")

    @property
    def standing(self) -> str:
        """``2 of 3 seeds (1 running)``, or why there is nothing to train."""
        summary = self.shown.summary
        if self.shown.line.blank:
            return self.shown.line.blank
        counts = {"running": summary.running, "missing": summary.missing}
        details = [f"{count} {kind}" for kind, count in counts.items() if count]
        details += [*summary.troubles, *(f"seed {seed} has no whole curve" for seed in self.broken)]
        return f"{len(self.results)} of {summary.asked} seeds" + (f" ({', '.join(details)})" if details else "")


@dataclass(frozen=True, kw_only=True)
class Group:
    """The rows of one panel."""

    rows: tuple[Drawn, ...]

    @property
    def shared(self) -> list[bool]:
        """Of data set, network, timesteps: whether all rows have the same."""
        return [len(set(values)) == 1 for values in zip(*(_at(row.shown.line) for row in self.rows), strict=True)]

    @property
    def title(self) -> str:
        """What all rows share, in the words of one that is trained: the others know no stand-in and no width."""
        told = next((row for row in self.rows if row.shown.line.cells), self.rows[0])
        return " · ".join(part for part, same in zip(told.setting, self.shared, strict=True) if same)

    @property
    def names(self) -> tuple[str, ...]:
        """A row's label, and its part of what they do not share."""
        shared = self.shared
        own = ([part for part, same in zip(row.setting, shared, strict=True) if not same] for row in self.rows)
        return tuple(" · ".join([row.label, *parts]) for row, parts in zip(self.rows, own, strict=True))

    @property
    def standings(self) -> list[str]:
        """A line a row; a single one where nothing is trained for one and the same reason."""
        reasons = {row.shown.line.blank for row in self.rows}
        if len(reasons) == 1 and "" not in reasons:
            return list(reasons)
        return [f"{name}: {row.standing}" for name, row in zip(self.names, self.rows, strict=True)]

    def panel(self, looks: Mapping[str, int]) -> Panel:
        series = tuple(
            Series(
                label=f"{name} ({row.count})",
                keys=tuple(result.cell.key for result in row.results),
                look=looks[name],
            )
            for name, row in zip(self.names, self.rows, strict=True)
        )
        blank = "" if any(row.results for row in self.rows) else "\n".join(["no results", *self.standings])
        return Panel(title=self.title, series=series, blank=blank)


def write(plan: Plan, outcomes: Mapping[str, Outcome], folder: Path) -> list[str]:
    """Draw `plan`, whose table is a figure, into `folder`; the files, then a line a panel. Raises UserError."""
    picture, data = draw(plan, outcomes)
    files = curves.files(picture, _title(plan)) | {"csv": frame.csv(data).encode()}
    stem = "-".join(filter(None, (plan.table.name, plan.protocol, plan.preset)))
    durable.make_folder(folder)
    for suffix, content in files.items():
        durable.write(folder / f"{stem}.{suffix}", content)
    return [*(str(folder / f"{stem}.{suffix}") for suffix in files), *_told(plan, outcomes)]


def inline(plan: Plan, outcomes: Mapping[str, Outcome]) -> tuple[str, list[str]]:
    """The picture as SVG, and a line a panel: what a page takes in."""
    return curves.svg(draw(plan, outcomes)[0], _title(plan)), _told(plan, outcomes)


def draw(plan: Plan, outcomes: Mapping[str, Outcome]) -> tuple[Picture, DataFrame]:
    """The picture of `plan`, and the epochs that it shows; a name has the same look in every panel."""
    groups = _groups(plan, outcomes)
    results = {result.cell.key: result for group in groups for row in group.rows for result in row.results}
    data = frame.epochs(results.values())
    names = dict.fromkeys(name for group in groups for name in group.names)
    looks = {name: look for look, name in enumerate(names)}
    panels = [group.panel(looks) for group in groups]
    picture = curves.draw(_title(plan), (_subtitle(plan, groups), READING), panels, data, plan.table.footnote)
    return picture, data


def _groups(plan: Plan, outcomes: Mapping[str, Outcome]) -> list[Group]:
    """The planned lines of each panel; a user's method goes into those that have its setting."""
    assert isinstance(plan.table, Figure)
    groups, last = [], 0
    for panel in plan.table.panel:
        first, last = last + 1, last + len(panel.row)
        settings = {(row.dataset, row.architecture, row.timesteps) for row in panel.row}
        lines = (line for line in plan.lines if (_at(line) in settings if line.added else first <= line.number <= last))
        if rows := tuple(_drawn(line, plan, outcomes) for line in lines):
            groups.append(Group(rows=rows))
    return groups


def _at(line: Line) -> tuple[str, str, int]:
    return line.row.dataset, line.row.architecture, line.row.timesteps


def _drawn(line: Line, plan: Plan, outcomes: Mapping[str, Outcome]) -> Drawn:
    found = [outcome for cell in line.cells if isinstance(outcome := outcomes.get(cell.key), Result)]
    return Drawn(
        shown=Shown(line=line, summary=summarise(line, plan, outcomes), mark=""),
        results=tuple(result for result in found if frame.whole(result)),
        broken=tuple(result.cell.seed for result in found if not frame.whole(result)),
    )


def _told(plan: Plan, outcomes: Mapping[str, Outcome]) -> list[str]:
    return [f"{group.title}: {'; '.join(group.standings)}" for group in _groups(plan, outcomes)]


def _title(plan: Plan) -> str:
    return f"{table_label(plan.table.name)} · {plan.table.title}"


def _subtitle(plan: Plan, groups: Sequence[Group]) -> str:
    rows = [row.shown for group in groups for row in group.rows if row.results]
    trained_on = dict.fromkeys(s.trained_on + (" (variant samples)" if s.summary.variant else "") for s in rows)
    parts = [f"protocol {plan.protocol}", f"preset {plan.preset}" if plan.preset else ""]
    parts.append(f"trained on {', '.join(trained_on)}" if trained_on else "")
    return " · ".join(filter(None, parts))
