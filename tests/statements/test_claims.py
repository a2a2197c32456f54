"""The claims as they are written, and as the printed numbers judge them."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from harness.decode import decode
from harness.errors import UserErrors
from harness.statements import (
    PrintedVerdict,
    as_printed,
    choose,
    load_claims,
    load_tables,
)
from harness.statements.spec import Claim, Claims, _check_claims

CLAIMS = load_claims()
TABLES = load_tables(CLAIMS)
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
    "training-burden": "not checkable",
    "step-norms-cost": "not checkable",
    "fold-equation": "not checkable",  # item 9
    "training-algorithm": "not checkable",  # item 10
    "named-networks": "not checkable",  # item 12
    "figure2-convergence": "not checkable",
    "figure3-landscape": "not checkable",
}


def named(name: str) -> Claim:
    return choose(CLAIMS, [name])[0]


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


def test_choosing_by_name():
    assert [c.name for c in choose(CLAIMS, ["fold-free", "dvs-best"])] == ["fold-free", "dvs-best"]
    assert choose(CLAIMS, []) == CLAIMS
    with pytest.raises(UserErrors, match="unknown claim `dvs-bets`; did you mean `dvs-best`"):
        choose(CLAIMS, ["dvs-bets"])


BENCH = '{{ kind = "bench", bench = "{bench}", subject = "{subject}", reference = "{reference}"'


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
            "claim 1 (x): unknown table `table9`; known: ambiguities, precision, table1",
        ),
        (
            '{ kind = "compare", left = { table = "table2" }, right = { table = "table3" }, match = ["dataset"] }',
            "claim 1 (x): check 1: `left` and `right` make no pair of rows",
        ),
        (
            '{ kind = "converges", left = { table = "table2" }, right = { table = "table3" }, match = ["dataset"] }',
            "claim 1 (x): check 1: `left` and `right` make no pair of rows",
        ),
        (
            '{ kind = "converges", share = 1.5, left = { table = "table1" }, right = { table = "table1" } }',
            "claim 1 (x): check 1: `share` is 1.5; type a number above 0, up to 1",
        ),
        (
            '{ kind = "flatter", left = { table = "table1", method = "mpnb" }, right = { table = "table1" } }',
            "claim 1 (x): check 1: no row of table1 is as selected; `method` mpnb: did you mean `mpbn`?",
        ),
        (
            BENCH.format(bench="latncy", subject="mpbn, folded", reference="vanilla, folded") + ", within = 0.02 }",
            "claim 1 (x): check 1: unknown bench `latncy`; did you mean `latency`?",
        ),
        (
            BENCH.format(bench="latency", subject="mpbn, fold", reference="vanilla, folded") + ", within = 0.02 }",
            "claim 1 (x): check 1: latency has no subject `mpbn, fold`; did you mean `mpbn, folded`?",
        ),
        (
            BENCH.format(bench="latency", subject="mpbn, folded", reference="mpbn, folded") + ", above = 1.0 }",
            "claim 1 (x): check 1: latency has no reference `mpbn, folded`; did you mean `vanilla, folded`?",
        ),
        (
            BENCH.format(bench="latency", subject="mpbn, folded", reference="vanilla, folded") + " }",
            "claim 1 (x): check 1: wants one bound above 0; type `within`, `below` or `above`",
        ),
        (
            BENCH.format(bench="overhead", subject="mpbn", reference="vanilla") + ", below = 1.1, timesteps = [3] }",
            "claim 1 (x): check 1: overhead times none of these `timesteps`; known: 1, 2, 4",
        ),
    ],
)
def test_what_is_wrong_in_a_claim(tmp_path: Path, check: str, problem: str):
    path = tmp_path / "claims.toml"
    path.write_text(f'[[claim]]\nname = "x"\nsection = "1"\ntext = "t"\ncheck = [{check}]\n')
    with pytest.raises(UserErrors) as caught:
        decode(path, Claims, _check_claims)
    assert str(caught.value).startswith(f"claims.toml: {problem}")
