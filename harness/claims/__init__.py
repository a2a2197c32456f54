"""The sentences of the paper, made executable, with two verdicts: as printed and as measured.

Both look at the same pairs of rows, chosen by the printed numbers: choosing by the measured ones would flatter.
"""

from harness.claims.measured import Difference, Measured, MeasuredVerdict, as_measured
from harness.claims.printed import Printed, PrintedVerdict, as_printed
from harness.claims.spec import Claim, choose, load_claims, load_tables, tables_of

__all__ = [
    "Claim",
    "Difference",
    "Measured",
    "MeasuredVerdict",
    "Printed",
    "PrintedVerdict",
    "as_measured",
    "as_printed",
    "choose",
    "load_claims",
    "load_tables",
    "tables_of",
]
