"""`claims`: every claim of the paper beside what a store and the records of benches hold of it. Trains nothing."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.errors import UserError
from harness.plan import Plan, data_of, parse_only, plan
from harness.requests import SEEDS, Asked, Claims
from harness.spec import Row, Table
from harness.statements import (
    Claim,
    Evidence,
    Measured,
    MeasuredVerdict,
    Paired,
    Printed,
    as_printed,
    choose,
    load_claims,
    load_tables,
    measure,
)
from harness.statements.recorded import recorded
from harness.statements.spec import Costs, Flatter
from harness.store import Store
from harness.store.result import Failure, Result
from harness.tables import figure_names, load_figure
from harness.verbs import elsewhere
from harness.verbs.session import all_cells, context_for
from harness.verbs.standings import command

if TYPE_CHECKING:
    from harness.plan import Context
    from harness.render.page import Page
    from harness.spec import Cell
    from harness.store.probes import Landscape


@dataclass(frozen=True, kw_only=True)
class Ledger:
    chosen: tuple[Claim, ...]
    printed: Mapping[str, Printed]
    measured: Mapping[str, Measured]
    """Of all claims: those chosen share the family of the others."""
    evidence: Evidence
    protocol: str
    preset: str | None
    store: Store
    problems: tuple[UserError, ...]


def pages(request: Claims) -> tuple[list[Page], tuple[UserError, ...]]:
    """What `claims` prints: the ledger, or with `--explain` the arithmetic of each claim chosen."""
    from harness.render.claims import claims_page
    from harness.render.explanation import explained

    found = ledger(request)
    said = {"protocol": found.protocol, "preset": found.preset}
    hint = elsewhere.told(request.asked, tuple(found.evidence.plans.values()), found.store)
    if not request.explain:
        return [claims_page(found.chosen, found.printed, found.measured, **said)], (*found.problems, *hint)
    told = []
    for claim in found.chosen:
        measured = found.measured[claim.name]
        typed = commands(claim, measured, found.evidence, request.asked)
        told.append(explained(claim, found.printed[claim.name], measured, typed, **said))
    return told, (*found.problems, *hint)


def ledger(request: Claims) -> Ledger:
    """The claims named, or all. Raises UserError, also where `--only` leaves no row of any table they speak of."""
    claims, asked = load_claims(), request.asked
    chosen, tables, store = choose(claims, request.names), load_tables(claims), Store(asked.store)
    context = context_for(asked)
    plans = _plans(tables, {name for claim in chosen for name in load_tables([claim])}, context, asked, store)
    found = store.outcomes(all_cells(tuple(plans.values())))
    outcomes = {cell.key: outcome for cell, outcome in found.items() if outcome is not None}
    benches, unread = recorded(request.bench)

    @functools.cache
    def landscape(cell: Cell) -> Landscape | None:
        return store.probes(cell.key).landscape

    evidence = Evidence(plans=plans, outcomes=outcomes, landscape=landscape, benches=benches)
    return Ledger(
        chosen=chosen,
        printed={claim.name: as_printed(claim, tables) for claim in chosen},
        measured=measure(claims, tables, evidence),
        evidence=evidence,
        protocol=context.protocol.name,
        preset=asked.preset,
        store=store,
        problems=(*store.problems, *unread),
    )


def _plans(
    tables: Mapping[str, Table], wanted: set[str], context: Context, asked: Asked, store: Store
) -> dict[str, Plan]:
    """Those of which `--only` leaves a row."""
    only, identify = parse_only(asked.only), data_of(store.begun)
    plans, refused = {}, {}
    for name, table in tables.items():
        try:
            plans[name] = plan(table, context, only=only, identify=identify)
        except UserError as error:  # another table may have what this one lacks
            if not only:
                raise
            refused[name] = error
    if wanted and wanted <= refused.keys():
        raise next(error for name, error in refused.items() if name in wanted)
    return plans


# --- What to type -----------------------------------------------------------------------------------------------------


def commands(claim: Claim, measured: Measured, evidence: Evidence, asked: Asked) -> tuple[str, ...]:
    """What trains or measures what a verdict lacks, most wanted first."""
    found = list(_unfinished(measured, evidence, asked))
    if measured.judgement is not None and measured.judgement.more is not None:
        following = max(asked.seeds) + 1
        more = (*asked.seeds, *range(following, following + measured.judgement.more))
        found += [_train(part, evidence.plans, asked, more) for part in measured.paired if part.n]
    if any(isinstance(check, Flatter) for check in claim.check) and _no_landscape(measured):
        found += _probing(next(iter(evidence.plans.values())), asked)
    benches = [check.bench for check in claim.check if isinstance(check, Costs)]
    if benches and measured.verdict in (MeasuredVerdict.NOT_MEASURED, MeasuredVerdict.CANNOT_TELL):
        found += [f"python -m harness bench {bench}" for bench in benches]
    return tuple(dict.fromkeys(found))


def _no_landscape(measured: Measured) -> bool:
    return any("landscape" in text for part in measured.paired for text in part.lacking)


def _probing(plan: Plan, asked: Asked) -> Iterator[str]:
    """Drawing a figure of landscapes computes them, where the weights are there."""
    for name in figure_names():
        if load_figure(name).kind == "landscape":
            yield command(name, plan, asked).replace("harness run", "harness figure")


def _unfinished(measured: Measured, evidence: Evidence, asked: Asked) -> Iterator[str]:
    """Of rows that can be trained, those with a seed without result."""
    for part in measured.paired:
        outcomes = [evidence.outcomes.get(cell.key) for side in part.cells for cell in side]
        if all(part.cells) and not all(isinstance(outcome, Result) for outcome in outcomes):
            failed = any(isinstance(outcome, Failure) for outcome in outcomes)
            yield _train(part, evidence.plans, asked, asked.seeds) + " --retry failed" * failed


def _train(part: Paired, plans: Mapping[str, Plan], asked: Asked, seeds: Sequence[int]) -> str:
    """Both rows of a comparison, joined by ``&&`` where one command cannot name them and nothing else."""
    left, right = part.places
    rows = [(left.table, [left.row, right.row])] if left.table == right.table else []
    if not rows or sum(getattr(left.row, key) != getattr(right.row, key) for key in SELECT) > 1:
        rows = [(place.table, [place.row]) for place in part.places]
    chosen = "" if tuple(seeds) == SEEDS else f" --seeds {','.join(map(str, seeds))}"
    return " && ".join(
        f"{command(table, plans[table], asked)} --only '{_only(those)}'{chosen}" for table, those in rows
    )


SELECT = ("method", "architecture", "dataset", "timesteps")


def _only(rows: Sequence[Row]) -> str:
    values = {key: dict.fromkeys(str(getattr(row, key)) for row in rows) for key in SELECT}
    return ",".join(f"{key}={'|'.join(found)}" for key, found in values.items())
