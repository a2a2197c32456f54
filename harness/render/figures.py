"""A planned figure and what the store says of it, written down: the picture three times, and its numbers beside it.

What is drawn is up to `drawings/`, one file a kind of figure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from matplotlib.figure import Figure as Picture

from harness import durable
from harness.identity.alike import unlike
from harness.measure import probing
from harness.plan import Line, Plan
from harness.render import drawings, look
from harness.render.drawn import Drawn, Group, Numbers, Sketch, at
from harness.render.leads import leads
from harness.render.message import message
from harness.render.view import Shown
from harness.spec import Figure
from harness.stats import Outcome, summarise
from harness.store import tidy
from harness.store.probes import Probes
from harness.store.result import Result
from harness.tables import table_label

NONE: Mapping[str, Probes] = {}


def write(plan: Plan, outcomes: Mapping[str, Outcome], folder: Path, probes: Mapping[str, Probes] = NONE) -> list[str]:
    """Draw `plan`, whose table is a figure, into `folder`; the files, then a line a panel. Raises UserError."""
    picture, numbers = draw(plan, outcomes, probes)
    files = look.files(picture, _title(plan)) | {"csv": numbers.csv.encode()}
    stem = "-".join(filter(None, (plan.table.name, plan.protocol, plan.preset)))
    durable.make_folder(folder)
    for suffix, content in files.items():
        durable.write(folder / f"{stem}.{suffix}", content)
    return [*(str(folder / f"{stem}.{suffix}") for suffix in files), *_told(plan, outcomes)]


def inline(
    plan: Plan, outcomes: Mapping[str, Outcome], probes: Mapping[str, Probes] = NONE
) -> tuple[str, list[str], str]:
    """The picture as SVG, a line a panel, its numbers as CSV: what a page takes in."""
    picture, numbers = draw(plan, outcomes, probes)
    return look.svg(picture, _title(plan)), _told(plan, outcomes), numbers.csv


def draw(plan: Plan, outcomes: Mapping[str, Outcome], probes: Mapping[str, Probes] = NONE) -> tuple[Picture, Numbers]:
    """The picture of `plan`, and the numbers that it shows; a name has the same look in every panel."""
    assert isinstance(plan.table, Figure)
    groups = _groups(plan, outcomes)
    again = probing.elsewhere(plan) if (needed := probing.needed(plan)) else ""
    whole = Sketch(title=_title(plan), subtitle=(), groups=tuple(groups), footnote=(), probes=probes, again=again)
    blanks = {group.title: blank for group in groups if (blank := whole.blank(group, needed))}
    shown = [group for group in groups if group.title not in blanks] or groups
    sketch = replace(whole, groups=tuple(shown), compared=plan.preset is None)
    said = message(plan.table.kind, sketch, leads([(plan, outcomes)]))
    label = table_label(plan.table.name)
    numbered = f"{label} · " if label != plan.table.name else ""
    sketch = replace(
        sketch,
        title=f"{numbered}{said}" if said else _title(plan),
        subtitle=(*([plan.table.title] if said else []), _subtitle(plan, groups)),
        footnote=(*plan.table.footnote, *_unlike(groups), *(_missing(blanks) if shown is not groups else ())),
    )
    return drawings.draw(plan.table.kind, sketch)


def _missing(blanks: Mapping[str, str]) -> list[str]:
    """Panels that have nothing to draw are no panels."""
    whys: dict[str, list[str]] = {}
    for title, blank in blanks.items():
        whys.setdefault(", ".join(blank.splitlines()), []).append(title)
    return [f"Not drawn ({why}): {'; '.join(titles)}." for why, titles in whys.items()]


def _groups(plan: Plan, outcomes: Mapping[str, Outcome]) -> list[Group]:
    """The planned lines of each panel; a user's method goes into those that have its setting."""
    assert isinstance(plan.table, Figure)
    groups, last = [], 0
    for panel in plan.table.panel:
        first, last = last + 1, last + len(panel.row)
        settings = {(row.dataset, row.architecture, row.timesteps) for row in panel.row}
        lines = (line for line in plan.lines if (at(line) in settings if line.added else first <= line.number <= last))
        if rows := tuple(_drawn(line, plan, outcomes) for line in lines):
            groups.append(Group(rows=rows))
    return groups


def _drawn(line: Line, plan: Plan, outcomes: Mapping[str, Outcome]) -> Drawn:
    found = [outcome for cell in line.cells if isinstance(outcome := outcomes.get(cell.key), Result)]
    return Drawn(
        shown=Shown(line=line, summary=summarise(line, plan, outcomes), mark=""),
        results=tuple(result for result in found if tidy.whole(result)),
        broken=tuple(result.cell.seed for result in found if not tidy.whole(result)),
    )


def _unlike(groups: Sequence[Group]) -> list[str]:
    """What keeps the curves of a panel, and the seeds behind a mean, from being of one experiment."""
    found = dict.fromkeys(text for g in groups for text in unlike(result for row in g.rows for result in row.results))
    return [f"Unlike runs: {', '.join(found)}."] if found else []


def _told(plan: Plan, outcomes: Mapping[str, Outcome]) -> list[str]:
    return [f"{group.title}: {'; '.join(group.standings)}" for group in _groups(plan, outcomes)]


def _title(plan: Plan) -> str:
    label = table_label(plan.table.name)
    return plan.table.title if label == plan.table.name else f"{label} · {plan.table.title}"


def _subtitle(plan: Plan, groups: Sequence[Group]) -> str:
    rows = [row.shown for group in groups for row in group.rows if row.results]
    trained_on = dict.fromkeys(s.trained_on + (" (variant samples)" if s.summary.variant else "") for s in rows)
    parts = [f"protocol {plan.protocol}", f"preset {plan.preset}" if plan.preset else ""]
    parts.append(f"trained on {', '.join(trained_on)}" if trained_on else "")
    return " · ".join(filter(None, parts))
