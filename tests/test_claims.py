"""The printed verdicts follow from the tables, the measured ones from seed-matched pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
import scipy.stats
from outcomes import proof, result

from harness import claims as package
from harness.claims import MeasuredVerdict, PrintedVerdict, as_measured, as_printed, choose, load_claims, load_tables
from harness.claims.spec import Claim, Claims, Compare, Folds, Rows, Spread, _check_claims
from harness.decode import decode
from harness.errors import UserErrors
from harness.plan import Line, Plan
from harness.result import Failure
from harness.spec import Cell, Recipe
from harness.stats import Outcome

CLAIMS = load_claims()
TABLES = load_tables(CLAIMS)
ABOVE = Compare(
    left=Rows(table="table1", dataset="cifar10", method="mpbn", timesteps=2),
    right=Rows(table="table1", dataset="cifar10", method="vanilla", timesteps=2),
)

VERDICTS = {
    "mpbn-over-vanilla": "supported",
    "gain-at-one-step": "not supported",  # sheet 6.3, item 3
    "table1-last-pair": "not supported",  # item 1
    "tables-agree": "supported",
    "cifar10-best": "supported",
    "cifar10-one-step-over-two": "supported",
    "cifar10-resnet20": "supported",
    "cifar10-vgg16": "supported",
    "recdis-citation": "not supported",  # item 2
    "cifar100-margin": "not supported",  # item 4
    "cifar100-best": "not supported",  # item 5
    "cifar100-resnet20": "not supported",  # item 5
    "cifar100-resnet19": "supported",
    "cifar100-vgg16": "supported",
    "imagenet-best": "not supported",  # item 6
    "ottt-number": "not supported",  # item 7
    "sew-not-binary": "not checkable",  # item 13
    "dvs-best": "supported",
    "dvs-complete": "not supported",  # item 11
    "element-over-channel": "supported",
    "table6-caption": "not supported",  # item 8
    "fold-exact": "not checkable",
    "fold-free": "not checkable",
    "fold-equation": "not checkable",  # item 9
    "training-algorithm": "not checkable",  # item 10
    "named-networks": "not checkable",  # item 12
    "figure2-convergence": "not checkable",
    "figure3-landscape": "not checkable",
}


def named(name: str) -> Claim:
    return choose(CLAIMS, [name])[0]


def planned(name: str = "table1", seeds: int = 3) -> Plan:
    def cells(row: Any) -> tuple[Cell, ...]:
        fields = {key: getattr(row, key) for key in ("method", "architecture", "dataset", "timesteps")}
        return tuple(Cell(**fields, seed=seed, recipe=Recipe(epochs=4)) for seed in range(seeds))

    table = TABLES[name]
    lines = tuple(Line(number=i, row=row, cells=cells(row)) for i, row in enumerate(table.row, start=1))
    return Plan(table=table, protocol="paper", preset=None, lines=lines)


def store(plan: Plan, **accuracies: tuple[float, ...]) -> dict[str, Outcome]:
    """Results of CIFAR-10 at T = 2, by method; seeds in order, None for a missing one."""
    held: dict[str, Outcome] = {}
    for cell in plan.cells:
        given = accuracies.get(cell.method, ())
        if cell.dataset == "cifar10" and cell.timesteps == 2 and cell.seed < len(given):
            held[cell.key] = result(cell, given[cell.seed])
    return held


def measured(claim: Claim, held: dict[str, Outcome], plan: Plan | None = None) -> package.Measured:
    return as_measured(claim, TABLES, {"table1": plan or planned()}, held)


def test_every_claim_has_the_verdict_of_the_sheet():
    assert {claim.name: str(as_printed(claim, TABLES).verdict) for claim in CLAIMS} == VERDICTS


@pytest.mark.parametrize(
    ("name", "arithmetic"),
    [
        ("gain-at-one-step", "92.22 (MPBN ResNet20 T1) − 90.40 (baseline ResNet20 T1) = +1.82 (relative: +2.01 %)"),
        ("cifar100-margin", "+1.66 to +4.61, said: +1.66 to +3.99"),
        ("cifar100-best", "79.51 (MPBN ResNet19 T2) − 79.76 (Joint A-SNN ResNet34 T4) = −0.25"),
        ("imagenet-best", "64.71 (MPBN ResNet34 T4) − 64.79 (TET ResNet34 T6) = −0.08"),
        ("recdis-citation", "Table 2 cites it as [20], the text as [61]"),
        ("table6-caption", "no row of LSNN in Table 6"),
    ],
)
def test_the_arithmetic_is_shown(name: str, arithmetic: str):
    assert arithmetic in "; ".join(as_printed(named(name), TABLES).arithmetic)


def test_gains_of_table_1_are_the_sheets():
    claim = Claim(name="g", section="", text="", check=(named("mpbn-over-vanilla").check[0],))
    gains = {("CIFAR-10", 1): 1.82, ("CIFAR-10", 2): 0.74, ("CIFAR-10", 4): 0.43}
    gains |= {("CIFAR-100", 1): 0.42, ("CIFAR-100", 2): 0.61, ("CIFAR-100", 4): 0.53}
    for by in (0.41, 0.425, 0.6, 1.0, 1.83):
        check = msgspec.structs.replace(claim.check[0], by=by)
        told = as_printed(msgspec.structs.replace(claim, check=(check,)), TABLES)
        wrong = sum(gain <= by for gain in gains.values())
        assert (told.verdict == PrintedVerdict.SUPPORTED) == (wrong == 0)
        assert wrong == 0 or f"not in {wrong} of 6" in told.arithmetic[0]


def test_a_printed_verdict_follows_the_table_and_is_not_typed_in():
    table = TABLES["table4"]
    rows = tuple(msgspec.structs.replace(r, accuracy=65.0) if r.method == "mpbn" else r for r in table.row)
    better = {**TABLES, "table4": msgspec.structs.replace(table, row=rows)}
    assert as_printed(named("imagenet-best"), better).verdict == PrintedVerdict.SUPPORTED


def test_a_claim_without_check_says_why():
    assert all(claim.note for claim in CLAIMS if not claim.check)


@pytest.mark.parametrize(
    ("mpbn", "vanilla", "verdict"),
    [
        ((93.5, 93.6, 93.8), (92.5, 92.7, 92.8), MeasuredVerdict.HOLDS),
        ((92.5, 92.7, 92.8), (93.5, 93.6, 93.8), MeasuredVerdict.FAILS),
        ((93.5, 93.0, 93.8), (93.2, 93.3, 93.1), MeasuredVerdict.CANNOT_TELL),
        ((93.5,), (92.5,), MeasuredVerdict.CANNOT_TELL),
        ((), (92.5, 92.6, 92.7), MeasuredVerdict.NOT_MEASURED),
    ],
)
def test_measured_by_pairs_of_seeds(mpbn: tuple, vanilla: tuple, verdict: MeasuredVerdict):
    claim = Claim(name="one", section="", text="", check=(ABOVE,))
    plan = planned()
    assert measured(claim, store(plan, mpbn=mpbn, vanilla=vanilla), plan).verdict == verdict


def test_pairs_cancel_what_a_seed_does_to_both():
    """Differences are steady though the seeds scatter: unpaired, these six numbers tell nothing."""
    plan = planned()
    told = measured(
        Claim(name="one", section="", text="", check=(ABOVE,)),
        store(plan, mpbn=(90.5, 93.6, 96.4), vanilla=(90.0, 93.0, 96.0)),
        plan,
    )
    (difference,) = told.differences
    expected = scipy.stats.ttest_rel([90.5, 93.6, 96.4], [90.0, 93.0, 96.0])
    assert told.verdict == MeasuredVerdict.HOLDS and told.n == 3
    assert difference.p == pytest.approx(expected.pvalue, rel=1e-6)
    assert difference.sample.interval == pytest.approx(tuple(expected.confidence_interval(0.95)), rel=1e-6)
    assert scipy.stats.ttest_ind([90.5, 93.6, 96.4], [90.0, 93.0, 96.0]).pvalue > 0.5


def test_only_seeds_that_both_finished_are_paired():
    plan = planned()
    held = store(plan, mpbn=(93.5, 93.6, 93.8), vanilla=(92.5, 92.7))
    assert measured(Claim(name="one", section="", text="", check=(ABOVE,)), held, plan).n == 2


def test_a_claim_holds_only_when_all_of_it_is_measured():
    plan = planned()
    told = measured(named("mpbn-over-vanilla"), store(plan, mpbn=(93.5, 93.6, 93.8), vanilla=(92.5, 92.7, 92.8)), plan)
    assert told.verdict == MeasuredVerdict.CANNOT_TELL
    assert told.detail[-1] == "5 of 6 comparisons are not measured"


def test_a_margin_is_measured_from_both_sides():
    plan = planned()
    held = store(plan, mpbn=(93.5, 93.6, 93.8), vanilla=(92.5, 92.6, 92.8))
    for low, high, verdict in ((0.5, 1.5, "holds"), (1.5, 2.0, "fails"), (0.2, 0.8, "fails")):
        claim = Claim(
            name="m", section="", text="", check=(Spread(left=ABOVE.left, right=ABOVE.right, low=low, high=high),)
        )
        assert str(measured(claim, held, plan).verdict) == verdict


def test_folds_are_measured_by_their_proofs():
    claim = Claim(name="f", section="", text="", check=(Folds(rows=ABOVE.left),))
    plan = planned()
    held = store(plan, mpbn=(93.5, 93.6, 93.8))
    assert measured(claim, {}, plan).verdict == MeasuredVerdict.NOT_MEASURED
    assert (measured(claim, held, plan).verdict, measured(claim, held, plan).n) == (MeasuredVerdict.HOLDS, 3)
    cell = next(o.cell for o in held.values() if not isinstance(o, type(None)) and hasattr(o, "cell"))
    failed = Failure(cell=cell, kind="fold", reason="1 mismatch", epoch=4, when="")
    assert measured(claim, {**held, cell.key: failed}, plan).verdict == MeasuredVerdict.FAILS
    inexact = {key: result(o.cell, 93.0, proofs=(proof(exact=False),)) for key, o in held.items()}  # type: ignore[union-attr]
    assert measured(claim, inexact, plan).verdict == MeasuredVerdict.NOT_MEASURED


def test_a_users_added_row_is_never_taken_for_the_papers():
    plan = planned()
    held = store(plan, mpbn=(93.5, 93.6, 93.8), vanilla=(92.5, 92.7, 92.8))
    added = Plan(
        table=plan.table,
        protocol="paper",
        preset=None,
        lines=tuple(as_line(line, added=True) for line in plan.lines),
    )
    claim = Claim(name="one", section="", text="", check=(ABOVE,))
    assert measured(claim, held, added).verdict == MeasuredVerdict.NOT_MEASURED


def as_line(line: Line, **changes: Any) -> Line:
    return Line(**{"number": line.number, "row": line.row, "cells": line.cells, **changes})


def test_choosing_by_name():
    assert [c.name for c in choose(CLAIMS, ["fold-free", "dvs-best"])] == ["fold-free", "dvs-best"]
    assert choose(CLAIMS, []) == CLAIMS
    with pytest.raises(UserErrors, match="unknown claim `dvs-bets`; did you mean `dvs-best`"):
        choose(CLAIMS, ["dvs-bets"])


@pytest.mark.parametrize(
    ("check", "problem"),
    [
        ('{ kind = "compares" }', "claim 1: check 1: `kind` is 'compares'; did you mean `compare`?"),
        ('{ kind = "compare", left = { table = "table1" } }', "claim 1: check 1: `right` is missing"),
        (
            '{ kind = "cites", reference = 1, rows = { table = "table1", methd = "mpbn" } }',
            "claim 1: check 1: rows: unknown key `methd`; did you mean `method`?",
        ),
        (
            '{ kind = "compare", relation = "abve", left = { table = "table1" }, right = { table = "table1" } }',
            "claim 1: check 1: `relation`: cannot be 'abve'; did you mean `above`?",
        ),
        (
            '{ kind = "cites", reference = 1, rows = { table = "table1", method = "mpnb" } }',
            "claim 1 (x): check 1: no row of table1 is as selected; `method` mpnb: did you mean `mpbn`?",
        ),
        (
            '{ kind = "cites", reference = 1, rows = { table = "table9" } }',
            "claim 1 (x): unknown table `table9`; known: ambiguities, table1, table2",
        ),
        (
            '{ kind = "compare", left = { table = "table2" }, right = { table = "table3" }, match = ["dataset"] }',
            "claim 1 (x): check 1: `left` and `right` make no pair of rows",
        ),
    ],
)
def test_what_is_wrong_in_a_claim(tmp_path: Path, check: str, problem: str):
    path = tmp_path / "claims.toml"
    path.write_text(f'[[claim]]\nname = "x"\nsection = "1"\ntext = "t"\ncheck = [{check}]\n')
    with pytest.raises(UserErrors) as caught:
        decode(path, Claims, _check_claims)
    assert str(caught.value).startswith(f"claims.toml: {problem}")
