"""Table or figure (+ protocol, preset, filters, plugins) -> cells -> done / running / failed / missing."""

from harness.plan.context import Context
from harness.plan.names import Name, label, naming, without_seed
from harness.plan.planned import Line, Plan, State, by_row, in_order, plan_cells, state
from harness.plan.rows import plan
from harness.plan.samples import Identify, data_of, stored_data
from harness.plan.selection import KEYS, Only, check_only, parse_only

__all__ = [
    "KEYS",
    "Context",
    "Identify",
    "Line",
    "Name",
    "Only",
    "Plan",
    "State",
    "by_row",
    "check_only",
    "data_of",
    "in_order",
    "label",
    "naming",
    "parse_only",
    "plan",
    "plan_cells",
    "state",
    "stored_data",
    "without_seed",
]
