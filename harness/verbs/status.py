"""done / running / queued / failed / missing: of every table in the store, and of every cell of one table."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from harness import amounts
from harness.columns import columns
from harness.plan import Plan, naming
from harness.verbs.entry import Entry

KINDS = ("done", "running", "queued", "failed", "missing")
ORDER = ("failed", "running", "queued", "missing", "done")
"""What wants attention comes first."""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """One table under one protocol and preset."""

    plan: Plan
    entries: tuple[Entry, ...]
    """In table order."""
    command: str
    """What to type to train what is missing; empty for cells of no table."""

    @property
    def title(self) -> str:
        preset = f", preset {self.plan.preset}" if self.plan.preset else ""
        return f"{self.plan.table.name}{preset}, protocol {self.plan.protocol}"

    @property
    def begun(self) -> bool:
        return any(entry.kind != "missing" or entry.text for entry in self.entries)

    @property
    def going(self) -> bool:
        """Something runs or waits in a queue."""
        return any(entry.kind in ("running", "queued") for entry in self.entries)

    @functools.cached_property
    def counts(self) -> dict[str, int]:
        found = Counter(entry.kind for entry in self.entries)
        return {kind: found[kind] for kind in KINDS}


def headline(standings: Sequence[Standing]) -> str:
    """All cells in a line, each counted once."""
    kinds = {entry.cell.key: entry.kind for standing in standings for entry in standing.entries}
    found = Counter(kinds.values())
    parts = [f"{found['done']} of {len(kinds)} cells done"]
    parts += [f"{found[kind]} {kind}" for kind in ("failed", "running", "queued", "missing") if found[kind]]
    return ", ".join(parts)


def overview(standings: Sequence[Standing]) -> list[tuple[str, ...]]:
    """Rows for people, a header first."""
    rows: list[tuple[str, ...]] = [("table", "preset", "protocol", *KINDS)]
    for standing in standings:
        plan = standing.plan
        counts = [str(count) if count else "-" for count in standing.counts.values()]
        rows.append((plan.table.name, plan.preset or "-", plan.protocol, *counts))
    return rows


def details(standing: Standing, *, every: bool) -> list[tuple[str, ...]]:
    """Cells that run or need somebody, with what matters of each; with `every`, all of them."""
    chosen = [entry for entry in standing.entries if every or entry.notable]
    chosen.sort(key=lambda entry: ORDER.index(entry.kind))
    name, told = naming([standing.plan]), dict[str, Entry]()
    rows = []
    for entry in chosen:
        first = told.setdefault(entry.reason, entry) if entry.kind == "failed" else entry
        text = entry.line if first is entry else f"the same; retry: {entry.retry}" if entry.retry else "the same"
        rows.append((entry.kind, entry.cell.key, name(entry.cell), text))
    queued = [entry for entry in standing.entries if entry.kind == "queued"]
    return (
        rows if every or not queued else [*rows, ("queued", "", amounts.count(len(queued), "cell"), _waiting(queued))]
    )


def advice(standing: Standing) -> Iterator[str]:
    """What to type next."""
    if standing.command and standing.counts["missing"]:
        yield f"train what is missing: {standing.command}"
    if standing.command and standing.counts["failed"]:
        yield f"try the failed ones again: {standing.command} --retry failed"


def page(standings: Sequence[Standing], *, every: bool) -> str:
    """All of it for people: the numbers, then cell by cell what matters (or, with `every`, all), then what to type."""
    lines = [headline(standings), "", columns(overview(standings))]
    for standing in standings:
        rows, advised = details(standing, every=every), list(advice(standing))
        if rows or advised:
            lines += ["", standing.title, *([columns(rows, indent="  ")] if rows else [])]
            lines += [f"  {line}" for line in advised]
    return "\n".join(lines)


def records(standings: Sequence[Standing]) -> list[dict[str, Any]]:
    """For JSON: each table with each of its cells."""
    return [
        {
            "table": standing.plan.table.name,
            "preset": standing.plan.preset,
            "protocol": standing.plan.protocol,
            **standing.counts,
            "cells": [_record(entry, name(entry.cell)) for entry in standing.entries],
            "retry": f"{standing.command} --retry failed" if standing.command and standing.counts["failed"] else None,
        }
        for standing in standings
        for name in [naming([standing.plan])]
    ]


def _record(entry: Entry, name: str) -> dict[str, Any]:
    told = {
        name: getattr(entry, name)
        for name in ("job", "node", "epoch", "accuracy", "images_per_second", "seconds", "preempted", "reason")
    }
    known = {name: value for name, value in told.items() if value not in (None, "", 0)}
    paths = {name: value for name in ("log", "retry") if (value := getattr(entry, name))}
    head = {"state": entry.kind, "key": entry.cell.key, "label": name, "detail": entry.line}
    return {**head, **known, **paths}


def _waiting(queued: Sequence[Entry]) -> str:
    """``14 jobs: 12 Priority, 2 Resources``; those preempted among them are counted too."""
    reasons = Counter(entry.reason or "starting" for entry in {entry.job: entry for entry in queued}.values())
    told = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
    preempted = sum(bool(entry.preempted) for entry in queued)
    jobs = sum(reasons.values())
    return f"{amounts.count(jobs, 'job')}: {told}" + (
        f"; {amounts.count(preempted, 'cell')} preempted" if preempted else ""
    )
