"""done / running / failed / missing: of every table in the store, and of every cell of one table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from harness.plan import Plan, State
from harness.progress import duration
from harness.result import Failure, Progress, Result
from harness.spec import Cell
from harness.store import Store

KINDS = ("done", "running", "failed", "missing")


@dataclass(frozen=True, kw_only=True)
class Standing:
    """One table under one protocol and preset."""

    plan: Plan
    state: State
    command: str
    """What to type to train what is missing."""

    @property
    def title(self) -> str:
        preset = f", preset {self.plan.preset}" if self.plan.preset else ""
        return f"{self.plan.table.name}{preset}, protocol {self.plan.protocol}"

    @property
    def begun(self) -> bool:
        return bool(self.state.outcomes)

    @property
    def counts(self) -> dict[str, int]:
        return {kind: len(getattr(self.state, kind)) for kind in KINDS}


def overview(standings: Sequence[Standing]) -> list[tuple[str, ...]]:
    """Rows for people, a header first."""
    rows: list[tuple[str, ...]] = [("table", "preset", "protocol", *KINDS)]
    for standing in standings:
        plan = standing.plan
        counts = [str(count) if count else "-" for count in standing.counts.values()]
        rows.append((plan.table.name, plan.preset or "-", plan.protocol, *counts))
    return rows


def details(standing: Standing, store: Store, *, every: bool) -> list[tuple[str, ...]]:
    """Running and failed cells with what matters of each; with `every`, done and missing ones too."""
    rows = []
    for cell in standing.plan.cells:
        kind, text = describe(cell, standing.state.outcomes.get(cell.key), store)
        if every or kind in ("running", "failed"):
            rows.append((kind, cell.key, cell.label, text))
    return rows


def describe(cell: Cell, outcome: Result | Failure | Progress | None, store: Store) -> tuple[str, str]:
    """Kind, and a line about it."""
    if isinstance(outcome, Result):
        return "done", f"{outcome.accuracy:.2f} % in {duration(outcome.seconds)}"
    if isinstance(outcome, Failure):
        times = f" (attempt {outcome.attempts})" if outcome.attempts > 1 else ""
        return "failed", f"{outcome.kind} at epoch {outcome.epoch}: {outcome.reason}{times}; log: {store.log(cell)}"
    if isinstance(outcome, Progress):
        accuracy = "" if outcome.accuracy is None else f", {outcome.accuracy:.2f} %"
        left = f", {outcome.images_per_second:,.0f} images/s, {duration(outcome.seconds_left)} left"
        where = f" on {outcome.host} (process {outcome.pid})"
        return "running", f"epoch {outcome.epoch}/{outcome.epochs}{accuracy}{left if outcome.epoch else ''}{where}"
    return "missing", "begun, to be gone on with" if store.progress(cell) is not None else ""


def advice(standing: Standing) -> Iterator[str]:
    """What to type next."""
    if standing.state.missing:
        yield f"train what is missing: {standing.command}"
    if standing.state.failed:
        yield f"try the failed ones again: {standing.command} --retry failed"


def records(standings: Sequence[Standing], store: Store) -> list[dict[str, Any]]:
    """For JSON: each table with each of its cells."""
    return [
        {
            "table": standing.plan.table.name,
            "preset": standing.plan.preset,
            "protocol": standing.plan.protocol,
            **standing.counts,
            "cells": [
                dict(zip(("state", "key", "label", "detail"), row, strict=True))
                for row in details(standing, store, every=True)
            ],
            "retry": f"{standing.command} --retry failed" if standing.state.failed else None,
        }
        for standing in standings
    ]
