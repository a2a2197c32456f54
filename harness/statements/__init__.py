"""The sentences of the paper, made executable, with two verdicts: as printed and as measured.

Both look at the same pairs of rows, chosen by the printed numbers: choosing by the measured ones would flatter.
"""

from harness.statements.evidence import Evidence, Fold, Pair, Paired, Ratio
from harness.statements.judging import Judgement, MeasuredVerdict
from harness.statements.measured import Measured, as_measured, measure
from harness.statements.printed import Printed, PrintedVerdict, as_printed
from harness.statements.spec import Claim, choose, load_claims, load_tables, tables_of

__all__ = [
    "Claim",
    "Evidence",
    "Fold",
    "Judgement",
    "Measured",
    "MeasuredVerdict",
    "Pair",
    "Paired",
    "Printed",
    "PrintedVerdict",
    "Ratio",
    "as_measured",
    "as_printed",
    "choose",
    "load_claims",
    "load_tables",
    "measure",
    "tables_of",
]
