"""What `explain-gap` prints: the guess, what was checked, the curves, and the settings by their measured effects."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from harness.amounts import MINUS
from harness.gap.findings import Case, findings, guess, nearest
from harness.gap.measured import Effect
from harness.render.page import Column, Line, Page
from harness.store.result import Result
from harness.tables import display, method_label

SHARES = (0.1, 0.25, 0.5, 0.75, 1.0)
"""Of the training, at which curves are told."""
Setting = tuple[str, str, str]
"""Name, as common, as own."""


def pages(case: Case, where: str, settings: Sequence[Setting], ours: Sequence[Result]) -> list[Page]:
    return [_checked(case, where), _curves(case, ours), _settings(case, settings)]


def _checked(case: Case, where: str) -> Page:
    row = case.row
    found = list(findings(case))
    name = f"{method_label(row)} {display('architecture', row.architecture)} T{row.timesteps}"
    printed = "–" if row.accuracy is None else f"{row.accuracy:.2f}"
    beside = f", our runs {case.ours:.2f}" if case.ours is not None else ""
    heads = ("Check", "this log", "own", "common", "Says")
    return Page(
        title=f"{where} · {name}",
        subtitle=f"{case.log.kind}, reported {case.reported:.2f}, printed {printed}{beside}",
        answer=guess(case),
        columns=tuple(Column(head=head) for head in heads),
        lines=tuple(Line(cells=(f.check, f.theirs, f.own, f.common, f.says), tone=_tone(f.says)) for f in found),
        notes=(row.remark,) if row.remark else (),
        records=tuple(
            {"check": f.check, "log": f.theirs, "own": f.own, "common": f.common, "says": f.says} for f in found
        ),
    ).without_empty_columns()


def _tone(says: str) -> str:
    return "high" if says == "differs" else "plain"


def _curves(case: Case, ours: Sequence[Result]) -> Page:
    log = case.log
    beside = [(each.name, [r.curve.test_accuracy for r in each.results]) for each, _ in nearest(case)[:2]]
    curves = [r.curve.test_accuracy for r in ours]
    beside = [*([("our runs of it", curves)] if curves else []), *beside]
    rows = []
    for share in SHARES:
        at = max(0, round(share * log.epochs) - 1)
        means = (statistics.fmean(curve[max(0, round(share * len(curve)) - 1)] for curve in of) for _, of in beside)
        rows.append((f"{100 * share:.0f} %", f"{log.accuracy[at]:.2f}", *(f"{mean:.2f}" for mean in means)))
    heads = ("Of the training", "this log", *(name for name, _ in beside))
    note = () if beside else ("We have no runs of this row, nor of one like it, to lay beside the curve.",)
    return Page(
        title="Test accuracy on the way",
        columns=tuple(Column(head=head, align="right" if i else "left") for i, head in enumerate(heads)),
        lines=tuple(Line(cells=row) for row in rows),
        notes=note,
        records=tuple(dict(zip(heads, row, strict=True)) for row in rows),
    )


def _settings(case: Case, settings: Sequence[Setting]) -> Page:
    """Those in which the two protocols differ, the largest measured effect first; what nobody measured stands last."""
    ranked = sorted(_ranked(case, settings), key=lambda each: -each[0])
    rows = [row for _, row in ranked]
    heads = ("Setting", "common", "own", "Moved accuracy by", "Where measured")
    return Page(
        title="Where own and common differ, by what was measured",
        columns=tuple(Column(head=head) for head in heads),
        lines=tuple(Line(cells=row, tone="plain" if row[4] else "quiet") for row in rows),
        notes=("An effect was measured on another network and in a smaller experiment: an order, not an explanation.",),
        records=tuple(dict(zip(("setting", "common", "own", "effect", "where"), row, strict=True)) for row in rows),
    )


def _ranked(case: Case, settings: Sequence[Setting]) -> Iterator[tuple[float, tuple[str, ...]]]:
    log = case.log
    if not log.running_best:
        own, common = ("–" if recipe is None else recipe.report for recipe in (case.own, case.common))
        gap = log.best - log.last
        yield gap, ("reported epoch", common, own, f"{gap:+.2f} best over last", "in this log")
    for name, common, own in settings:
        effect = max(_of(case, name), key=lambda each: abs(each.difference.mean or 0), default=None)
        told = _told(effect) if effect else "not measured"
        size = abs(effect.difference.mean or 0) if effect else -1.0
        yield size, (name.replace("_", " "), common, own, told, effect.where if effect else "")


def _of(case: Case, name: str) -> list[Effect]:
    """Those that were measured on the row's own method, if any were."""
    found = [effect for effect in case.measured.effects if name in effect.settings]
    return [effect for effect in found if effect.method == case.row.method] or found


def _told(effect: Effect) -> str:
    low, high = effect.difference.interval or (None, None)
    spread = f" [{low:+.2f}, {high:+.2f}]" if low is not None and high is not None else ""
    return f"{effect.difference.mean:+.2f}{spread} ({effect.change})".replace("-", MINUS)
